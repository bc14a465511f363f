#include "trial/journal.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <system_error>

#include "base/error.h"
#include "base/file_lock.h"
#include "trial/fields.h"

namespace loadline {
namespace fs = std::filesystem;
namespace {

constexpr Bytes kLargest = 1_GiB;

FileDescriptor take_lock(const fs::path& run_folder) {
  make_folder(run_folder);
  auto lock = lock_file(run_folder / "journal.jsonl");
  if (!lock) {
    throw environment_error(
        "{}: another search is writing there. Wait for it, end it, or give another --run-dir",
        (run_folder / "journal.jsonl").string());
  }
  return std::move(*lock);
}

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

void note_started(std::vector<JournalEntry>& entries, TrialSpec spec) {
  if (JournalEntry* known = entry_of(entries, spec.id)) {
    *known = {.spec = std::move(spec), .outcome = std::nullopt};
  } else {
    entries.push_back({.spec = std::move(spec), .outcome = std::nullopt});
  }
}

void read_line(std::vector<JournalEntry>& entries, std::string_view line,
               const std::string& source) {
  const Json document = parse_json(line, source);
  const std::string event = json_string(document, "event", source);
  if (event == "started") {
    note_started(entries, trial_spec_from_json(object_field(document, "spec", source), source));
    return;
  }
  if (event != "finished") throw bad_input("{}: event '{:.60}' is unknown", source, event);
  const std::int64_t id = json_int(document, "trial", source);
  JournalEntry* entry =
      id >= 0 && id <= INT32_MAX ? entry_of(entries, static_cast<int>(id)) : nullptr;
  if (entry == nullptr) throw bad_input("{}: trial {} finished but never started", source, id);
  entry->outcome = trial_outcome_from_json(object_field(document, "outcome", source), source);
}

std::vector<JournalEntry> read_entries(const fs::path& path) {
  const std::string text = read_healed(path);
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

}  // namespace

Journal::Journal(const fs::path& run_folder)
    : lock_(take_lock(run_folder)),
      file_(run_folder / "journal.jsonl", AppendFile::Durability::kSynced),
      entries_(read_entries(run_folder / "journal.jsonl")) {}

void Journal::started(const TrialSpec& spec) {
  file_.append_line(dump_line({{"event", "started"}, {"spec", to_json(spec)}}));
  note_started(entries_, spec);
}

void Journal::finished(const TrialSpec& spec, const TrialOutcome& outcome) {
  JournalEntry* entry = entry_of(entries_, spec.id);
  if (entry == nullptr) {
    throw std::logic_error("journal: trial " + std::to_string(spec.id) + " was never started");
  }
  file_.append_line(
      dump_line({{"event", "finished"}, {"trial", spec.id}, {"outcome", to_json(outcome)}}));
  entry->outcome = outcome;
}

}  // namespace loadline
