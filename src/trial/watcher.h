// Looks at a running trial until it has ended.
#pragma once

#include <filesystem>
#include <functional>

#include "machine/child.h"
#include "machine/clock.h"
#include "trial/event_reader.h"
#include "trial/life_signs.h"
#include "trial/observation.h"
#include "trial/runner.h"

namespace loadline {

class Watcher {
 public:
  // All must outlive it. `output` is where the child's stdout and stderr go.
  Watcher(const TrialSpec& spec, const RunnerOptions& options, const Clock& clock, Child& child,
          Cap& cap, std::filesystem::path output, EventReader::Listener listener);

  // Returns when the child has ended, by itself or by us. Its group still has to be killed.
  TrialObservation watch(const std::function<bool()>& stop_requested);

 private:
  void wait_for_news();
  void sample();
  void sample_memory(const ProcessMemory& now);
  void sample_tree();
  void sample_activity();
  void sample_neighbours();
  void check_output();
  void look_for_trouble(bool stop);
  void end(Ending why, std::string detail, bool at_once);
  void escalate();
  void heard(const WorkerEvent& event);
  void check_early_close();

  const TrialSpec& spec_;
  const RunnerOptions& options_;
  const Clock& clock_;
  Child& child_;
  Cap& cap_;
  std::filesystem::path output_;
  Clock::Duration start_;
  std::optional<double> busy_before_;  // seconds of the processors that it may use
  EventReader reader_;
  LifeSigns life_;
  TrialObservation seen_;
  std::vector<pid_t> descendants_;
  std::optional<Clock::Duration> closed_at_;
  std::optional<Clock::Duration> asked_to_end_;
  Clock::Duration next_sample_;
  Clock::Duration next_tree_sample_;
  bool killed_ = false;
};

}  // namespace loadline
