// Which rows make which batch, and the batch laid out for the model.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "model/batch.h"
#include "text/packed.h"
#include "training/settings.h"

namespace loadline {

// The `count` longest rows after truncation, longest first, earlier rows first among equals. With
// fewer than `count` rows they come round again.
std::vector<std::int64_t> longest_rows(const PackedRows& rows, std::int64_t max_seq_length,
                                       std::int64_t count);

// The row indices of every micro-batch, a pure function of (rows, settings, number): nothing to
// save but the number.
// kShuffled: each epoch is a permutation from the seed. A batch may span two epochs, so that all
// have batch_size rows and every row is used once an epoch; the new epoch then starts with rows
// that the batch does not hold yet. So no batch holds a row twice and none is longer than the
// batch_size longest rows together. kFile: the file's order, again and again. With fewer rows than
// batch_size each batch is made of all rows, as often as needed.
// kBalanced: kShuffled, but within each kWindow batches of an epoch the rows are dealt out again,
// the longest first, each to the batch that has the fewest tokens. There is no padding to save, so
// rows of one length are not put together: batches of one size make the peak small and steps even.
class BatchOrder {
 public:
  // How many times the longest batch comes first in kWorstFirst: in a first update, and in one that
  // finds the optimizer's state in place.
  static constexpr std::int64_t kWorstBatches = 2;
  static constexpr std::int64_t kWindow = 16;

  BatchOrder(const PackedRows& rows, const TrainingSettings& settings);
  // Fills `into` (batch_size long) with the rows of micro-batch `number`, counted from 0. Allocates
  // nothing.
  void rows_of(std::int64_t number, std::span<std::int64_t> into);
  // kBalanced: of a row, cut to max_seq_length; without touching the file.
  [[nodiscard]] std::int64_t length(std::int64_t row) const {
    return lengths_[static_cast<std::size_t>(row)];
  }
  // What it takes for `rows` rows, at most: for the memory plan.
  [[nodiscard]] static Bytes bytes(std::int64_t rows, const TrainingSettings& settings);

 private:
  struct Dealt {
    std::int64_t length = 0, place = 0, row = 0;
  };

  // The data has fewer rows than one batch.
  [[nodiscard]] bool repeats_within_batch() const { return rows_ < batch_size_; }
  void shuffled_rows_of(std::int64_t number, std::span<std::int64_t> into);
  void go_to(std::int64_t epoch);
  void advance();
  void permute(std::int64_t epoch);
  void put_last(std::span<std::int64_t> tail);
  void balance();
  void deal(std::span<std::int64_t> window);

  std::vector<std::int64_t> order_;  // kShuffled: the rows of epoch_
  std::int64_t epoch_ = -1;
  std::int64_t rows_;
  std::int64_t batch_size_;
  std::uint64_t seed_;
  RowOrder kind_;
  std::vector<std::int64_t> longest_;  // kWorstFirst: the rows of the first batches
  std::vector<std::int64_t> tail_;     // rows of the batch that spans two epochs
  std::vector<std::int64_t> moved_;
  std::vector<std::int32_t> lengths_;  // kBalanced: of each row, truncated
  std::vector<Dealt> dealt_;           // kBalanced: a window's rows, the longest first
};

// How often the first `updates` updates use each row.
struct RowUse {
  std::int64_t rows = 0;    // of the data
  std::int64_t uses = 0;    // of all rows together
  std::int64_t tokens = 0;  // of all uses together, after truncation
  std::int64_t least = 0;   // of the row that is used least
  std::int64_t most = 0;
  std::int64_t unused = 0;  // rows that are never used
};
// `order` is that of these rows and settings.
RowUse row_use(const PackedRows& rows, const TrainingSettings& settings, std::int64_t updates,
               BatchOrder& order);

// Storage for one batch, sized once; fill() allocates nothing.
class BatchBuffer {
 public:
  BatchBuffer(std::int64_t tokens, std::int64_t rows);
  // Lays out the rows, truncated to max_seq_length. Coefficients are left at 1 where there is a
  // target, 0 elsewhere. Throws std::logic_error for rows that are more than the storage.
  Batch fill(const PackedRows& data, std::span<const std::int64_t> rows,
             std::int64_t max_seq_length);
  // From here on a batch's row_keys are `first` + the rows' indices; else they are empty.
  void give_keys(std::int64_t first) { first_key_ = first; }
  [[nodiscard]] std::span<float> coefficients() { return coefficients_; }
  // After coefficients were written.
  [[nodiscard]] Batch batch() const;

 private:
  void append(const PackedRow& row, std::int64_t index, std::int64_t max_seq_length);

  std::vector<std::int32_t> ids_, targets_, row_starts_;
  std::vector<float> coefficients_;
  std::vector<std::int64_t> row_keys_;
  std::int64_t first_key_ = -1;  // below 0: none are given
  std::int64_t tokens_ = 0;
  std::int64_t rows_ = 0;
};

// How many tokens of the row are predicted when it is truncated to max_seq_length.
std::int64_t targets_of(const PackedRow& row, std::int64_t max_seq_length);

}  // namespace loadline
