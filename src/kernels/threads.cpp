#include "kernels/threads.h"

#include <omp.h>

#include <algorithm>

#include "base/address_space.h"

namespace loadline {

void set_threads(int count) {
  omp_set_num_threads(std::max(count, 1));
  require_room(stack_of_a_thread().scaled(threads() - 1), "the threads' stacks");
  // They start now, while there is room: libgomp ends the process where it is refused.
#pragma omp parallel
  {}
}

int threads() { return omp_get_max_threads(); }

}  // namespace loadline
