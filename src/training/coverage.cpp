#include "training/coverage.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "training/batches.h"
#include "training/trainer.h"

namespace loadline {
namespace {

// Rounded down: 99.9 % is not all.
std::string percent(double share) {
  return share >= 1 ? std::string("100") : fmt::format("{:.1f}", std::floor(share * 1000) / 10);
}

}  // namespace

CoverageMeter::CoverageMeter(const PackedRows& rows, const TrainingSettings& settings)
    : rows_(rows),
      settings_(settings),
      met_{.rows = rows.size(),
           .batch_size = settings.batch_size,
           .max_seq_length = settings.max_seq_length},
      largest_possible_(worst_batch_tokens(settings, rows)) {
  for (std::int64_t i = 0; i < rows.size(); ++i) {
    met_.truncated_rows += rows.length(i) > settings.max_seq_length ? 1 : 0;
    longest_possible_ =
        std::max(longest_possible_, std::min(rows.length(i), settings.max_seq_length));
  }
}

void CoverageMeter::met(std::int64_t longest_row, std::int64_t largest_batch) {
  met_.longest_row = std::max(met_.longest_row, longest_row);
  met_.largest_batch = std::max(met_.largest_batch, largest_batch);
}

Coverage CoverageMeter::coverage() const {
  Coverage coverage = met_;
  const bool all = met_.largest_batch >= largest_possible_ && met_.longest_row >= longest_possible_;
  coverage.share = all ? 1 : share_of_epoch();
  return coverage;
}

// Walks one epoch as training would.
double CoverageMeter::share_of_epoch() const {
  TrainingSettings settings = settings_;
  settings.order = RowOrder::kShuffled;
  BatchOrder order(rows_, settings);
  std::vector<std::int64_t> batch(static_cast<std::size_t>(settings.batch_size));
  const std::int64_t count = (rows_.size() + settings.batch_size - 1) / settings.batch_size;
  std::int64_t covered = 0;
  for (std::int64_t number = 0; number < count; ++number) {
    order.rows_of(number, batch);
    std::int64_t tokens = 0;
    std::int64_t longest = 0;
    for (const std::int64_t row : batch) {
      const std::int64_t length = std::min(rows_.length(row), settings.max_seq_length);
      tokens += length;
      longest = std::max(longest, length);
    }
    covered += tokens <= met_.largest_batch && longest <= met_.longest_row ? 1 : 0;
  }
  return static_cast<double>(covered) / static_cast<double>(count);
}

std::string describe(const Coverage& coverage) {
  std::string text =
      fmt::format("covers {} % of batches, longest row {} tokens, largest batch {} tokens",
                  percent(coverage.share), coverage.longest_row, coverage.largest_batch);
  if (coverage.truncated_rows > 0) {
    text += fmt::format("; {} of {} rows were cut to {} tokens", coverage.truncated_rows,
                        coverage.rows, coverage.max_seq_length);
  }
  if (coverage.rows < coverage.batch_size) {
    text += fmt::format("; the data has {} rows, fewer than the batch of {}: rows repeat in it",
                        coverage.rows, coverage.batch_size);
  }
  return text;
}

}  // namespace loadline
