// journal.jsonl: what a search did, a synced line before and after each trial. A torn last line is
// dropped on reading. No trial begins without room on the disk for the line of its end. A second
// Ctrl-C (machine/interrupt.h) writes that line too: the trial was interrupted.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/file.h"
#include "machine/interrupt.h"
#include "trial/trial.h"

namespace loadline {

struct JournalEntry {
  TrialSpec spec;
  std::optional<TrialOutcome> outcome;  // none: it runs now
  std::string boot;  // the machine's boot in which it began; empty where that is not known
};

// The lock that a search holds on its journal (made if it is missing). Throws Error(kEnvironment)
// when another one holds it.
FileDescriptor lock_journal(const std::filesystem::path& run_folder);

class Journal {
 public:
  // Opens or makes run_folder/journal.jsonl and takes its lock. Trials that an earlier search left
  // running are given an outcome there (trial/left_running.h). Throws Error(kEnvironment) when
  // another search holds it.
  explicit Journal(const std::filesystem::path& run_folder,
                   const std::filesystem::path& root = "/");
  [[nodiscard]] const std::vector<JournalEntry>& entries() const { return entries_; }
  void started(const TrialSpec& spec);
  void finished(const TrialSpec& spec, const TrialOutcome& outcome);

 private:
  void close_left_running();

  std::filesystem::path path_;
  std::string boot_;
  FileDescriptor lock_;
  AppendFile file_;
  std::vector<JournalEntry> entries_;
  std::unique_ptr<LastLine> last_line_;  // the end of the running trial where a signal ends us
};

// What run_folder/journal.jsonl holds, for reading only: no lock, nothing is mended. Throws
// Error(kBadInput) when there is none or a line is damaged.
std::vector<JournalEntry> read_journal(const std::filesystem::path& run_folder);

}  // namespace loadline
