#include "report/machine_name.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>

namespace loadline {
namespace {

constexpr std::string_view kUnit = " GiB";
constexpr std::string_view kBefore = ", ";
constexpr double kDrift = 0.02;

struct MachineMemory {
  double gib = 0;
  double doubt = 0;  // GiB
};

MachineMemory memory_of(std::string_view name, Bytes exactly) {
  if (exactly.count > 0) return {exactly.mib() / 1024, 0};
  const std::string_view rest = name.substr(without_memory(name).size());
  MachineMemory memory{0, 0.5};
  if (!rest.empty()) {
    (void)std::from_chars(rest.data() + kBefore.size(), rest.data() + rest.size(), memory.gib);
  }
  return memory;
}

}  // namespace

std::string machine_name(std::string_view cpu, int cores, Bytes memory) {
  return fmt::format("{}, {} cores{}{:.0f}{}", cpu, cores, kBefore, memory.mib() / 1024, kUnit);
}

std::string_view without_memory(std::string_view name) {
  if (!name.ends_with(kUnit)) return name;
  const std::size_t comma = name.rfind(kBefore);
  return comma == std::string_view::npos ? name : name.substr(0, comma);
}

bool is_same_machine(std::string_view a, Bytes memory_of_a, std::string_view b, Bytes memory_of_b) {
  if (without_memory(a) != without_memory(b)) return false;
  const MachineMemory one = memory_of(a, memory_of_a);
  const MachineMemory other = memory_of(b, memory_of_b);
  return std::abs(one.gib - other.gib) <=
         one.doubt + other.doubt + kDrift * std::fmax(one.gib, other.gib);
}

}  // namespace loadline
