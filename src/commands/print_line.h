// Answers for people.
#pragma once

#include <fmt/format.h>

#include <cstdio>
#include <string>

#include "report/text.h"
#include "workload/paths.h"

namespace loadline {

// On a terminal broken between words within its width; elsewhere whole, as who reads a pipe wants a
// line to be one.
inline void print_line(const std::string& line, std::FILE* out = stdout) {
  fmt::print(out, "{}\n", draws(out) ? wrapped(line, columns_of(out)) : line);
}

}  // namespace loadline
