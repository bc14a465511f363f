// JSON text as programs write it that do not look at Unicode too closely.
#pragma once

#include <string>
#include <string_view>

namespace loadline {

// `json` with U+FFFD for each maximal invalid part of its UTF-8 and \ufffd for each escape of half
// a surrogate pair: what is then no JSON was none before.
std::string with_valid_unicode(std::string_view json);

}  // namespace loadline
