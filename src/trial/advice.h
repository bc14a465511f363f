// What the cause of a trial without enough memory ends with.
#pragma once

#include <string>
#include <string_view>

namespace loadline {

inline constexpr std::string_view kLowerBatch =
    "Lower the batch size, the rank, the layers or the sequence length";
// Where the batch is one row.
inline constexpr std::string_view kLowerRank = "Lower the rank, the layers or the sequence length";

// Where it was killed from outside, and what a search says of a second time.
inline constexpr std::string_view kAskOnceMore =
    "Type the same command again: it tries this once more";
inline constexpr std::string_view kKilledTwice =
    "It was killed for the second time and is not tried again; --restart begins anew";

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
