// How much of what training can meet a trial has met.
#pragma once

#include <cstdint>
#include <string>

#include "text/packed.h"
#include "training/settings.h"

namespace loadline {

// All lengths in tokens, after truncation.
struct Coverage {
  std::int64_t rows = 0;
  std::int64_t batch_size = 0;
  std::int64_t max_seq_length = 0;
  std::int64_t truncated_rows = 0;
  std::int64_t longest_row = 0;    // that ran
  std::int64_t largest_batch = 0;  // that ran; of a micro-batch
  // Of an epoch's micro-batches in training's own order, those that are no larger than the largest
  // that ran, and without a row longer than the longest that ran. 1 where the largest that ran is
  // the largest that any order can make.
  double share = 0;
};

// Counts what has run against what the data can produce. Made before the step's memory is taken:
// it sorts the lengths of all rows.
class CoverageMeter {
 public:
  // Both must outlive it.
  CoverageMeter(const PackedRows& rows, const TrainingSettings& settings);
  // An update has run: its longest row and its largest micro-batch.
  void met(std::int64_t longest_row, std::int64_t largest_batch);
  [[nodiscard]] Coverage coverage() const;

 private:
  [[nodiscard]] double share_of_epoch() const;

  const PackedRows& rows_;
  const TrainingSettings& settings_;
  Coverage met_;
  std::int64_t longest_possible_ = 0;
  std::int64_t largest_possible_ = 0;
};

// "covers 100 % of batches, longest row 812 tokens, largest batch 3248 tokens"; says where rows are
// cut and where the data has fewer rows than one batch, so that rows repeat in it.
std::string describe(const Coverage& coverage);

}  // namespace loadline
