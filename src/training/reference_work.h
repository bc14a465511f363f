// A fixed piece of work beside a trial's steps. A machine's speed changes from second to second and
// from trial to trial (heat, neighbours on its caches and memory): a step is worth what it does in
// the time that this work takes at that moment.
#pragma once

#include <cstdint>
#include <vector>

#include "model/lora_model.h"
#include "text/packed.h"
#include "training/batches.h"
#include "training/settings.h"

namespace loadline {

struct ReferenceTime {
  std::int64_t tokens = 0;  // what the work is of
  double seconds = 0;
};

// The frozen base forward over the first of the training rows that are longest after a cut to
// kReferenceTokens: the same for every batch size, rank, number of layers and longer cut. It runs
// in the step's memory and changes nothing.
class ReferenceWork {
 public:
  static constexpr std::int64_t kReferenceTokens = 512;  // a block of oneDNN's products has no more
  static constexpr double kLeastSeconds = 1;
  static constexpr double kShare = 0.1;

  // `rows` must outlive this object.
  ReferenceWork(const PackedRows& rows, const TrainingSettings& settings);

  // The latest time. It is taken anew as long as all of them together are no more than
  // kLeastSeconds or kShare of the steps' own.
  ReferenceTime before_step(LoraModel& model);
  void stepped(double seconds) { step_seconds_ += seconds; }

 private:
  const PackedRows& rows_;
  std::vector<std::int64_t> longest_;
  std::int64_t tokens_;
  BatchBuffer buffer_;
  ReferenceTime latest_;
  double spent_seconds_ = 0;
  double step_seconds_ = 0;
};

}  // namespace loadline
