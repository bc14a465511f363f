// Any text is a journal whose trials are written and read again without a change, or an Error.
#include "trial/journal.h"

#include <cstdint>
#include <string>
#include <string_view>

#include "base/json.h"
#include "promise.h"
#include "trial/fields.h"

namespace loadline {
namespace {

std::string document_of(const JournalEntry& entry) {
  Json document{{"event", "started"}, {"spec", to_json(entry.spec)}, {"boot", entry.boot}};
  std::string text = dump_line(document) + "\n";
  if (!entry.outcome) return text;
  document = {
      {"event", "finished"}, {"trial", entry.spec.id}, {"outcome", to_json(*entry.outcome)}};
  return text + dump_line(document) + "\n";
}

void check(const JournalEntry& entry) {
  const TrialSpec& spec = entry.spec;
  require(spec.batch_size > 0 && spec.steps > 0 && spec.margin >= 0);
  require(spec.lora_rank > 0 && spec.lora_layers >= 0 && spec.time_limit.count() >= 0);
  if (!entry.outcome) return;
  (void)entry.outcome->adjusted_peak(spec.margin);
  if (entry.outcome->growth) (void)entry.outcome->growth->over(spec.planned_steps);
}

std::string text_of(const std::vector<JournalEntry>& entries) {
  std::string text;
  for (const JournalEntry& entry : entries) text += document_of(entry);
  return text;
}

std::vector<JournalEntry> read(const std::filesystem::path& folder, std::string_view text) {
  put_file(folder / "journal.jsonl", text);
  return read_journal(folder);
}

}  // namespace
}  // namespace loadline

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace loadline;
  static const TemporaryFolder kFolder;
  std::vector<JournalEntry> entries;
  only_bad_input([&] {
    entries = read(kFolder.path(), {reinterpret_cast<const char*>(data), size});
  });
  for (const JournalEntry& entry : entries) check(entry);
  const std::string text = text_of(entries);
  require(text_of(read(kFolder.path(), text)) == text);
  return 0;
}
