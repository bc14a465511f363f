#include "training/coverage.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/counted.h"
#include "training/trainer.h"

namespace loadline {
namespace {

// "812 tokens", or "800 of 812 tokens".
std::string of_possible(std::int64_t met, std::int64_t possible) {
  return met >= possible ? fmt::format("{} tokens", met)
                         : fmt::format("{} of {} tokens", met, possible);
}

}  // namespace

CoverageMeter::CoverageMeter(const PackedRows& rows, const TrainingSettings& settings)
    : met_{.rows = rows.size(),
           .batch_size = settings.batch_size,
           .max_seq_length = settings.max_seq_length,
           .longest_possible = longest_row_tokens(settings, rows),
           .largest_possible = worst_batch_tokens(settings, rows)} {
  for (const auto& [length, count] : rows.lengths()) {
    met_.truncated_rows += length > settings.max_seq_length ? count : 0;
  }
}

void CoverageMeter::met(std::int64_t longest_row, std::int64_t largest_batch) {
  met_.longest_row = std::max(met_.longest_row, longest_row);
  met_.largest_batch = std::max(met_.largest_batch, largest_batch);
}

std::string describe(const Coverage& coverage) {
  std::string text =
      fmt::format("{}, longest row {}, largest batch {}",
                  coverage.is_all() ? "covers 100 % of batches" : "does not cover all batches",
                  of_possible(coverage.longest_row, coverage.longest_possible),
                  of_possible(coverage.largest_batch, coverage.largest_possible));
  if (coverage.truncated_rows > 0) {
    text += fmt::format("; {} of {} rows were cut to {} tokens", coverage.truncated_rows,
                        coverage.rows, coverage.max_seq_length);
  }
  if (coverage.rows < coverage.batch_size) {
    text += fmt::format("; the data has {}, fewer than the batch of {}: rows repeat in it",
                        counted(coverage.rows, "row"), coverage.batch_size);
  }
  return text;
}

}  // namespace loadline
