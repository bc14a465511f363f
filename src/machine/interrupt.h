// Ctrl-C and SIGTERM as a question that loops ask.
#pragma once

namespace loadline {

// From here on the first SIGINT or SIGTERM only sets a flag; a second one ends the process at once
// (128 + n).
void catch_interrupts();
[[nodiscard]] bool interrupted();
// Ends that: a signal ends the process again, as it did before.
void release_interrupts();

}  // namespace loadline
