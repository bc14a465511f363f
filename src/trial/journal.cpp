#include "trial/journal.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <system_error>

#include "base/error.h"
#include "base/file_lock.h"
#include "base/json.h"
#include "machine/kernel_file.h"
#include "trial/fields.h"
#include "trial/left_running.h"

namespace loadline {
namespace fs = std::filesystem;
namespace {

constexpr Bytes kLargest = 1_GiB;

// Everything up to the last newline. What follows was torn by a crash: cut off, so that the next
// line does not grow out of it.
std::string read_healed(const fs::path& path) {
  std::string text = read_file(path, kLargest);
  const std::size_t end = text.rfind('\n') + 1;  // npos + 1 is 0: no whole line at all
  if (end == text.size()) return text;
  std::error_code error;
  fs::resize_file(path, end, error);
  if (error) throw environment_error("{}: cannot be mended: {}", path.string(), error.message());
  text.resize(end);
  return text;
}

JournalEntry* entry_of(std::vector<JournalEntry>& entries, int id) {
  const auto it = std::find_if(entries.begin(), entries.end(),
                               [&](const JournalEntry& e) { return e.spec.id == id; });
  return it == entries.end() ? nullptr : &*it;
}

void note_started(std::vector<JournalEntry>& entries, TrialSpec spec, std::string boot) {
  JournalEntry entry{.spec = std::move(spec), .outcome = std::nullopt, .boot = std::move(boot)};
  if (JournalEntry* known = entry_of(entries, entry.spec.id)) {
    *known = std::move(entry);
  } else {
    entries.push_back(std::move(entry));
  }
}

// What the line of a trial's end may need: causes, evidence, a tail of stderr whose every byte is
// escaped, and the steps.
Bytes room_for_end(const TrialSpec& spec) {
  return 64_KiB + Bytes{256 * static_cast<std::uint64_t>(spec.steps)};
}

std::string finished_line(const TrialSpec& spec, const TrialOutcome& outcome) {
  return dump_line({{"event", "finished"}, {"trial", spec.id}, {"outcome", to_json(outcome)}});
}

TrialOutcome ended_at_once() {
  TrialOutcome outcome;
  outcome.verdict = Verdict::kInterrupted;
  outcome.cause = "interrupted: a second signal ended the search at once";
  return outcome;
}

std::string boot_id(const fs::path& root) {
  std::string text = read_kernel_file(root / "proc/sys/kernel/random/boot_id").value_or("");
  text.erase(std::min(text.find_first_of(" \n"), text.size()));
  return text;
}

void read_line(std::vector<JournalEntry>& entries, std::string_view line,
               const std::string& source) {
  const Json document = parse_json(line, source);
  const std::string event = json_string(document, "event", source);
  if (event == "started") {
    const Json* boot = json_find(document, "boot");
    note_started(entries, trial_spec_from_json(object_field(document, "spec", source), source),
                 boot != nullptr && boot->is_string() ? boot->get<std::string>() : std::string());
    return;
  }
  if (event != "finished") throw bad_input("{}: event '{:.60}' is unknown", source, event);
  const std::int64_t id = json_int(document, "trial", source);
  JournalEntry* entry =
      id >= 0 && id <= INT32_MAX ? entry_of(entries, static_cast<int>(id)) : nullptr;
  if (entry == nullptr) throw bad_input("{}: trial {} finished but never started", source, id);
  entry->outcome = trial_outcome_from_json(object_field(document, "outcome", source), source);
}

std::vector<JournalEntry> entries_of(const std::string& text, const fs::path& path) {
  std::vector<JournalEntry> entries;
  std::size_t from = 0;
  for (int number = 1; from < text.size(); ++number) {
    const std::size_t to = text.find('\n', from);
    const std::string_view line = std::string_view(text).substr(from, to - from);
    from = to + 1;
    try {
      read_line(entries, line, path.string() + " line " + std::to_string(number));
    } catch (const Error& error) {
      throw bad_input("{}. --restart begins anew, or give another --run-dir", error.what());
    }
  }
  return entries;
}

std::vector<JournalEntry> read_entries(const fs::path& path) {
  return entries_of(read_healed(path), path);
}

}  // namespace

FileDescriptor lock_journal(const fs::path& run_folder) {
  make_folder(run_folder);
  auto lock = lock_file(run_folder / "journal.jsonl");
  if (!lock) {
    throw environment_error(
        "{}: another search is writing there. Wait for it, end it, or give another --run-dir",
        (run_folder / "journal.jsonl").string());
  }
  return std::move(*lock);
}

Journal::Journal(const fs::path& run_folder, const fs::path& root)
    : path_(run_folder / "journal.jsonl"),
      boot_(boot_id(root)),
      lock_(lock_journal(run_folder)),
      file_(path_, AppendFile::Durability::kSynced),
      entries_(read_entries(path_)) {
  close_left_running();
}

void Journal::close_left_running() {
  for (const JournalEntry& entry : entries_) {
    if (entry.outcome) continue;
    const bool same_boot = !boot_.empty() && entry.boot == boot_;
    const bool again =
        std::any_of(entries_.begin(), entries_.end(), [&](const JournalEntry& other) {
          return other.outcome && was_left_running(*other.outcome) &&
                 is_same_question(other.spec, entry.spec);
        });
    finished(entry.spec, left_running(same_boot, again));
  }
}

std::vector<JournalEntry> read_journal(const fs::path& run_folder) {
  const fs::path path = run_folder / "journal.jsonl";
  std::error_code error;
  if (!fs::exists(path, error)) {
    throw bad_input("{}: is not the folder of a search: it has no journal.jsonl",
                    run_folder.string());
  }
  std::string text = read_file(path, kLargest);
  text.resize(text.rfind('\n') + 1);  // a last line without its end is still being written
  return entries_of(text, path);
}

void Journal::started(const TrialSpec& spec) {
  Json document{{"event", "started"}, {"spec", to_json(spec)}};
  if (!boot_.empty()) document["boot"] = boot_;
  const std::string line = dump_line(document);
  reserve_room(lock_, Bytes{line.size() + 1} + room_for_end(spec), path_);
  file_.append_line(line);
  note_started(entries_, spec, boot_);
  last_line_ = std::make_unique<LastLine>(lock_.get(), finished_line(spec, ended_at_once()) + "\n");
}

void Journal::finished(const TrialSpec& spec, const TrialOutcome& outcome) {
  JournalEntry* entry = entry_of(entries_, spec.id);
  if (entry == nullptr) {
    throw std::logic_error("journal: trial " + std::to_string(spec.id) + " was never started");
  }
  last_line_.reset();
  file_.append_line(finished_line(spec, outcome));
  entry->outcome = outcome;
}

}  // namespace loadline
