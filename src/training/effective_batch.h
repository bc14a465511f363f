// The rows of one update: grad_accumulation_steps micro-batches that count as one batch.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "model/batch.h"
#include "text/packed.h"
#include "training/batches.h"
#include "training/settings.h"

namespace loadline {

// The gradient of an update is the exact mean over the target tokens of all its micro-batches:
// every target's coefficient is its row's weight / targets(). So 2 x 4 rows give the gradient of 1
// x 8. Everything is sized at construction; select() and micro_batch() allocate nothing.
//
// With RowOrder::kBalanced the divisor is another one: the mean of targets() over an epoch. Batches
// that are not drawn at random would otherwise weigh a token by its company: so each target of an
// epoch weighs the same, and the mean of an epoch's gradients is that of all its targets.
class EffectiveBatch {
 public:
  // `rows` must outlive this object; `tokens` is the most that a micro-batch may have.
  EffectiveBatch(const PackedRows& rows, const TrainingSettings& settings, std::int64_t tokens);

  // Chooses the rows of update `step`, counted from 1.
  void select(std::int64_t step);

  [[nodiscard]] std::int64_t micro_batches() const { return micro_batches_; }
  // Lays out micro-batch `index` of the selected update; the view is good until the next call.
  Batch micro_batch(std::int64_t index);

  [[nodiscard]] std::int64_t tokens() const { return tokens_; }  // after truncation
  [[nodiscard]] std::int64_t largest_micro_batch() const { return largest_micro_batch_; }  // tokens
  [[nodiscard]] std::int64_t longest_row() const { return longest_row_; }                  // tokens
  [[nodiscard]] std::int64_t targets() const { return targets_; }  // predicted tokens
  // What a target's coefficient was divided by: targets(), or kBalanced's mean; at least 1.
  [[nodiscard]] double divisor() const;
  // `additive`: lambda x mean of the distrust term over the rows that carry the fields; else 0.
  [[nodiscard]] double added_distrust() const { return added_distrust_; }
  [[nodiscard]] BatchOrder& order() { return order_; }
  // What the rows of an update take, at most: for the memory plan.
  [[nodiscard]] static Bytes bytes(const TrainingSettings& settings);

 private:
  void weigh(double mean_score);

  const PackedRows& data_;
  DistrustSettings distrust_;
  std::int64_t batch_size_;
  std::int64_t micro_batches_;
  std::int64_t max_seq_length_;
  BatchOrder order_;
  BatchBuffer buffer_;
  std::uint64_t seed_;
  std::int64_t first_micro_batch_ = 0;  // of the selected update, over the whole run
  std::vector<std::int64_t> indices_;   // of the rows of all micro-batches
  std::vector<float> weights_;          // kWeighted: of these
  std::int64_t tokens_ = 0;
  std::int64_t targets_ = 0;
  std::int64_t largest_micro_batch_ = 0;
  std::int64_t longest_row_ = 0;
  double added_distrust_ = 0;
  std::optional<double> mean_targets_;  // kBalanced: of an update
};

}  // namespace loadline
