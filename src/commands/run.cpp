// loadline run list | remove: the searches' folders.
#include <algorithm>
#include <chrono>
#include <ctime>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/counted.h"
#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "commands/command.h"
#include "commands/print_line.h"
#include "commands/remove_each.h"
#include "commands/search_folder.h"
#include "report/text.h"
#include "search/evidence.h"
#include "text/unicode.h"
#include "trial/journal.h"
#include "workload/paths.h"

namespace loadline {
namespace {

namespace fs = std::filesystem;

struct RunOptions {
  std::vector<std::string> names;  // of `remove`
  bool json = false;
};

struct Run {
  fs::path folder;
  std::time_t last = 0;  // when its journal was written to
  std::string model, data;
  std::size_t trials = 0;
  std::optional<Json> result;  // none yet
  bool by_verify = false;
  [[nodiscard]] std::string status() const {
    if (by_verify) return "train --verify";
    return result ? json_string(*result, "status", folder.string()) : "unfinished";
  }
};

const Json* result_part(const Run& run, const char* key) {
  return run.result ? json_find(*run.result, key) : nullptr;
}

// Its name where it has one: a model of the Hub's.
std::string place_in(const Json& document, const char* part, const std::string& source) {
  const Json* found = json_find(document, part);
  if (found == nullptr) throw bad_input("{}: '{}' is missing", source, part);
  return json_string(*found, json_find(*found, "name") == nullptr ? "path" : "name", source);
}

Run read_run(const fs::path& folder) {
  const fs::path file = folder / "run.json";
  const Json context = read_json(file);
  Run run{.folder = folder,
          .model = place_in(context, "model", file.string()),
          .data = place_in(context, "data", file.string()),
          .result = {}};
  if (const Json* by = json_find(context, "by")) run.by_verify = *by == "train --verify";
  for (const JournalEntry& entry : read_journal(folder)) {
    if (entry.outcome && !ends_search(entry.outcome->verdict)) ++run.trials;
  }
  const auto written = fs::last_write_time(folder / "journal.jsonl");
  run.last = std::chrono::system_clock::to_time_t(std::chrono::file_clock::to_sys(written));
  if (is_there(folder / "result.json")) run.result = read_json(folder / "result.json");
  (void)run.status();
  return run;
}

// The newest first; what cannot be read is told by `warn`.
template <typename Warn>
std::vector<Run> runs_in(const fs::path& folder, Warn warn) {
  std::vector<Run> runs;
  std::error_code error;
  fs::directory_iterator it(folder, error);
  if (error && error != std::errc::no_such_file_or_directory) {
    throw environment_error("{}: cannot be listed: {}", folder.string(), error.message());
  }
  for (const fs::directory_iterator end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    std::error_code ignored;
    if (!it->is_directory(ignored)) continue;
    try {
      if (!is_valid_utf8(name)) throw bad_input("its name is not UTF-8");
      runs.push_back(read_run(it->path()));
    } catch (const std::exception& unreadable) {
      warn(fmt::format("{}: left out: {}", it->path().string(), unreadable.what()));
    }
  }
  std::sort(runs.begin(), runs.end(), [](const Run& a, const Run& b) {
    return std::pair(b.last, a.folder) < std::pair(a.last, b.folder);
  });
  return runs;
}

std::string utc(std::time_t time) {
  std::tm parts{};
  gmtime_r(&time, &parts);
  char text[32];
  return {text, std::strftime(text, sizeof text, "%Y-%m-%d %H:%M UTC", &parts)};
}

// "nothing fits"
std::string in_words(std::string status) {
  std::replace(status.begin(), status.end(), '_', ' ');
  return status;
}

// "batch 13, rank 32, layers 6", or nothing.
std::string chosen_in(const Run& run) {
  const Json* optimal = result_part(run, "optimal");
  if (optimal == nullptr || !optimal->is_object()) return "";
  const std::string source = run.folder.string();
  const auto number = [&](const char* key) { return json_int(*optimal, key, source); };
  return fmt::format(", batch {}, rank {}, layers {}", number("batch_size"), number("lora_rank"),
                     number("lora_layers"));
}

int list(const RunOptions& options) {
  const fs::path folder = runs_folder();
  const std::vector<Run> runs = runs_in(folder, [](const std::string& warning) {
    fmt::print(stderr, "loadline: {}\n", printable(warning));
  });
  if (options.json) {
    Json document{{"schema_version", 1}, {"runs", Json::array()}};
    for (const Run& run : runs) {
      const auto of_result = [&](const char* key) {
        const Json* found = result_part(run, key);
        return found == nullptr ? Json() : *found;
      };
      document["runs"].push_back({{"name", run.folder.filename().string()},
                                  {"run_dir", run.folder.string()},
                                  {"last_written", utc(run.last)},
                                  {"status", run.status()},
                                  {"trials", run.trials},
                                  {"objective", of_result("objective")},
                                  {"optimal", of_result("optimal")},
                                  {"profile", of_result("profile")},
                                  {"model", run.model},
                                  {"data", run.data}});
    }
    fmt::print("{}\n", document.dump(2));
    return 0;
  }
  if (runs.empty()) fmt::print("No runs in {}: `loadline find` makes one.\n", folder.string());
  for (const Run& run : runs) {
    fmt::print("{}\n", printable(run.folder.filename().string()));
    print_line(fmt::format("  {}{}; {}, the last on {}", in_words(run.status()), chosen_in(run),
                           counted(run.trials, "trial"), utc(run.last)));
    print_line(fmt::format("  model {}, data {}", printable(run.model), printable(run.data)));
  }
  return 0;
}

void require_run(const fs::path& name) {
  const fs::path folder = runs_folder() / name;
  const bool is_name =
      name == name.filename() && name.has_filename() && name != "." && name != "..";
  if (!is_name || !(is_there(folder / "run.json") || is_there(folder / "journal.jsonl"))) {
    throw usage_error("{}: there is no run of that name in {}. `loadline run list` shows them",
                      name.string(), runs_folder().string());
  }
  if (fs::is_symlink(folder)) {
    throw usage_error("{}: is a link: remove the link, or what it points to", folder.string());
  }
}

void remove_run(const fs::path& name) {
  const fs::path folder = runs_folder() / name;
  remove_search(folder);
  fmt::print("Removed {}\n", printable(name.string()));
  if (is_there(folder)) fmt::print("What else lies in {} stays\n", printable(folder.string()));
}

int remove(const RunOptions& options) {
  remove_each(options.names, require_run, remove_run);
  return 0;
}

}  // namespace

CommandFunction add_run(Flags flags) {
  const auto options = std::make_shared<RunOptions>();
  Flags list_flags = flags.command(
      "list", "All runs without a folder of their own, and proofs of train --verify; newest first");
  Flags remove_flags =
      flags.command("remove", "Delete one, or several; profiles that rest on them stay");
  list_flags.toggle("--json", options->json, "One JSON document on stdout");
  remove_flags.words("name", options->names, "As `run list` shows it");
  return [=] { return list_flags.chosen() ? list(*options) : remove(*options); };
}

}  // namespace loadline
