// Counts every operator new of the test program.
#pragma once

#include <cstddef>

namespace loadline {

std::size_t allocations();

}  // namespace loadline
