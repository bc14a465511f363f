// This process's address space, as far as a limit on it (RLIMIT_DATA, overcommitting) is concerned.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"

namespace loadline {

// Throws Error(kDoesNotFit) naming `what` when the kernel refuses so much memory for writing right
// now. Nothing stays mapped. For libraries that die where a mapping of theirs is refused.
void require_room(Bytes bytes, std::string_view what);

// For the message of a refusal: ". `ulimit -v` (RLIMIT_AS) is ..." where there is such a limit,
// which may be why; else empty.
std::string words_of_address_limit();

// What the kernel maps for a thread's stack by default.
Bytes stack_of_a_thread();

// Code that a library generates at run time, from the making of this object on. Such pages stay
// writable, and the kernel counts all of them as data, touched or not.
class GeneratedCode {
 public:
  GeneratedCode();
  // It is finished: its pages lose the right to be written, and no longer count as data. What was
  // there before stays as it is, as its library may go on with it.
  void seal() const;

 private:
  struct Range {
    std::uintptr_t begin = 0;
    std::uintptr_t end = 0;
  };
  static std::vector<Range> writable_code();

  std::vector<Range> before_;  // rising
};

}  // namespace loadline
