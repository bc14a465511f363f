#include "kernels/threads.h"

#include <omp.h>

#include <algorithm>

#include "base/address_space.h"

namespace loadline {

void set_threads(int count) {
  omp_set_num_threads(std::max(count, 1));
  // With a stack comes what glibc and libgomp allocate for a thread.
  constexpr Bytes kBeside = 1_MiB;
  require_room((stack_of_a_thread() + kBeside).scaled(threads() - 1), "the threads' stacks");
  // They start now, while there is room: libgomp ends the process where it is refused. A region
  // that does nothing at all would be left out by GCC.
#pragma omp parallel
  { asm volatile(""); }
}

int threads() { return omp_get_max_threads(); }

}  // namespace loadline
