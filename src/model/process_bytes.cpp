#include "model/process_bytes.h"

#include <set>
#include <utility>

namespace loadline {
namespace {

// A process that has loaded its libraries and runs its threads, before the first product.
constexpr Bytes kCode = 8_MiB;
constexpr Bytes kThread = 128_KiB;
// Code and tables of the primitives compiled for one pair of widths, all block sizes together.
constexpr Bytes kProduct = 512_KiB;
// The reading of weights and rows, and the allocator's own slack.
constexpr Bytes kReading = 4_MiB;

// Distinct (inputs, outputs) of the step's products, each with its forward and backward.
std::size_t distinct_products(const ModelConfig& model, const StepPlan& plan) {
  std::set<std::pair<std::int64_t, std::int64_t>> widths{
      {model.hidden_size, model.q_width() + 2 * model.kv_width()},
      {model.q_width(), model.hidden_size},
      {model.hidden_size, 2 * model.intermediate_size},
      {model.intermediate_size, model.hidden_size},
      {model.hidden_size, model.vocab_size}};
  for (const LoraSlot& slot : plan.slots) {
    widths.insert({slot.in, -1});
    widths.insert({-1, slot.out});
  }
  return widths.size();
}

}  // namespace

void add_process_lines(const ModelConfig& model, const StepShape& shape, StepPlan& plan) {
  MemoryPlan& memory = plan.memory;
  memory.add_process("code, libraries and thread stacks",
                     kCode + Bytes{kThread.count * static_cast<std::uint64_t>(shape.threads)});
  memory.add_process("compiled products", Bytes{kProduct.count * distinct_products(model, plan)});
  memory.add_process("reading weights and rows", kReading);
  memory.add_process("adapter copy while saving",
                     Bytes{sizeof(float) * static_cast<std::uint64_t>(plan.parameters)});
}

}  // namespace loadline
