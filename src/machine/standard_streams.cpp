#include "machine/standard_streams.h"

#include <fcntl.h>
#include <unistd.h>

#include <initializer_list>

namespace loadline {

void hold_standard_streams() {
  for (const int number : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    // A file opened gets the lowest number that is free: this one.
    if (::fcntl(number, F_GETFD) >= 0) continue;
    (void)::open("/dev/null", number == STDOUT_FILENO ? O_RDONLY : O_RDWR);
  }
}

bool is_stdout_closed() {
  const int flags = ::fcntl(STDOUT_FILENO, F_GETFL);
  return flags < 0 || (flags & O_ACCMODE) == O_RDONLY;
}

}  // namespace loadline
