#include "training/reference_work.h"

#include <algorithm>

#include "base/stopwatch.h"

namespace loadline {

ReferenceWork::ReferenceWork(const PackedRows& rows, const TrainingSettings& settings)
    : rows_(rows),
      longest_(longest_rows(rows, std::min(settings.max_seq_length, kReferenceTokens), 1)),
      tokens_(std::min({rows.length(longest_.front()), settings.max_seq_length, kReferenceTokens})),
      buffer_(tokens_, 1) {}

ReferenceTime ReferenceWork::before_step(LoraModel& model) {
  if (spent_seconds_ > std::max(kLeastSeconds, kShare * step_seconds_)) return latest_;
  const Batch batch = buffer_.fill(rows_, longest_, tokens_);
  const Stopwatch watch;
  model.evaluate_base(batch);
  latest_ = {.tokens = tokens_, .seconds = watch.seconds()};
  spent_seconds_ += latest_.seconds;
  return latest_;
}

}  // namespace loadline
