// loadline machine: what was detected.
#include <cstdio>
#include <memory>

#include "base/error.h"
#include "base/json.h"
#include "commands/command.h"
#include "kernels/wide_product.h"
#include "machine/facts.h"

namespace loadline {
namespace {

std::string optional_bytes(const std::optional<Bytes>& bytes) {
  return bytes ? to_string(*bytes) : "none";
}

void print_machine(const MachineFacts& machine) {
  const CpuFacts& cpu = machine.cpu;
  const Budget budget = compute_budget(machine.memory, std::nullopt);
  fmt::print("system          {}, Linux {}\n", machine.os, machine.kernel);
  fmt::print("cpu             {}, {} of {} cores usable{}\n", cpu.model, cpu.usable, cpu.logical,
             cpu.wanted == cpu.usable && cpu.usable < cpu.logical
                 ? fmt::format(" (OMP_NUM_THREADS={})", *cpu.wanted)
                 : "");
  fmt::print("instructions    {}{}{}{}\n", cpu.avx2 ? "AVX2 " : "", cpu.avx512 ? "AVX-512 " : "",
             cpu.avx512_bf16 ? "AVX512-BF16 " : "", cpu.amx_bf16 ? "AMX-BF16" : "");
  fmt::print("compute dtype   {}\n", !bf16_pays()               ? "f32"
                                     : bf16_products_are_slow() ? "bf16, multiplied in f32"
                                                                : "bf16");
  fmt::print("memory          {} in all, {} available\n", to_string(machine.memory.total),
             to_string(machine.memory.available));
  fmt::print("cgroup limit    {}\n", optional_bytes(machine.memory.cgroup_limit));
  fmt::print("RLIMIT_DATA     {}\n", optional_bytes(machine.memory.rlimit_data));
  fmt::print("RLIMIT_AS       {}\n", optional_bytes(machine.memory.rlimit_as));
  fmt::print("budget          {} ({})\n", to_string(budget.bytes), budget.binds);
  fmt::print("cap of a trial  {}\n", machine.cap.why);
  for (const std::string& note : machine.cap_notes) fmt::print("                {}\n", note);
  fmt::print("load            {:.2f}\n", machine.load_average);
}

}  // namespace

CommandFunction add_machine(Flags flags) {
  const auto json = std::make_shared<bool>(false);
  flags.toggle("--json", *json, "One JSON document on stdout");
  return [json] {
    const MachineFacts machine = read_machine();
    if (*json) {
      fmt::print("{}\n", to_json(machine).dump(2));
    } else {
      print_machine(machine);
    }
    return 0;
  };
}

}  // namespace loadline
