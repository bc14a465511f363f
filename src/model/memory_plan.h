// Every byte of a training process, before it runs: named buffers with shapes, types and lifetimes,
// and where each lies in the arena. The engine allocates exactly this; `loadline plan` prints it;
// the search starts from its sum.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/dtype.h"
#include "checkpoint/adapter.h"
#include "checkpoint/config.h"

namespace loadline {

enum class ActivationCheckpointing : std::uint8_t { kOff, kOn };

// What decides the bytes of a step.
struct StepShape {
  std::int64_t tokens = 0;       // the most tokens that a batch may have: the sum of its rows
  std::int64_t rows = 0;         // the most rows of a batch
  std::int64_t longest_row = 0;  // the longest row, in tokens
  DType compute =
      DType::kF32;  // f32 or bf16: activations, frozen weights, compute copies of the adapter
  ActivationCheckpointing checkpointing = ActivationCheckpointing::kOff;
  int threads = 1;
};

// A step runs through ticks: 0 is the forward's embedding, then a tick a layer, the head, a tick a
// layer back, update.
struct Lifetime {
  int first = 0;
  int last = 0;  // included
};

struct Buffer {
  std::string name;  // "layer 3 attention q,k,v"
  std::vector<std::int64_t> shape;
  DType dtype = DType::kF32;
  Lifetime life;
  std::string_view
      phase;    // "weights", "adapter", "optimizer", "forward", "backward", "head", "process"
  Bytes bytes;  // rounded up to 64
  std::uint64_t offset = 0;  // in the arena; buffers whose lives do not meet may share bytes
};

class MemoryPlan {
 public:
  // Adds a buffer and returns its index. Throws Error(kUsage) naming the buffer when its size
  // passes 2^48 bytes.
  std::size_t add(std::string name, std::string_view phase, std::vector<std::int64_t> shape,
                  DType dtype, Lifetime life);
  // A line that is not in the arena: code, libraries, compiled primitives, thread stacks.
  // Calibrated: docs/memory.md.
  void add_process(std::string name, Bytes bytes);
  // Gives every buffer its offset: largest first, at the lowest place where no living buffer is.
  void place();

  [[nodiscard]] const std::vector<Buffer>& buffers() const { return buffers_; }
  [[nodiscard]] Bytes arena() const { return arena_; }      // what the engine maps
  [[nodiscard]] Bytes process() const { return process_; }  // beside the arena
  [[nodiscard]] PredictedBytes total() const { return {arena_ + process_}; }

 private:
  std::vector<Buffer> buffers_;
  Bytes arena_;
  Bytes process_;
};

// The plan of a LoRA training step of `model`. Pure: reads no weights, microseconds.
MemoryPlan plan_memory(const ModelConfig& model, const LoraSettings& lora, const StepShape& shape);

}  // namespace loadline
