// A decoder that continues a text: prompt and continuation go through it once, keys and values
// stay.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>

#include "checkpoint/weights.h"
#include "kernels/sampling.h"
#include "model/generation_plan.h"

namespace loadline {

class Generator {
 public:
  // Maps the plan's arena and touches every page. Throws Error(kDoesNotFit) when the kernel refuses
  // the memory. `adapter` may have no pairs; it is copied into the arena.
  Generator(const ModelConfig& model, const AnyAdapter& adapter, const GenerationShape& shape);
  Generator(const Generator&) = delete;
  Generator& operator=(const Generator&) = delete;
  ~Generator();

  // Reads the frozen weights into the arena. Throws Error(kBadInput) naming the tensor.
  void load_weights(const WeightFiles& files);
  // The same through a file of prepared weights, as LoraModel has them: it is one file for both.
  void load_weights(const WeightFiles& files, const std::filesystem::path& prepared);
  // Compiles every product; after it feed() allocates nothing.
  void warm_up();

  // Takes `ids` as the tokens that follow those it had, and returns the logits (V) of what follows
  // the last one; the view is good until the next call. Throws std::logic_error past the context or
  // for none, Error(kBadInput) for an id that the model does not have. Many are taken in chunks,
  // before each of which `stop_requested` is asked: when that says so, nothing is returned, and
  // position() tells how far it came.
  std::span<const float> feed(std::span<const std::int32_t> ids,
                              const std::function<bool()>& stop_requested = {});
  // The token that `settings` choose from the last logits; -1 when these are not numbers.
  std::int32_t sample(const SamplingSettings& settings, double uniform);
  // Tokens so far.
  [[nodiscard]] std::int64_t position() const;
  // Forgets all of them.
  void restart();

  [[nodiscard]] const MemoryPlan& plan() const;
  [[nodiscard]] std::size_t compiled_products() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace loadline
