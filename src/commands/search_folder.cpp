#include "commands/search_folder.h"

#include <system_error>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "commands/proven_profile.h"
#include "report/machine_name.h"
#include "report/profile.h"
#include "trial/journal.h"

namespace loadline {
namespace fs = std::filesystem;
namespace {

// Not from under a search that is writing there.
fs::path set_aside(const fs::path& folder) {
  const auto lock = lock_journal(folder);
  fs::path archive = folder;
  archive += fmt::format(".{}", timestamp());
  for (int n = 2; fs::exists(archive); ++n) {
    archive = folder;
    archive += fmt::format(".{}-{}", timestamp(), n);
  }
  std::error_code error;
  fs::rename(folder, archive, error);
  if (error) {
    throw environment_error("{}: cannot be renamed to {}: {}", folder.string(), archive.string(),
                            error.message());
  }
  return archive;
}

// What a profile says of its evidence stays true.
void move_evidence(const fs::path& profiles, const fs::path& from, const fs::path& to) {
  std::vector<std::string> ignored;
  for (Profile profile : list_profiles(profiles, ignored)) {
    if (profile.run_folder != from.string()) continue;
    profile.run_folder = to.string();
    save_profile(profiles, profile);
  }
}

std::optional<Json> result_in(const fs::path& folder) {
  const fs::path result = folder / "result.json";
  if (!fs::exists(result)) return std::nullopt;
  const Json answer = read_json(result);
  if (json_string(answer, "status", result.string()) == "unfinished") return std::nullopt;
  return answer;
}

// How much memory the machine has is no part of it: the budget that this leaves is another every
// day. Earlier versions wrote it.
Json question_in(const fs::path& run_file) {
  const Json run = read_json(run_file);
  if (const Json* found = json_find(run, "question"); found != nullptr && found->is_object()) {
    Json question = *found;
    const std::string machine = json_string(question, "machine", run_file.string());
    question["machine"] = without_memory(machine);
    return question;
  }
  throw bad_input("{}: 'question' is missing. Give another --run-dir, or --restart.",
                  run_file.string());
}

}  // namespace

std::optional<Json> open_search_folder(const fs::path& folder, const Json& context, bool restart,
                                       const fs::path& profiles,
                                       const std::function<void(const std::string&)>& say) {
  const fs::path run_file = folder / "run.json";
  if (fs::exists(run_file)) {
    if (!restart && question_in(run_file) != context["question"]) {
      throw usage_error(
          "{}: holds a search of another question. Give another --run-dir, or --restart.",
          folder.string());
    }
    if (restart) {
      const fs::path archive = set_aside(folder);
      move_evidence(profiles, folder, archive);
      say(fmt::format("The earlier search is kept in {}", archive.string()));
    }
  }
  require_writable_folder(folder);
  if (!fs::exists(run_file)) replace_file(run_file, context.dump(2) + "\n");
  return result_in(folder);
}

}  // namespace loadline
