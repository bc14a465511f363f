#include <algorithm>
#include <vector>

#include "training/batches.h"
#include "training/trainer.h"

namespace loadline {

std::int64_t worst_batch_tokens(const TrainingSettings& settings, const PackedRows& train) {
  std::int64_t tokens = 0;
  for (const std::int64_t row : longest_rows(train, settings.max_seq_length, settings.batch_size)) {
    tokens += std::min(train.length(row), settings.max_seq_length);
  }
  return tokens;
}

StepShape step_shape(const TrainingSettings& settings, const PackedRows& train,
                     const PackedRows* valid) {
  const auto longest = [&](const PackedRows& rows) {
    const std::int64_t row = longest_rows(rows, settings.max_seq_length, 1).front();
    return std::min(rows.length(row), settings.max_seq_length);
  };
  const std::int64_t longest_train = longest(train);
  const std::int64_t longest_valid = valid == nullptr ? 0 : longest(*valid);
  return {.tokens = std::max(worst_batch_tokens(settings, train), longest_valid),
          .rows = settings.batch_size,
          .longest_row = std::max(longest_train, longest_valid),
          .compute = settings.compute,
          .checkpointing = settings.checkpointing,
          .quantize = settings.quantize,
          .threads = settings.threads};
}

}  // namespace loadline
