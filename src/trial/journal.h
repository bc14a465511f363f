// journal.jsonl: what a search did, a synced line before and after each trial. A torn last line is
// dropped on reading.
#pragma once

#include <filesystem>
#include <optional>
#include <vector>

#include "base/file.h"
#include "trial/trial.h"

namespace loadline {

struct JournalEntry {
  TrialSpec spec;
  std::optional<TrialOutcome> outcome;  // none: it was running when the journal ended
};

class Journal {
 public:
  // Opens or makes run_folder/journal.jsonl and takes its lock. Throws Error(kEnvironment) when
  // another search holds it.
  explicit Journal(const std::filesystem::path& run_folder);
  [[nodiscard]] const std::vector<JournalEntry>& entries() const { return entries_; }
  void started(const TrialSpec& spec);
  void finished(const TrialSpec& spec, const TrialOutcome& outcome);

 private:
  FileDescriptor lock_;
  AppendFile file_;
  std::vector<JournalEntry> entries_;
};

}  // namespace loadline
