#include "commands/search_folder.h"

#include <array>
#include <ctime>
#include <system_error>
#include <vector>

#include "base/earlier_name.h"
#include "base/error.h"
#include "base/file.h"
#include "commands/find_question.h"
#include "commands/question_differences.h"
#include "report/machine_name.h"
#include "report/profile.h"
#include "trial/journal.h"

namespace loadline {
namespace fs = std::filesystem;
namespace {

constexpr const char* kRun = "run.json";
// All that a search writes. What it is known by goes last: where a move ends half-way, the folder
// still holds a search, which --restart moves on.
constexpr std::array<const char*, 4> kOwnFiles{"result.json", "trials", "journal.jsonl", kRun};

// Not from under a search that is writing there. What else lies in the folder is not the search's.
fs::path set_aside(const fs::path& folder) {
  const auto lock = lock_journal(folder);
  const fs::path archive = earlier_name(folder, std::time(nullptr));
  make_folder(archive);
  for (const char* name : kOwnFiles) {
    if (!is_there(folder / name)) continue;
    std::error_code error;
    fs::rename(folder / name, archive / name, error);
    if (error) {
      throw environment_error("{}: cannot be moved to {}: {}", (folder / name).string(),
                              archive.string(), error.message());
    }
  }
  sync_folder(archive);
  sync_folder(folder);
  return archive;
}

// A folder that is something else already would be a search's and that at once.
void refuse_finished_folder(const fs::path& folder) {
  if (is_there(folder / "adapter_config.json")) {
    throw usage_error("--run-dir {}: holds an adapter. Give a folder of the search's own",
                      folder.string());
  }
  if (!is_there(folder / "config.json")) return;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    if (it->path().extension() != ".safetensors") continue;
    throw usage_error("--run-dir {}: holds a model. Give a folder of the search's own",
                      folder.string());
  }
}

// What a profile says of its evidence stays true.
void move_evidence(const fs::path& profiles, const fs::path& from, const fs::path& to) {
  std::vector<std::string> ignored;
  for (Profile profile : list_profiles(profiles, ignored)) {
    if (normal_folder(profile.run_folder) != from) continue;
    profile.run_folder = to.string();
    save_profile(profiles, profile);
  }
}

// The trials are in the journal: a result that is damaged is no more than one that is missing.
bool is_finished(const fs::path& folder, const std::function<void(const std::string&)>& say) {
  const fs::path result = folder / "result.json";
  if (!fs::exists(result)) return false;
  try {
    return json_string(read_json(result), "status", result.string()) != "unfinished";
  } catch (const Error& error) {
    say(fmt::format("{}. It is written anew: the trials count, which the journal has",
                    error.what()));
    return false;
  }
}

// What an earlier version took for a limit may be none today: it stands as it was typed.
std::string known_limit(const std::string& typed) {
  try {
    return limit_text(typed);
  } catch (const Error&) {
    return typed;
  }
}

// How much memory the machine has is no part of the question: the budget that this leaves is
// another every day. Earlier versions wrote it, and --memory-limit as it was typed.
Json run_in(const fs::path& run_file) {
  Json run = read_json(run_file);
  if (const Json* found = json_find(run, "question"); found != nullptr && found->is_object()) {
    Json& question = run["question"];
    const std::string machine = json_string(question, "machine", run_file.string());
    question["machine"] = without_memory(machine);
    if (const Json* limit = json_find(question, "memory_limit");
        limit != nullptr && limit->is_string()) {
      question["memory_limit"] = known_limit(limit->get<std::string>());
    }
    return run;
  }
  throw bad_input("{}: 'question' is missing. Give another --run-dir, or --restart.",
                  run_file.string());
}

void require_same_question(const fs::path& run_file, const Json& context) {
  const Json run = run_in(run_file);
  if (run.at("question") == context.at("question")) return;
  throw usage_error(
      "{}: holds a search of another question:\n  {}\nGive another --run-dir, or --restart, which "
      "keeps that search in a folder beside this one.",
      run_file.parent_path().string(), fmt::join(question_differences(run, context), "\n  "));
}

}  // namespace

fs::path folder_of_search(const fs::path& runs, const std::string& model, const std::string& hash) {
  fs::path folder = runs / fmt::format("{}-{}", model, hash);
  if (is_there(folder)) return folder;
  std::error_code error;
  for (fs::directory_iterator it(runs, error), end; !error && it != end; it.increment(error)) {
    const bool is_same = it->path().filename().string().ends_with("-" + hash);
    if (is_same && is_there(it->path() / kRun)) return it->path();
  }
  return folder;
}

std::optional<Json> search_of(const Json& question, const fs::path& folder) {
  const fs::path run_file = folder / kRun;
  if (!fs::exists(run_file) || run_in(run_file).at("question") != question) return std::nullopt;
  return read_json(run_file);
}

bool open_search_folder(const fs::path& given, const Json& context, bool restart,
                        const std::optional<fs::path>& profiles,
                        const std::function<void(const std::string&)>& say) {
  const fs::path folder = normal_folder(given);
  const fs::path run_file = folder / kRun;
  if (fs::exists(run_file)) {
    if (!restart) require_same_question(run_file, context);
    if (restart) {
      const fs::path archive = set_aside(folder);
      if (profiles) move_evidence(*profiles, folder, archive);
      say(fmt::format("The earlier search is kept in {}", archive.string()));
    }
  } else {
    refuse_finished_folder(folder);
  }
  require_writable_folder(folder);
  if (!fs::exists(run_file)) replace_file(run_file, context.dump(2) + "\n");
  return is_finished(folder, say);
}

void remove_search(const fs::path& folder) {
  const auto lock = lock_journal(folder);
  for (const char* name : kOwnFiles) {
    std::error_code error;
    fs::remove_all(folder / name, error);
    if (error) {
      throw environment_error("{}: cannot be removed: {}", (folder / name).string(),
                              error.message());
    }
  }
  std::error_code not_empty;
  fs::remove(folder, not_empty);
}

}  // namespace loadline
