// A decoder with a frozen base and LoRA on its last layers: forward, backward, update, over one
// arena.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>

#include "checkpoint/adapter.h"
#include "checkpoint/config.h"
#include "checkpoint/weights.h"
#include "kernels/adamw.h"
#include "model/batch.h"
#include "model/memory_plan.h"
#include "model/trunk_store.h"

namespace loadline {

class Gemm;

class LoraModel {
 public:
  // Maps the plan's arena and touches every page. Throws Error(kDoesNotFit) when the kernel refuses
  // the memory.
  LoraModel(const ModelConfig& model, const LoraSettings& lora, const StepShape& shape);
  LoraModel(const LoraModel&) = delete;
  LoraModel& operator=(const LoraModel&) = delete;
  ~LoraModel();

  // Reads the frozen weights into the arena. Throws Error(kBadInput) naming the tensor and both
  // shapes.
  void load_weights(const WeightFiles& files);
  // The same through a file of prepared weights, which is read where it is there and belongs to
  // these weights, and else written (where that is possible).
  void load_weights(const WeightFiles& files, const std::filesystem::path& prepared);
  // Random weights in place of a file's: bytes and speed do not depend on the values. Norms are 1,
  // biases 0.
  void generate_weights(std::uint64_t seed);
  // A as PEFT makes it (kaiming uniform with a = sqrt(5): bound 1 / sqrt(in)), B zero; a pure
  // function of the seed.
  void initialize_adapter(std::uint64_t seed);
  // Throws Error(kBadInput) when rank, targets or layers differ from this model's.
  void load_adapter(const Adapter& adapter);
  [[nodiscard]] Adapter adapter() const;

  // Compiles every product by a forward and backward over two tokens; leaves gradients and adapter
  // as they were. After it a step allocates nothing.
  void warm_up();

  // From here on batches with row_keys ask `trunk` for the lowest LoRA layer's input before the
  // layers below it are run, and give it what these made. It must outlive the model; null: none.
  void use_trunk(TrunkStore* trunk);

  // Adds the batch's gradient to gradients(). Throws std::logic_error for a batch larger than the
  // StepShape.
  BatchLoss forward_backward(const Batch& batch);
  // The loss alone.
  BatchLoss evaluate(const Batch& batch);
  // That of the frozen base: the same work whatever LoRA's settings are.
  BatchLoss evaluate_base(const Batch& batch);
  // The logits of the batch's last token, (V): for tests and generation.
  void last_logits(const Batch& batch, std::span<float> logits);

  // Adapter parameters, their gradient sums and Adam's moments, flat, in one order: by layer,
  // projection, A then B.
  [[nodiscard]] std::span<float> parameters();
  [[nodiscard]] std::span<float> gradients();
  [[nodiscard]] std::span<float> first_moments();
  [[nodiscard]] std::span<float> second_moments();
  void zero_gradients();
  // One AdamW update with gradients() x gradient_scale; refreshes the compute copies. LoRA+ (Hayou,
  // Ghosh and Yu 2024): the B matrices' learning rate is b_rate_ratio x settings.learning_rate.
  void update(const AdamW& settings, float gradient_scale, float b_rate_ratio = 1.0F);
  // After parameters() was written from outside (resume).
  void parameters_changed();

  [[nodiscard]] const MemoryPlan& plan() const;
  // Compiled products so far: must not rise after warm_up().
  [[nodiscard]] std::size_t compiled_products() const;
  [[nodiscard]] Gemm& products();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace loadline
