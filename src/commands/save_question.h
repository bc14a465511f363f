// The one question that `find` asks.
#pragma once

#include <cstdio>
#include <iosfwd>

namespace loadline {

// Asks on `out` until a line of `in` is yes or no; an empty line is yes, the end of `in` and Ctrl-C
// are no.
bool wants_saving(std::istream& in, std::FILE* out);

}  // namespace loadline
