#include "training/effective_batch.h"

#include <algorithm>

#include "training/distrust.h"

namespace loadline {
namespace {

std::optional<double> mean_targets(const PackedRows& rows, const TrainingSettings& settings) {
  if (settings.order != RowOrder::kBalanced) return std::nullopt;
  double targets = 0;
  PassingRows passing(rows);
  for (std::int64_t i = 0; i < rows.size(); ++i) {
    targets += static_cast<double>(targets_of(passing.row(i), settings.max_seq_length));
  }
  return targets / static_cast<double>(rows.size()) *
         static_cast<double>(settings.batch_size * settings.grad_accumulation_steps);
}

}  // namespace

EffectiveBatch::EffectiveBatch(const PackedRows& rows, const TrainingSettings& settings,
                               std::int64_t tokens)
    : data_(rows),
      distrust_(settings.distrust),
      batch_size_(settings.batch_size),
      micro_batches_(settings.grad_accumulation_steps),
      max_seq_length_(settings.max_seq_length),
      order_(rows, settings),
      buffer_(tokens, settings.batch_size),
      seed_(settings.seed),
      mean_targets_(mean_targets(rows, settings)) {
  buffer_.give_keys(0);
  const auto count = static_cast<std::size_t>(batch_size_ * micro_batches_);
  indices_.resize(count);
  if (distrust_.mode == DistrustMode::kWeighted) weights_.resize(count);
}

Bytes EffectiveBatch::bytes(const TrainingSettings& settings) {
  const auto rows =
      static_cast<std::uint64_t>(settings.batch_size * settings.grad_accumulation_steps);
  const bool weighs = settings.distrust.mode == DistrustMode::kWeighted;
  return {rows * (sizeof(std::int64_t) + (weighs ? sizeof(float) : 0))};
}

void EffectiveBatch::select(std::int64_t step) {
  const auto batch = static_cast<std::size_t>(batch_size_);
  first_micro_batch_ = (step - 1) * micro_batches_;
  for (std::int64_t m = 0; m < micro_batches_; ++m) {
    order_.rows_of(first_micro_batch_ + m,
                   std::span(indices_).subspan(static_cast<std::size_t>(m) * batch, batch));
  }
  tokens_ = 0;
  targets_ = 0;
  largest_micro_batch_ = 0;
  longest_row_ = 0;
  std::int64_t micro_batch = 0;
  DistrustMean mean;
  PassingRows passing(data_);
  for (std::size_t i = 0; i < indices_.size(); ++i) {
    const PackedRow row = passing.row(indices_[i]);
    const auto length = std::min(static_cast<std::int64_t>(row.ids.size()), max_seq_length_);
    micro_batch = (i % batch == 0 ? 0 : micro_batch) + length;
    largest_micro_batch_ = std::max(largest_micro_batch_, micro_batch);
    longest_row_ = std::max(longest_row_, length);
    tokens_ += length;
    targets_ += targets_of(row, max_seq_length_);
    mean.add(row, distrust_);
  }
  const bool additive = distrust_.mode == DistrustMode::kAdditive;
  added_distrust_ = additive ? distrust_.lambda * mean.value() : 0.0;
  if (distrust_.mode == DistrustMode::kWeighted) weigh(mean.value());
}

void EffectiveBatch::weigh(double mean_score) {
  PassingRows passing(data_);
  for (std::size_t i = 0; i < indices_.size(); ++i) {
    weights_[i] = distrust_weight(passing.row(indices_[i]), mean_score);
  }
}

double EffectiveBatch::divisor() const {
  return std::max(1.0, mean_targets_.value_or(static_cast<double>(targets_)));
}

Batch EffectiveBatch::micro_batch(std::int64_t index) {
  const auto batch = static_cast<std::size_t>(batch_size_);
  const std::size_t first = static_cast<std::size_t>(index) * batch;
  const Batch filled =
      buffer_.fill(data_, std::span(indices_).subspan(first, batch), max_seq_length_);
  const std::span<float> coefficients = buffer_.coefficients();
  for (std::size_t r = 0; r < batch; ++r) {
    // 1 where there is a target, 0 elsewhere, as fill() left it.
    const float weight = weights_.empty() ? 1.0F : weights_[first + r];
    const float factor = weight / static_cast<float>(divisor());
    const auto begin = static_cast<std::size_t>(filled.row_starts[r]);
    const auto end = static_cast<std::size_t>(filled.row_starts[r + 1]);
    for (std::size_t t = begin; t < end; ++t) coefficients[t] *= factor;
  }
  Batch laid_out = buffer_.batch();
  // Of the run's seed and the micro-batch's number alone, so that a resumed run drops the same.
  laid_out.dropout_seed =
      (seed_ + 1) * 0x9e3779b97f4a7c15ULL ^
      static_cast<std::uint64_t>(first_micro_batch_ + index + 1) * 0xbf58476d1ce4e5b9ULL;
  return laid_out;
}

}  // namespace loadline
