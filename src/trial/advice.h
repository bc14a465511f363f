// What the cause of a trial without enough memory ends with.
#pragma once

#include <string>
#include <string_view>

namespace loadline {

inline constexpr std::string_view kLowerBatch =
    "Lower the batch size, the rank, the layers or the sequence length";
// Where the batch is one row.
inline constexpr std::string_view kLowerRank = "Lower the rank, the layers or the sequence length";

// For who is not to change anything: a search, which lowers them itself.
inline std::string without_advice(std::string cause) {
  for (const std::string_view advice : {kLowerBatch, kLowerRank}) {
    if (!cause.ends_with(advice)) continue;
    cause.resize(cause.size() - advice.size());
    while (cause.ends_with(' ') || cause.ends_with('.')) cause.pop_back();
  }
  return cause;
}

}  // namespace loadline
