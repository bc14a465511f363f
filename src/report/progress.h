// How far a search has come and how long it will take: from the expected trials and from what the
// finished ones took. Knows no clock: trials bring their seconds along.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "search/search.h"
#include "trial/protocol.h"

namespace loadline {

// A trial does reference work before its steps but the first, as long as all of it takes no more
// than so many seconds or such a share of the steps' time.
inline constexpr double kReferenceSeconds = 1;
inline constexpr double kReferenceShare = 0.1;

// By the ways in which a search may go on.
struct TimeLeft {
  double seconds = 0;  // the geometric mean
  double least = 0, most = 0;

  // Whether one number says it: no way takes more than 1.4 times as long as the mean, or as short.
  [[nodiscard]] bool is_one_number() const {
    constexpr double kNear = 1.4;
    return most <= kNear * seconds && seconds <= kNear * least;
  }
};

class Progress {
 public:
  void expects(const Outlook& outlook);
  void trial_begins(const TrialSpec& spec, const Configuration& tested);
  void trial_event(const WorkerEvent& event);
  void trial_ends(const TrialOutcome& outcome);

  // In [0, 1]. It may fall when answers make more trials necessary.
  [[nodiscard]] double share() const;
  // Nothing before a first step. A trial's seconds are taken as a start, steps that rise with the
  // tokens and, from a forward through all layers on, with the LoRA layers, and the reference work
  // beside these. Only a trial under its margin runs all of its steps; another ends after
  // kEnoughStepSeconds.
  [[nodiscard]] std::optional<TimeLeft> time_left() const;
  // "[######..............] trial 3 of about 7, step 5 of 15, about 2 min left", or "2 to 5 min
  // left" where one number would not do; where no way ahead was seen to its end "trial 3, step 5 of
  // 15".
  [[nodiscard]] std::string bar() const;

 private:
  struct Cost {
    double start = 0;  // loading, evaluation, save
    Configuration configuration;
    double seconds_a_step = 0;
    double reference = 0;  // seconds of one piece of reference work; 0 where there was none
  };
  // What a step has to do, in units that only ratios of count.
  [[nodiscard]] double work_of(const Configuration& configuration) const;
  [[nodiscard]] std::optional<double> cost_of(const ExpectedTrial& trial) const;
  [[nodiscard]] std::optional<double> running_left() const;
  // How many steps of so long a trial runs.
  [[nodiscard]] std::int64_t steps_of(double seconds_a_step, bool under_margin) const;
  // Of the running trial, as far as its own steps tell.
  [[nodiscard]] std::int64_t running_steps() const;
  // With the running one, on the likeliest way.
  [[nodiscard]] std::size_t trials_left() const;
  [[nodiscard]] double running_share() const;

  std::vector<Cost> costs_;
  std::vector<std::vector<ExpectedTrial>> ways_;
  std::size_t done_ = 0;
  bool running_ = false;
  Configuration tested_;
  bool under_margin_ = false;  // the running one
  std::int64_t step_ = 0, steps_ = 0;
  double step_seconds_ = 0;       // of the running trial's steps so far, together
  std::int64_t most_layers_ = 1;  // of any configuration seen or expected
};

}  // namespace loadline
