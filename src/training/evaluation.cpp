#include "training/evaluation.h"

#include <algorithm>
#include <numeric>

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
  std::vector<std::int64_t> indices(static_cast<std::size_t>(rows.size()));
  std::iota(indices.begin(), indices.end(), 0);
  return indices;
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
      indices_(rows_to_evaluate(rows, settings)),
      buffer_(tokens, settings.batch_size) {}

// The end of the batch that starts at indices_[first]; at least one row, which always fits.
std::size_t Evaluation::next_batch(std::size_t first) const {
  std::int64_t tokens = 0;
  std::size_t end = first;
  while (end < indices_.size() && static_cast<std::int64_t>(end - first) < batch_size_) {
    tokens += std::min(data_.length(indices_[end]), max_seq_length_);
    if (tokens > tokens_ && end > first) break;
    ++end;
  }
  return end;
}

std::int64_t Evaluation::most_rows() const {
  const auto all = static_cast<std::int64_t>(indices_.size());
  // Compared by division: batches x batch_size may pass 63 bits.
  return batches_ == 0 || batches_ > all / batch_size_ ? all : batches_ * batch_size_;
}

std::optional<EvaluationLoss> Evaluation::run(
    LoraModel& model, const std::function<bool()>& stop_requested,
    const std::function<void(std::int64_t, std::int64_t)>& progress) {
  EvaluationLoss result;
  double sum = 0;
  std::int64_t batches = 0;
  for (std::size_t first = 0; first < indices_.size(); ++batches) {
    if (batches_ > 0 && batches == batches_) break;
    progress(static_cast<std::int64_t>(first), most_rows());
    if (stop_requested()) return std::nullopt;
    const std::size_t end = next_batch(first);
    const BatchLoss loss = model.evaluate(
        buffer_.fill(data_, std::span(indices_).subspan(first, end - first), max_seq_length_));
    sum += loss.cross_entropy;
    result.targets += loss.targets;
    data_.forget_pages();  // else the process would come to hold the whole file
    first = end;
  }
  if (result.targets > 0) result.cross_entropy = sum / static_cast<double>(result.targets);
  return result;
}

}  // namespace loadline
