// How far a search has come and how long it will take: from the expected trials and from what the
// finished ones took. Knows no clock: trials bring their seconds along.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "search/search.h"
#include "trial/protocol.h"

namespace loadline {

class Progress {
 public:
  void expects(const Outlook& outlook);
  void trial_begins(const TrialSpec& spec);
  void trial_event(const WorkerEvent& event);
  void trial_ends(const TrialOutcome& outcome);

  // In [0, 1]. It may fall when answers make more trials necessary.
  [[nodiscard]] double share() const;
  // Nothing before a trial has ended. A trial's seconds are taken as a + b x batch.
  [[nodiscard]] std::optional<double> seconds_left() const;
  // "[######..............] trial 3 of about 7, step 5 of 15, about 2 min left"
  [[nodiscard]] std::string bar(std::size_t width) const;

 private:
  struct Cost {
    double batch = 0, seconds = 0;
  };
  [[nodiscard]] double cost_of(std::int64_t batch) const;
  [[nodiscard]] double running_share() const;

  std::vector<Cost> costs_;
  std::vector<Configuration> expected_;
  std::size_t done_ = 0;
  bool running_ = false;
  std::int64_t batch_ = 0, step_ = 0, steps_ = 0;
};

}  // namespace loadline
