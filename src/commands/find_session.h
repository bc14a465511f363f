// One search: its run folder, its trials, its journal, what people see of it.
#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "machine/clock.h"
#include "machine/facts.h"
#include "report/terminal.h"
#include "search/search.h"
#include "trial/journal.h"
#include "trial/runner.h"
#include "workload/workload.h"

namespace loadline {

struct FindQuestion {
  SearchSpace space;
  SearchLimits limits;
  std::int64_t steps = 15;
  std::int64_t planned_steps = 1000;  // of the training to come
  std::optional<std::chrono::seconds> time_limit;
};

class FindSession {
 public:
  // Makes or reopens run_folder. All references must outlive the session.
  FindSession(const Workload& workload, const MachineFacts& machine, const FindQuestion& question,
              const std::filesystem::path& run_folder, TerminalView& view);

  SearchResult run();
  // One trial of this configuration under budget / (1 + margin).
  RunTrial prove(const Configuration& configuration);
  // The growth of a trial that an earlier search ran, for today's planned_steps; what this session
  // ran it has told.
  void say_growth_of_earlier(int trial) const;

 private:
  [[nodiscard]] TrainingSettings settings_of(const Configuration& configuration) const;
  // What a trial is held under: the budget, or budget / (1 + margin).
  [[nodiscard]] Bytes cap_of(bool under_margin) const;
  [[nodiscard]] TrialSpec spec_of(const Question& question);
  RunTrial run_one(const Question& question);
  [[nodiscard]] bool was_killed(const Configuration& configuration) const;
  [[nodiscard]] std::vector<RunTrial> known_trials() const;
  // Why no further trial may begin, nor the running one go on; empty where they may.
  [[nodiscard]] std::string must_end() const;

  const Workload& workload_;
  const FindQuestion& question_;
  TerminalView& view_;
  std::filesystem::path run_folder_;
  Journal journal_;
  SteadyClock clock_;
  Clock::Duration begin_;
  Clock::Duration last_end_;  // of a trial
  RunnerOptions runner_;
  int first_id_ = 1, next_id_ = 1;  // of this session's trials
};

}  // namespace loadline
