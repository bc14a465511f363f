#include <algorithm>
#include <optional>
#include <vector>

#include "training/batches.h"
#include "training/effective_batch.h"
#include "training/trainer.h"

namespace loadline {

namespace {

// Above this many uses of rows the bound that holds for any order is taken.
constexpr std::int64_t kMostUses = 10'000'000;

// Balanced batches are known: the largest of those that the run will really use.
std::optional<std::int64_t> worst_balanced_tokens(const TrainingSettings& settings,
                                                  const PackedRows& train) {
  if (settings.order != RowOrder::kBalanced) return std::nullopt;
  // Compared by division: the product may pass 63 bits.
  const std::int64_t rows = settings.batch_size * settings.grad_accumulation_steps;
  if (settings.max_steps > kMostUses / rows) return std::nullopt;
  BatchOrder order(train, settings);
  std::vector<std::int64_t> batch(static_cast<std::size_t>(settings.batch_size));
  std::int64_t worst = 0;
  for (std::int64_t m = 0; m < settings.max_steps * settings.grad_accumulation_steps; ++m) {
    order.rows_of(m, batch);
    std::int64_t tokens = 0;
    for (const std::int64_t row : batch) {
      tokens += order.length(row);
    }
    worst = std::max(worst, tokens);
  }
  return worst;
}

Bytes row_order_bytes(const TrainingSettings& settings, const PackedRows& train,
                      const PackedRows* valid, const PackedRows* test) {
  Bytes sum = EffectiveBatch::bytes(settings);
  Bytes passing;  // one file at a time
  for (const PackedRows* all : {&train, valid, test}) {
    if (all == nullptr) continue;
    passing = std::max(passing, all->passing_bytes());
    const PackedRows rows = all->within(settings.max_seq_length);
    sum += rows.list_bytes();
    if (all == &train) sum += BatchOrder::bytes(rows.size(), settings);
  }
  return sum + passing;
}

}  // namespace

std::int64_t worst_batch_tokens(const TrainingSettings& settings, const PackedRows& all) {
  const PackedRows train = all.within(settings.max_seq_length);
  if (const auto known = worst_balanced_tokens(settings, train)) return *known;
  // With fewer rows than a batch they come round again.
  const std::int64_t rounds = settings.batch_size / train.size();
  std::int64_t left = settings.batch_size % train.size();
  std::int64_t tokens = 0;
  for (const auto& [length, rows] : train.lengths()) {
    const std::int64_t uses = rounds * rows + std::min(rows, left);
    tokens += uses * std::min(length, settings.max_seq_length);
    left -= std::min(rows, left);
  }
  return tokens;
}

std::int64_t longest_row_tokens(const TrainingSettings& settings, const PackedRows& rows) {
  const PackedRows kept = rows.within(settings.max_seq_length);
  return std::min(kept.lengths().front().length, settings.max_seq_length);
}

StepShape step_shape(const TrainingSettings& settings, const PackedRows& train,
                     const PackedRows* valid, const PackedRows* test) {
  const auto longest = [&](const PackedRows* rows) {
    return rows == nullptr ? 0 : longest_row_tokens(settings, *rows);
  };
  const std::int64_t longest_train = longest(&train);
  const std::int64_t longest_valid = std::max(longest(valid), longest(test));
  // Balanced batches of a few updates need not have the longest row.
  return {.tokens = std::max({worst_batch_tokens(settings, train), longest_train, longest_valid}),
          .rows = settings.batch_size,
          .longest_row = std::max(longest_train, longest_valid),
          .compute = settings.compute,
          .checkpointing = settings.checkpointing,
          .quantize = settings.quantize,
          .threads = settings.threads,
          .row_order = row_order_bytes(settings, train, valid, test)};
}

}  // namespace loadline
