// A committed tiny model with its adapter before and after eight steps, and the steps between. Made
// by tests/golden/make_model_golden.py.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "checkpoint/adapter.h"
#include "checkpoint/config.h"
#include "model/batch.h"
#include "model/lora_model.h"

namespace loadline::golden {

inline std::filesystem::path source_folder() { return LOADLINE_SOURCE_DIR; }

// A batch that owns its arrays. Coefficients are 1 / number of targets: a mean.
class OwnedBatch {
 public:
  void add_row(std::span<const std::int32_t> ids, std::span<const std::int32_t> targets);
  // The row predicts all of itself.
  void add_row(std::span<const std::int32_t> ids);
  void set_coefficients(float value);
  [[nodiscard]] std::int64_t targets() const;
  [[nodiscard]] std::int64_t tokens() const { return static_cast<std::int64_t>(ids_.size()); }
  [[nodiscard]] Batch view() const;
  // Rows [first, first + count) with the coefficients that they have here.
  [[nodiscard]] OwnedBatch rows(std::size_t first, std::size_t count) const;

 private:
  std::vector<std::int32_t> ids_, targets_, row_starts_{0};
  std::vector<float> coefficients_;
};

struct GoldenStep {
  OwnedBatch batch;
  double loss = 0;
  double grad_norm = 0;
};

struct GoldenCase {
  std::filesystem::path folder;
  ModelConfig config;
  Adapter before, after;
  Quantization quantize = Quantization::kNone;
  AdamW adamw;
  double max_grad_norm = 0;
  std::vector<GoldenStep> steps;
};

std::vector<std::string> case_names();
GoldenCase read_case(const std::string& name);

// A shape that holds every batch of the case.
StepShape shape_for(const GoldenCase& golden, DType compute, ActivationCheckpointing checkpointing);
// The case's model with its weights and the adapter from before step 1.
std::unique_ptr<LoraModel> load_model(const GoldenCase& golden, const StepShape& shape);

// What one update reports: the mean loss and the gradient's norm before clipping.
struct Stepped {
  double loss = 0;
  double grad_norm = 0;
};
Stepped run_step(LoraModel& model, const GoldenCase& golden, std::size_t step);

}  // namespace loadline::golden
