// Printing that cannot end the work that it tells of.
#pragma once

#include <fmt/format.h>

#include <cstdio>
#include <string>
#include <utility>

namespace loadline {

// As fmt::print, which throws where the text cannot be written: a closed pipe or a full disk must
// not end a search or a training.
template <typename... Args>
void tell(std::FILE* out, fmt::format_string<Args...> text, Args&&... args) {
  const std::string shown = fmt::format(text, std::forward<Args>(args)...);
  (void)std::fwrite(shown.data(), 1, shown.size(), out);
}

}  // namespace loadline
