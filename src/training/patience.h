// When a run ends early, as its validation loss gets no better.
#pragma once

#include <cstdint>
#include <optional>

#include "training/best_adapter.h"

namespace loadline {

// Counts evaluations in a row without a new best, by their losses: whether the disk takes the
// adapter of a best one does not matter.
class Patience {
 public:
  // 0: without end.
  explicit Patience(std::int64_t evaluations) : evaluations_(evaluations) {}

  // Of the run that is continued: its best, and how many evaluations it had after that.
  void take_up(const BestLoss& best, std::int64_t evaluations_since) {
    best_ = best;
    since_best_ = evaluations_since;
  }
  // `is_again`: it was counted before the run was resumed, as one of an update up to the best one's
  // was.
  void count(const BestLoss& evaluated, bool is_again) {
    if (!best_ || evaluated.valid_loss < best_->valid_loss) {
      best_ = evaluated;
      since_best_ = 0;
    } else if (evaluated.step > best_->step && !is_again) {
      ++since_best_;
    }
  }
  [[nodiscard]] bool is_at_its_end() const {
    return evaluations_ > 0 && since_best_ >= evaluations_;
  }

 private:
  std::int64_t evaluations_;
  std::optional<BestLoss> best_;
  std::int64_t since_best_ = 0;
};

}  // namespace loadline
