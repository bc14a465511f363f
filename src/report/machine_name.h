// A machine as a profile's key names it.
#pragma once

#include <string>
#include <string_view>

#include "base/bytes.h"

namespace loadline {

// "AMD EPYC 9454P, 2 cores, 24 GiB"
std::string machine_name(std::string_view cpu, int cores, Bytes memory);
// Without the memory: "AMD EPYC 9454P, 2 cores".
std::string_view without_memory(std::string_view name);

// The same CPU model and cores, and memory that differs by at most 2 %: a kernel or a firmware of
// another day leaves a few MiB more or less. Where the bytes are not known (0; profiles of earlier
// versions), the name's, which may be half a GiB from the truth.
bool is_same_machine(std::string_view a, Bytes memory_of_a, std::string_view b, Bytes memory_of_b);

}  // namespace loadline
