// The rows of a run: what is trained on, validated with and tested with.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "checkpoint/config.h"
#include "model/memory_plan.h"
#include "text/packed.h"
#include "training/metrics.h"
#include "training/settings.h"

namespace loadline {

class TrainingRows {
 public:
  // Opens the packed files that the settings name, which must outlive it. Rows without a token to
  // predict within max_seq_length are left out. Throws Error(kBadInput) where a file has no others.
  explicit TrainingRows(const TrainingSettings& settings);

  [[nodiscard]] const PackedRows& train() const { return train_; }
  // Null: there are none.
  [[nodiscard]] const PackedRows* valid() const { return valid_ ? &*valid_ : nullptr; }
  // Those that the loss is told of while it trains: in a trial without validation rows the
  // training rows.
  [[nodiscard]] const PackedRows* evaluated() const {
    return valid_ || !settings_.is_trial() ? valid() : &train_;
  }
  [[nodiscard]] const PackedRows* test() const { return test_ ? &*test_ : nullptr; }

  // What a step has to have room for: step_shape(). Throws Error(kBadInput) where an id is beyond
  // the model's vocabulary, Error(kUsage) where a row is longer than its positions.
  [[nodiscard]] StepShape shape_for(const ModelConfig& model) const;
  // What the validation loss is a mean over; empty: nothing.
  [[nodiscard]] std::string validation() const;
  // What the losses are means over, in short.
  [[nodiscard]] EvaluatedRows names() const;

 private:
  [[nodiscard]] std::string mean_over(const std::optional<PackedRows>& rows,
                                      std::int64_t batches) const;

  const TrainingSettings& settings_;
  PackedRows train_;
  std::optional<PackedRows> valid_, test_;
};

}  // namespace loadline
