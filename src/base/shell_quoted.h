// Words of commands that people paste.
#pragma once

#include <string>

namespace loadline {

// As one word of a shell's command line: in quotes where it needs them; a control character is
// written as a number.
std::string shell_quoted(const std::string& text);

}  // namespace loadline
