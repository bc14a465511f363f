// What people see while a search runs. On a terminal a bar with the time left; elsewhere plain
// lines.
#pragma once

#include <chrono>
#include <cstdio>
#include <memory>
#include <string>

#include "report/text.h"
#include "search/search.h"
#include "trial/protocol.h"

namespace loadline {

class TerminalView {
 public:
  // `is_terminal`: draw a bar below the lines, wrap them at its width, and colours unless `colour`
  // is false (NO_COLOR).
  // Writes to `out` (stderr with --json, else stdout), which it does not own.
  TerminalView(std::FILE* out, bool is_terminal, bool colour = true, Columns columns = {});
  TerminalView(const TerminalView&) = delete;
  TerminalView& operator=(const TerminalView&) = delete;
  ~TerminalView();  // clears the bar

  void line(const std::string& text);
  // For what is to be copied: not wrapped.
  void whole_line(const std::string& text);
  void search_begins(const SearchSpace& space, const SearchLimits& limits,
                     const std::string& budget_binds);
  // In place of a search: one trial of a configuration that is given.
  void proof_begins();
  // What SearchFunctions::outlook tells: how many trials the bar expects.
  void outlook(const Outlook& outlook);
  void trial_begins(const TrialSpec& spec, const Configuration& tested);
  void trial_event(const TrialSpec& spec, const WorkerEvent& event);
  void trial_ends(const TrialSpec& spec, const TrialOutcome& outcome);
  void search_ends(const SearchResult& result, const SearchLimits& limits);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace loadline
