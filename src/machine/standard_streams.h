// stdin, stdout and stderr, which whoever starts a program may have closed.
#pragma once

namespace loadline {

// Where one of the three is closed, puts /dev/null there: else the next file that is opened gets
// its number, and what is meant for the terminal is written into that file. What is written to a
// stdout that was closed fails, as it is lost.
void hold_standard_streams();

// Whether stdout was closed, or can only be read: also of a program that this one became.
[[nodiscard]] bool is_stdout_closed();

}  // namespace loadline
