#include "machine/standard_streams.h"

#include <fcntl.h>
#include <unistd.h>

namespace loadline {

void hold_standard_streams() {
  for (const int number : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    // A file opened gets the lowest number that is free: this one.
    if (::fcntl(number, F_GETFD) < 0) (void)::open("/dev/null", O_RDWR);
  }
}

}  // namespace loadline
