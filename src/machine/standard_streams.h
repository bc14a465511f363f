// stdin, stdout and stderr, which whoever starts a program may have closed.
#pragma once

namespace loadline {

// Where one of the three is closed, puts /dev/null there: else the next file that is opened gets
// its number, and what is meant for the terminal is written into that file.
void hold_standard_streams();

}  // namespace loadline
