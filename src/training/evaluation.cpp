#include "training/evaluation.h"

#include <algorithm>

namespace loadline {
namespace {

std::vector<std::int64_t> rows_to_evaluate(const PackedRows& rows,
                                           const TrainingSettings& settings) {
  if (settings.is_trial()) {
    const std::int64_t batches = std::max<std::int64_t>(1, settings.eval_batches);
    // Compared by division: batches x batch_size may pass 63 bits.
    const std::int64_t wanted =
        batches > rows.size() / settings.batch_size ? rows.size() : batches * settings.batch_size;
    return longest_rows(rows, settings.max_seq_length, wanted);
  }
  return {};
}

}  // namespace

Evaluation::Evaluation(const PackedRows& rows, const TrainingSettings& settings,
                       std::int64_t tokens)
    : data_(rows),
      batch_size_(settings.batch_size),
      max_seq_length_(settings.max_seq_length),
      tokens_(tokens),
      batches_(settings.is_trial() ? std::max<std::int64_t>(1, settings.eval_batches)
                                   : settings.eval_batches),
      chosen_(rows_to_evaluate(rows, settings)),
      count_(chosen_.empty() ? rows.size() : std::ssize(chosen_)),
      batch_(static_cast<std::size_t>(settings.batch_size)),
      buffer_(tokens, settings.batch_size) {}

// The rows of the batch that starts with number `first`; at least one, which always fits.
std::span<const std::int64_t> Evaluation::batch_from(std::int64_t first) {
  std::int64_t tokens = 0;
  std::size_t rows = 0;
  for (std::int64_t i = first; i < count_ && rows < batch_.size(); ++i) {
    const std::int64_t row = chosen_.empty() ? i : chosen_[static_cast<std::size_t>(i)];
    tokens += std::min(data_.length(row), max_seq_length_);
    if (tokens > tokens_ && rows > 0) break;
    batch_[rows++] = row;
  }
  return std::span(batch_).first(rows);
}

std::int64_t Evaluation::most_rows() const {
  // Compared by division: batches x batch_size may pass 63 bits.
  return batches_ == 0 || batches_ > count_ / batch_size_ ? count_ : batches_ * batch_size_;
}

std::optional<EvaluationLoss> Evaluation::run(
    LoraModel& model, const std::function<bool()>& stop_requested,
    const std::function<void(std::int64_t, std::int64_t)>& progress) {
  EvaluationLoss result;
  double sum = 0;
  std::int64_t batches = 0;
  for (std::int64_t first = 0; first < count_; ++batches) {
    if (batches_ > 0 && batches == batches_) break;
    progress(first, most_rows());
    if (stop_requested()) return std::nullopt;
    const std::span<const std::int64_t> rows = batch_from(first);
    const BatchLoss loss = model.evaluate(buffer_.fill(data_, rows, max_seq_length_));
    sum += loss.cross_entropy;
    result.targets += loss.targets;
    first += std::ssize(rows);
  }
  if (result.targets > 0) result.cross_entropy = sum / static_cast<double>(result.targets);
  return result;
}

}  // namespace loadline
