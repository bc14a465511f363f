// Whether a trial still gets anywhere.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "machine/clock.h"
#include "trial/trial.h"

namespace loadline {

// A trial stalls when it is quiet for longer than allowed = max(floor, 10 x the longest step so far
// or the predicted one), and
// - between steps, whose time is known: always (a loop without end uses the processor too);
// - elsewhere (loading, the first step, evaluation, save): when it also showed no sign of life for
//   that long: 5 % of a core used or waited for, a new peak of memory, or bytes read. A slow
//   machine is no fault, nor is a slow disk.
// Time in which it was ready and others had the cores does not count between steps either.
// Time in which nobody sampled (we were stopped, frozen or starved, and the trial perhaps with us)
// does not count.
class LifeSigns {
 public:
  LifeSigns(const TrialSpec& spec, std::chrono::milliseconds floor, Clock::Duration now);

  void event(Clock::Duration now) { last_event_ = last_life_ = now; }
  void step_took(double seconds);
  // Between steps from now on, or not.
  void set_stepping(bool stepping) { stepping_ = stepping; }
  // Processor time used and waited for and bytes read, all since the worker's start, and the most
  // memory held, by it and by all that it has started.
  void sample(Clock::Duration now, double cpu_seconds, double waited_seconds, Bytes peak,
              Bytes read);

  // Says what is missing for how long, once the trial counts as stalled.
  [[nodiscard]] std::optional<std::string> stalled(Clock::Duration now) const;

 private:
  [[nodiscard]] double allowed_seconds() const;

  double floor_seconds_;
  double longest_step_;  // or the predicted one; 0: not known
  bool stepping_ = false;
  Clock::Duration last_sample_;
  Clock::Duration last_event_;
  Clock::Duration last_life_;
  Clock::Duration window_start_;
  double window_wanted_ = 0;  // processor time, used or waited for
  double waited_ = 0;
  Bytes peak_;
  Bytes read_;
};

}  // namespace loadline
