// The loss on rows that are not trained on.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "model/lora_model.h"
#include "text/packed.h"
#include "training/batches.h"
#include "training/settings.h"

namespace loadline {

struct EvaluationLoss {
  double cross_entropy = 0;  // per target token, sums in double; 0 when there is no target
  std::int64_t targets = 0;
};

// Rows in their order (kWorstFirst: the longest ones, longest first), packed greedily: a batch
// takes rows while it has at most batch_size of them and at most the step's tokens. So an
// evaluation needs no more memory than a training step. eval_batches bounds the number of batches,
// 0 is all (kWorstFirst: one).
class Evaluation {
 public:
  // `rows` must outlive this object; `tokens` is StepShape::tokens, at least the longest row.
  Evaluation(const PackedRows& rows, const TrainingSettings& settings, std::int64_t tokens);

  // Row i is known to a trunk store as `first` + i; without this it is not to know them.
  void give_keys(std::int64_t first) { buffer_.give_keys(first); }

  // Before each batch it tells `progress` how many of how many rows are done, at most, and asks
  // stop_requested(): nothing is returned when that says so.
  std::optional<EvaluationLoss> run(
      LoraModel& model, const std::function<bool()>& stop_requested,
      const std::function<void(std::int64_t done, std::int64_t rows)>& progress);

 private:
  [[nodiscard]] std::span<const std::int64_t> batch_from(std::int64_t first);
  [[nodiscard]] std::int64_t most_rows() const;

  const PackedRows& data_;
  std::int64_t batch_size_;
  std::int64_t max_seq_length_;
  std::int64_t tokens_;
  std::int64_t batches_;              // 0: all
  std::vector<std::int64_t> chosen_;  // empty: all, as they come
  std::int64_t count_;
  std::vector<std::int64_t> batch_;
  BatchBuffer buffer_;
};

}  // namespace loadline
