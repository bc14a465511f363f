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
  std::int64_t longest_row = 0;       // that ran
  std::int64_t largest_batch = 0;     // that ran; of a micro-batch
  std::int64_t longest_possible = 0;  // of the data
  std::int64_t largest_possible = 0;  // that any order of the data can make
  [[nodiscard]] bool is_all() const {
    return largest_batch >= largest_possible && longest_row >= longest_possible;
  }
};

// Counts what has run against what the data can produce, in whatever order. Made before the step's
// memory is taken: it sorts the lengths of all rows.
class CoverageMeter {
 public:
  CoverageMeter(const PackedRows& rows, const TrainingSettings& settings);
  // An update has run: its longest row and its largest micro-batch.
  void met(std::int64_t longest_row, std::int64_t largest_batch);
  [[nodiscard]] const Coverage& coverage() const { return met_; }

 private:
  Coverage met_;
};

// "covers 100 % of batches, longest row 812 tokens, largest batch 3248 tokens", or "does not cover
// all batches, longest row 800 of 812 tokens, ..."; says where rows are cut and where the data has
// fewer rows than one batch, so that rows repeat in it.
std::string describe(const Coverage& coverage);

}  // namespace loadline
