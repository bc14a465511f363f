// Which rows make which batch, and the batch laid out for the model.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "model/batch.h"
#include "text/packed.h"
#include "training/settings.h"

namespace loadline {

// The row indices of every micro-batch, a pure function of (rows, settings, number): nothing to
// save but the number. kShuffled: each epoch is a permutation from the seed; a batch may span two
// epochs, so that all have batch_size rows.
class BatchOrder {
 public:
  BatchOrder(const PackedRows& rows, const TrainingSettings& settings);
  // Fills `into` (batch_size long) with the rows of micro-batch `number`, counted from 0.
  void rows_of(std::int64_t number, std::span<std::int64_t> into);
  // True when the data has fewer rows than one batch: rows repeat within a batch, and somebody
  // should be told.
  [[nodiscard]] bool repeats_within_batch() const;

 private:
  void permute(std::int64_t epoch);
  std::vector<std::int64_t> order_;
  std::int64_t epoch_ = -1;
  std::int64_t batch_size_;
  std::uint64_t seed_;
  RowOrder kind_;
  std::vector<std::int64_t> longest_;  // kWorstFirst: the rows of the first batch
};

// Storage for one batch, sized once; fill() allocates nothing.
class BatchBuffer {
 public:
  BatchBuffer(std::int64_t tokens, std::int64_t rows);
  // Lays out the rows, truncated to max_seq_length. Coefficients are left at 1 where there is a
  // target.
  Batch fill(const PackedRows& data, std::span<const std::int64_t> rows,
             std::int64_t max_seq_length);
  [[nodiscard]] std::span<float> coefficients() { return coefficients_; }
  // After coefficients were written.
  [[nodiscard]] Batch batch() const;

 private:
  std::vector<std::int32_t> ids_, targets_, row_starts_;
  std::vector<float> coefficients_;
  std::int64_t tokens_ = 0;
  std::int64_t rows_ = 0;
};

}  // namespace loadline
