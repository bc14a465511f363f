// JSON text as programs write it that do not look at Unicode too closely.
#pragma once

#include <string>
#include <string_view>

namespace loadline {

// `json` with U+FFFD for each maximal invalid part of its UTF-8 and \ufffd for each escape of half
// a surrogate pair: what is then no JSON was none before.
std::string with_valid_unicode(std::string_view json);

// `json` with `number` for each number that neither 64 bits nor a double hold, and `half` for each
// escape of half a surrogate pair. What is no JSON stays as it is.
std::string with_holdable_values(std::string_view json, std::string_view number,
                                 std::string_view half);

}  // namespace loadline
