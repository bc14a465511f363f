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
#include "kernels/wide_product.h"

namespace loadline {

enum class ActivationCheckpointing : std::uint8_t { kOff, kOn };
// Of the frozen projections; embedding, head, norms and biases stay as they are.
enum class Quantization : std::uint8_t { kNone, kNf4 };
[[nodiscard]] constexpr std::string_view name_of(Quantization quantization) {
  return quantization == Quantization::kNf4 ? "nf4" : "none";
}

// What decides the bytes of a step.
struct StepShape {
  std::int64_t tokens = 0;       // the most tokens that a batch may have: the sum of its rows
  std::int64_t rows = 0;         // the most rows of a batch
  std::int64_t longest_row = 0;  // the longest row, in tokens
  DType compute =
      DType::kF32;  // f32 or bf16: activations, frozen weights, compute copies of the adapter
  ActivationCheckpointing checkpointing = ActivationCheckpointing::kOff;
  Quantization quantize = Quantization::kNone;
  int threads = 1;
  Bytes row_order = {};  // the order of all rows, and the list of those of an update
  // bf16 products are made in f32 (kernels/wide_product.h).
  bool widen = bf16_products_are_slow();
  // bf16 products are made in tiles (kernels/tile_product.h), where there are any, however few
  // tokens a batch has.
  bool tiles = true;
  [[nodiscard]] bool widens() const { return widen && compute == DType::kBf16; }
};

// The two halves of a layer's tick, which follow one another: what lives in one half only may share
// its bytes with what lives in the other.
enum class Half : std::uint8_t { kAttention = 1, kMlp = 2, kBoth = 3 };

// A step runs through ticks: 0 is the forward's embedding, then a tick a layer, the head, a tick a
// layer back, update.
struct Lifetime {
  int first = 0;
  int last = 0;  // included
  Half half = Half::kBoth;
};

// True when there is a moment at which both live.
[[nodiscard]] constexpr bool meet(const Lifetime& a, const Lifetime& b) {
  return a.first <= b.last && b.first <= a.last &&
         (static_cast<unsigned>(a.half) & static_cast<unsigned>(b.half)) != 0;
}

struct Buffer {
  std::string name;  // "layer 3 attention q,k,v"
  std::vector<std::int64_t> shape;
  DType dtype = DType::kF32;
  Lifetime life;
  std::string_view
      phase;    // "weights", "adapter", "optimizer", "forward", "backward", "head", "process"
  Bytes bytes;  // rounded up to 64
  std::uint64_t offset = 0;  // in the arena; buffers whose lives do not meet may share bytes
  // A "process" line has no place in the arena.
  [[nodiscard]] bool in_arena() const { return phase != "process"; }
};

// The only way to a buffer's bytes: made by MemoryPlan::add, so a buffer that was not planned has
// no handle. A default one is "none".
class BufferId {
 public:
  BufferId() = default;
  explicit BufferId(std::size_t index) : index_(index) {}
  [[nodiscard]] bool exists() const { return index_ != kNone; }
  [[nodiscard]] std::size_t index() const { return index_; }
  friend bool operator==(BufferId, BufferId) = default;

 private:
  static constexpr std::size_t kNone = static_cast<std::size_t>(-1);
  std::size_t index_ = kNone;
};

class MemoryPlan {
 public:
  // Adds a buffer and returns its handle. Throws Error(kUsage) naming the buffer when its size
  // passes 2^48 bytes.
  BufferId add(std::string name, std::string_view phase, std::vector<std::int64_t> shape,
               DType dtype, Lifetime life);
  // A line that is not in the arena: code, libraries, compiled primitives, thread stacks.
  // Calibrated: docs/memory.md.
  // `untouched` is mapped beside them and stays untouched: no memory, but RLIMIT_DATA counts it.
  void add_process(std::string name, Bytes bytes, Bytes untouched = {});
  // Gives every buffer its offset: largest first, at the lowest place where no living buffer is.
  void place();

  [[nodiscard]] const std::vector<Buffer>& buffers() const { return buffers_; }
  [[nodiscard]] const Buffer& buffer(BufferId id) const { return buffers_.at(id.index()); }
  [[nodiscard]] Bytes arena() const { return arena_; }          // what the engine maps: whole pages
  [[nodiscard]] Bytes process() const { return process_; }      // beside the arena
  [[nodiscard]] Bytes untouched() const { return untouched_; }  // not in total()
  [[nodiscard]] PredictedBytes total() const { return {arena_ + process_}; }

 private:
  std::vector<Buffer> buffers_;
  Bytes arena_;
  Bytes process_;
  Bytes untouched_;
};

// The plan of a LoRA training step of `model`. Pure: reads no weights, well under a millisecond.
// Throws Error(kUsage) naming the value when rank, layers, targets or the step's shape are
// impossible for this model.
MemoryPlan plan_memory(const ModelConfig& model, const LoraSettings& lora, const StepShape& shape);

}  // namespace loadline
