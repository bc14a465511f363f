// Counts operator new and delete of the whole test program.
#pragma once

#include <cstddef>
#include <cstdint>

namespace loadline {

struct Allocations {
  std::int64_t living = 0;  // allocated and not yet freed
  std::size_t largest = 0;  // bytes, since the last forget_largest_allocation()
};
Allocations allocations();
void forget_largest_allocation();

}  // namespace loadline
