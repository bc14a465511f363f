#include "unit/model/counted_allocations.h"

#include <atomic>
#include <cstdlib>
#include <new>

namespace {

std::atomic<std::int64_t> living{0};
std::atomic<std::size_t> largest{0};

void* counted(std::size_t size) noexcept {
  ++living;
  if (size > largest) largest = size;
  return std::malloc(size == 0 ? 1 : size);
}

void uncounted(void* memory) noexcept {
  if (memory != nullptr) --living;
  std::free(memory);
}

}  // namespace

void* operator new(std::size_t size) {
  if (void* memory = counted(size)) return memory;
  throw std::bad_alloc();
}
void* operator new(std::size_t size, const std::nothrow_t& /*unused*/) noexcept {
  return counted(size);
}
void operator delete(void* memory, const std::nothrow_t& /*unused*/) noexcept { uncounted(memory); }
void operator delete(void* memory) noexcept { uncounted(memory); }
void operator delete(void* memory, std::size_t /*unused*/) noexcept { uncounted(memory); }

namespace loadline {

Allocations allocations() { return {living, largest}; }
void forget_largest_allocation() { largest = 0; }

}  // namespace loadline
