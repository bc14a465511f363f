#include "commands/train_command.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>
#include <system_error>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/shell_quoted.h"
#include "cli/contradictions.h"
#include "commands/command.h"
#include "hub/name.h"
#include "report/text.h"
#include "training/run_folder.h"
#include "workload/model_source.h"

namespace loadline {
namespace fs = std::filesystem;
namespace {

struct Word {
  std::string flag;
  std::optional<std::string> value = {};  // none of a toggle
  bool is_off = false;                    // a toggle that was typed as off
};

constexpr std::string_view kOff = "=false";

bool is_flag(const std::string& word) { return word.starts_with("--"); }

std::vector<Word> parted(const std::vector<std::string>& words) {
  std::vector<Word> parts;
  for (const std::string& word : words) {
    if (is_flag(word) && word.ends_with(kOff)) {
      parts.push_back({.flag = word.substr(0, word.size() - kOff.size()), .is_off = true});
    } else if (is_flag(word) || parts.empty()) {
      parts.push_back({.flag = word});
    } else {
      parts.back().value = word;
    }
  }
  return parts;
}

// Toggles that are off too, as a -c file may say otherwise when the run goes on.
std::vector<std::string> joined(const std::vector<Word>& parts) {
  std::vector<std::string> words;
  for (const Word& part : parts) {
    words.push_back(part.is_off ? part.flag + std::string(kOff) : part.flag);
    if (part.value) words.push_back(*part.value);
  }
  return words;
}

std::vector<GivenFlag> given(const std::vector<Word>& words) {
  std::vector<GivenFlag> flags;
  flags.reserve(words.size());
  for (const Word& word : words) {
    flags.push_back({word.flag, word.value.value_or(word.is_off ? "false" : "true")});
  }
  return flags;
}

// Of this process alone, or said by what is typed out in its place.
constexpr auto kNotKept = std::to_array<std::string_view>(
    {"--resume", "--adapter-path", "--json", "--verify", "--conservative", "--profile",
     "--resume-adapter-file", "--batch-size", "--lora-rank", "--lora-layers"});
constexpr auto kPaths =
    std::to_array<std::string_view>({"--model", "--data", "--valid-data", "--test-data"});

constexpr const char* kModelCommit = "model_commit";

template <typename List>
bool is_among(const List& list, const std::string& flag) {
  return std::find(list.begin(), list.end(), flag) != list.end();
}

std::vector<std::string> words_at(const Json& document, const char* key, const fs::path& path) {
  const Json* list = json_find(document, key);
  std::vector<std::string> words;
  const bool is_list = list != nullptr && list->is_array();
  if (!is_list) throw bad_input("{}: '{}' should be a list of words", path.string(), key);
  for (const Json& word : *list) {
    if (!word.is_string()) {
      throw bad_input("{}: '{}' should be a list of words", path.string(), key);
    }
    words.push_back(word.get<std::string>());
  }
  return words;
}

// The words of a command, by who said them.
struct Said {
  std::vector<Word> typed, by_file;
};
Said parted(const std::vector<std::string>& words, const std::vector<std::string>& from_file) {
  Said said;
  for (const Word& word : parted(words)) {
    (is_among(from_file, word.flag) ? said.by_file : said.typed).push_back(word);
  }
  return said;
}

// What the folder says of its run.
struct Kept {
  Said words;
  std::string model_commit;  // of the model of the Hub; empty where it is none, or is not known
};

std::string commit_at(const Json& document, const fs::path& path) {
  if (json_find(document, kModelCommit) == nullptr) return "";
  std::string commit = json_string(document, kModelCommit, path.string());
  if (is_commit(commit)) return commit;
  throw bad_input("{}: '{}' is '{}', but a commit has 40 hexadecimal digits", path.string(),
                  kModelCommit, commit);
}

// A run of an earlier version knows neither what its file said nor a commit.
Kept read_kept(const fs::path& folder) {
  const fs::path path = folder / kCommandFile;
  const Json document = read_json(path);
  const bool knows_file = document.contains("from_file");
  return {.words = parted(
              words_at(document, "flags", path),
              knows_file ? words_at(document, "from_file", path) : std::vector<std::string>()),
          .model_commit = commit_at(document, path)};
}

const Word* find_word(const std::vector<Word>& words, const std::string& flag) {
  const auto found = std::find_if(words.rbegin(), words.rend(),
                                  [&](const Word& word) { return word.flag == flag; });
  return found == words.rend() ? nullptr : &*found;
}

bool has_word(const std::vector<Word>& words, const std::string& flag) {
  return find_word(words, flag) != nullptr;
}

// Those of the weaker words that the stronger ones neither say nor contradict.
std::vector<Word> left_of(std::vector<Word> weaker, const std::vector<Word>& stronger) {
  const std::vector<std::string> losers = giving_way(given(weaker), given(stronger));
  std::erase_if(weaker, [&](const Word& word) {
    return is_among(losers, word.flag) || has_word(stronger, word.flag);
  });
  return weaker;
}

// Those of the kept words that nothing replaces. Their paths were there when the run was started.
void require_kept_paths(const std::vector<Word>& kept, const fs::path& folder) {
  for (const Word& word : kept) {
    if (!word.value || !is_among(kPaths, word.flag)) continue;
    if (!fs::path(*word.value).is_absolute() || is_there(*word.value)) continue;
    throw bad_input(
        "{}: the run in {} was started with it, and it is no longer there. Give its new place with "
        "{} {}",
        *word.value, folder.string(), word.flag, word.flag == "--model" ? "DIR" : "FILE");
  }
}

// However it is written; as it stands where it cannot be looked at.
fs::path same_place(const std::string& path) {
  std::error_code error;
  const fs::path place = fs::weakly_canonical(fs::absolute(path), error);
  return error ? fs::absolute(path).lexically_normal() : place;
}

// A toggle that is not said is off; a path is the same however it is written.
bool says_the_same(const Word* a, const Word* b) {
  const auto is_off = [](const Word* word) { return word == nullptr || word->is_off; };
  if (is_off(a) || is_off(b)) return is_off(a) == is_off(b);
  if (a->value && b->value && is_among(kPaths, a->flag)) {
    return same_place(*a->value) == same_place(*b->value);
  }
  return a->value == b->value;
}

std::vector<std::string> flags_that_differ(const Said& then, const std::vector<Word>& now) {
  std::vector<Word> before = then.by_file;
  before.insert(before.end(), then.typed.begin(), then.typed.end());
  std::vector<Word> all = before;
  all.insert(all.end(), now.begin(), now.end());
  std::vector<std::string> flags;
  for (const Word& word : all) {
    if (is_among(kNotKept, word.flag) || is_among(flags, word.flag)) continue;
    const bool is_same = says_the_same(find_word(before, word.flag), find_word(now, word.flag));
    if (!is_same) flags.push_back(word.flag);
  }
  return flags;
}

// Flags of which one alone counts.
std::vector<std::string> rivals_of(const std::string& flag) {
  if (flag == "--max-steps" || flag == "--epochs") return {"--max-steps", "--epochs"};
  return {flag};
}

// What a -c file says and does not count, as something else was typed for this run before.
std::vector<std::string> words_of_outweighed(const Said& now, const Said& then) {
  std::vector<std::string> notes;
  for (const Word& word : now.by_file) {
    const std::vector<std::string> rivals = rivals_of(word.flag);
    const bool is_typed_now =
        std::any_of(rivals.begin(), rivals.end(),
                    [&](const std::string& rival) { return has_word(now.typed, rival); });
    for (const std::string& rival : rivals) {
      const Word* counts = find_word(then.typed, rival);
      if (is_typed_now || counts == nullptr) continue;
      if (rival == word.flag && says_the_same(&word, counts)) continue;
      const std::string place = place_of_flag(word.flag);
      notes.push_back(fmt::format(
          "{}{} does not count: the run was started or resumed with {}, which no file said. What "
          "is typed now would count",
          place.empty() ? "" : place + ": ", fmt::join(joined({word}), " "),
          fmt::join(joined({*counts}), " ")));
    }
  }
  return notes;
}

// The model of the Hub that the run was started with goes by its commit where its name would be
// another one now, or has to be downloaded again.
void keep_to_commit(const Kept& then, TrainCommand& merged) {
  std::string& model = merged.options.workload.model;
  const Word* typed = find_word(then.words.typed, "--model");
  const Word* kept = typed != nullptr ? typed : find_word(then.words.by_file, "--model");
  if (then.model_commit.empty() || kept == nullptr || kept->value != model) return;
  const std::optional<HubModel> named = named_on_hub(model);
  if (!named) return;
  const std::optional<fs::path> snapshot = cached_snapshot(*named);
  if (snapshot && snapshot->filename() == then.model_commit) return;
  merged.notes.push_back(fmt::format(
      "{}: {} in the Hub's cache {}; the run goes on with commit {}, with which it was started",
      model, named->revision,
      snapshot ? "is commit " + snapshot->filename().string() + " now" : "is not there any more",
      then.model_commit));
  model = named->repository + '@' + then.model_commit;
}

}  // namespace

void keep_command(const std::vector<std::string>& words, const TrainingSettings& settings,
                  const std::vector<std::string>& from_file) {
  std::vector<Word> kept;
  for (Word& word : parted(words)) {
    if (is_among(kNotKept, word.flag)) continue;
    const bool is_path = word.value && is_among(kPaths, word.flag) && is_there(*word.value);
    if (is_path) word.value = fs::absolute(*word.value).string();
    kept.push_back(word);
  }
  kept.push_back({"--batch-size", std::to_string(settings.batch_size)});
  kept.push_back({"--lora-rank", std::to_string(settings.lora.rank)});
  kept.push_back({"--lora-layers", std::to_string(settings.lora.layers)});
  if (settings.resume_adapter_file) {
    const auto said = [](const Word& word) {
      return word.flag == "--lora-alpha" || word.flag == "--target-modules";
    };
    std::erase_if(kept, said);
    kept.push_back({"--lora-alpha", fmt::format("{}", settings.lora.alpha)});
    kept.push_back({"--target-modules", names_of(settings.lora.targets)});
    kept.push_back({.flag = "--rslora", .is_off = true});  // the alpha has it already
  }
  Json of_file = Json::array();
  for (const std::string& flag : from_file) {
    if (has_word(kept, flag)) of_file.push_back(flag);
  }
  Json document{{"schema_version", 1}, {"flags", joined(kept)}, {"from_file", of_file}};
  const std::string snapshot = settings.model.filename().string();
  if (!settings.base_model.empty() && is_commit(snapshot)) document[kModelCommit] = snapshot;
  const fs::path folder = run_folder(settings);
  make_folder(folder);
  replace_file(folder / kCommandFile, document.dump(2) + "\n");
}

TrainCommand continued(const TrainCommand& typed) {
  const TrainOptions& options = typed.options;
  if (!options.resume) return typed;
  TrainingSettings place;
  place.adapter_path = fs::absolute(options.adapter_path);
  place.resume = true;
  const fs::path folder = run_folder(place);
  if (!is_there(folder / kCommandFile)) {
    const WorkloadOptions& workload = options.workload;
    const bool is_whole = workload.demo || (!workload.model.empty() && !workload.data.empty());
    if (is_whole) return typed;
    throw usage_error(
        "--resume: {} does not say what its run was started with. Give --model, --data and the "
        "other flags of its command too",
        folder.string());
  }
  const Said now = parted(typed.words, typed.from_file);
  const Kept before = read_kept(folder);
  const Said& then = before.words;
  std::vector<Word> words = now.typed, kept;
  TrainCommand merged;
  const auto add = [&](const std::vector<Word>& weaker, bool is_kept, bool is_by_file) {
    for (const Word& word : left_of(weaker, words)) {
      words.push_back(word);
      if (is_kept) kept.push_back(word);
      if (is_by_file) merged.from_file.push_back(word.flag);
    }
  };
  add(then.typed, true, false);
  add(now.by_file, false, true);
  add(then.by_file, true, true);
  require_kept_paths(kept, folder);
  merged.notes = words_of_outweighed(now, then);
  merged.words = joined(words);
  parse_words(merged.words, [&](Flags flags) { add_train_flags(flags, merged.options); });
  keep_to_commit(before, merged);
  merged.changed = flags_that_differ(then, words);
  GivenFlags& values = merged.options.given;
  const auto from = [&](const char* flag, const std::string& typed_from) {
    return has_word(kept, flag) ? "the run" : typed_from;
  };
  values.batch_from = from("--batch-size", options.given.batch_from);
  values.rank_from = from("--lora-rank", options.given.rank_from);
  values.layers_from = from("--lora-layers", options.given.layers_from);
  return merged;
}

std::string resume_command(const fs::path& adapter_path) {
  return "loadline train --resume --adapter-path " + shell_quoted(adapter_path.string());
}

}  // namespace loadline
