// The profile as a value: its document, its key, the command that uses it.
#include "report/profile.h"

#include <algorithm>
#include <cmath>
#include <iterator>

#include "base/counted.h"
#include "base/error.h"
#include "base/json.h"
#include "base/number_text.h"
#include "base/shell_quoted.h"
#include "report/machine_name.h"
#include "report/text.h"

namespace loadline {
namespace {

constexpr std::int64_t kProfileVersion = 1;
constexpr std::int64_t kMost = 1LL << 40;  // of anything that is counted

const Json& object_at(const Json& document, std::string_view key, const std::string& source) {
  const Json* value = json_find(document, key);
  if (value == nullptr) throw bad_input("{}: '{}' is missing", source, key);
  if (!value->is_object()) {
    throw bad_input("{}: '{}' should be an object, but it is {}", source, key, value->type_name());
  }
  return *value;
}

std::int64_t int_in(const Json& object, std::string_view key, std::int64_t low, std::int64_t high,
                    const std::string& source) {
  const std::int64_t value = json_int(object, key, source);
  if (value < low || value > high) {
    throw bad_input("{}: '{}' is {}, outside of [{}, {}]", source, key, value, low, high);
  }
  return value;
}

Bytes bytes_at(const Json& object, std::string_view key, const std::string& source) {
  return Bytes{static_cast<std::uint64_t>(int_in(object, key, 0, 1LL << 60, source))};
}

double number_in(const Json& object, std::string_view key, double high, const std::string& source) {
  const double value = json_number(object, key, source);
  if (!(value >= 0 && value <= high)) {
    throw bad_input("{}: '{}' is {}, outside of [0, {}]", source, key, value, high);
  }
  return value;
}

std::vector<std::string> strings_at(const Json& object, std::string_view key,
                                    const std::string& source) {
  const Json* list = json_find(object, key);
  if (list == nullptr || !list->is_array()) {
    throw bad_input("{}: '{}' should be a list of strings", source, key);
  }
  std::vector<std::string> strings;
  for (const Json& item : *list) {
    if (!item.is_string()) throw bad_input("{}: '{}' should be a list of strings", source, key);
    strings.push_back(item.get<std::string>());
  }
  return strings;
}

Json key_to_json(const ProfileKey& key) {
  Json document = Json::object();
  document["machine"] = key.machine;
  document["memory_bytes"] = key.memory.count;
  document["model"] = key.model;
  document["data"] = key.data;
  document["max_seq_length"] = key.max_seq_length;
  document["quantize"] = key.quantize;
  document["compute"] = key.compute;
  document["grad_checkpoint"] = key.grad_checkpoint;
  document["lora_dropout"] = key.lora_dropout;
  document["target_modules"] = key.target_modules;
  document["version"] = key.version;
  return document;
}

ProfileKey key_from_json(const Json& document, const std::string& source) {
  // Profiles of earlier versions do not have all of it.
  const bool has_memory = document.contains("memory_bytes");
  return {.machine = json_string(document, "machine", source),
          .memory = has_memory ? bytes_at(document, "memory_bytes", source) : Bytes{},
          .model = json_string(document, "model", source),
          .data = json_string(document, "data", source),
          .max_seq_length = int_in(document, "max_seq_length", 0, kMost, source),
          .quantize = json_string(document, "quantize", source),
          .compute = json_string(document, "compute", source),
          .grad_checkpoint = json_bool(document, "grad_checkpoint", source),
          .lora_dropout =
              document.contains("lora_dropout") && json_bool(document, "lora_dropout", source),
          .target_modules = strings_at(document, "target_modules", source),
          .version = json_string(document, "version", source)};
}

std::string joined(const std::vector<std::string>& parts) {
  std::string text;
  for (const std::string& part : parts) text += (text.empty() ? "" : ",") + part;
  return text;
}

// The same modules in another order are the same adapter.
std::vector<std::string> sorted(std::vector<std::string> parts) {
  std::sort(parts.begin(), parts.end());
  return parts;
}

// JSON has no word for what is not finite, and a profile must be readable again.
double finite(double value) { return std::isfinite(value) ? value : 0; }

}  // namespace

Json to_json(const Profile& profile) {
  Json document = Json::object();
  document["schema_version"] = kProfileVersion;
  document["created"] = profile.created;
  document["key"] = key_to_json(profile.key);
  document["model_path"] = profile.model_path;
  document["data_path"] = profile.data_path;
  document["machine_text"] = profile.machine_text;
  document["train_flags"] = profile.train_flags;
  document["by_verify"] = profile.by_verify;
  document["generated_weights"] = profile.generated_weights;
  document["batch_size"] = profile.batch_size;
  document["lora_rank"] = profile.lora_rank;
  document["lora_layers"] = profile.lora_layers;
  document["peak_bytes"] = profile.peak.count;
  document["adjusted_bytes"] = profile.adjusted.count;
  document["budget_bytes"] = profile.budget.count;
  document["margin"] = finite(profile.margin);
  document["step_seconds"] = finite(profile.step_seconds);
  document["tokens_per_second"] = finite(profile.tokens_per_second);
  document["slowed_by_others"] = profile.slowed_by_others;
  document["run_folder"] = profile.run_folder;
  document["trial"] = profile.trial;
  return document;
}

Profile profile_from_json(const Json& document, const std::string& source) {
  const std::int64_t version = json_int(document, "schema_version", source);
  if (version != kProfileVersion) {
    throw bad_input(
        "{}: schema_version is {}, but this program reads {}. Run `loadline find` again.", source,
        version, kProfileVersion);
  }
  Profile profile;
  profile.created = json_string(document, "created", source);
  profile.key = key_from_json(object_at(document, "key", source), source);
  profile.model_path = json_string(document, "model_path", source);
  profile.data_path = json_string(document, "data_path", source);
  profile.machine_text = json_string(document, "machine_text", source);
  // Profiles of earlier versions do not have it.
  if (document.contains("train_flags")) {
    profile.train_flags = strings_at(document, "train_flags", source);
  }
  if (document.contains("by_verify")) {
    profile.by_verify = json_bool(document, "by_verify", source);
  }
  if (document.contains("generated_weights")) {
    profile.generated_weights = json_bool(document, "generated_weights", source);
  }
  profile.batch_size = int_in(document, "batch_size", 1, kMost, source);
  profile.lora_rank = int_in(document, "lora_rank", 1, kMost, source);
  profile.lora_layers = int_in(document, "lora_layers", 1, kMost, source);
  profile.peak = bytes_at(document, "peak_bytes", source);
  profile.adjusted = bytes_at(document, "adjusted_bytes", source);
  profile.budget = bytes_at(document, "budget_bytes", source);
  profile.margin = number_in(document, "margin", 100, source);
  profile.step_seconds = number_in(document, "step_seconds", 1e9, source);
  profile.tokens_per_second = number_in(document, "tokens_per_second", 1e15, source);
  if (document.contains("slowed_by_others")) {
    profile.slowed_by_others = json_bool(document, "slowed_by_others", source);
  }
  profile.run_folder = json_string(document, "run_folder", source);
  profile.trial = static_cast<int>(int_in(document, "trial", 0, 1'000'000'000, source));
  return profile;
}

std::vector<std::string> differences_of(const ProfileKey& profile, const ProfileKey& now) {
  std::vector<std::string> differences;
  const auto compare = [&](std::string_view part, const auto& then, const auto& today) {
    if (then != today) {
      differences.push_back(printable(fmt::format("{}: profile {}, now {}", part, then, today)));
    }
  };
  const auto compare_switch = [&](std::string_view part, bool then, bool today) {
    compare(part, then ? "on" : "off", today ? "on" : "off");
  };
  const auto compare_prints = [&](std::string_view what, const std::string& then,
                                  const std::string& today) {
    constexpr std::size_t kTold = 18;  // "shape " and 12 digits
    if (then == today) return;
    differences.push_back(printable(fmt::format("{} (profile {}, now {})", what,
                                                then.substr(0, kTold), today.substr(0, kTold))));
  };
  if (!is_same_machine(profile.machine, profile.memory, now.machine, now.memory)) {
    const bool same_name = profile.machine == now.machine;
    compare("machine", same_name ? to_string(profile.memory) : profile.machine,
            same_name ? to_string(now.memory) : now.machine);
  }
  compare_prints("model: another shape, or other weights", profile.model, now.model);
  if (profile.max_seq_length == now.max_seq_length) {
    compare_prints("data: rows of other lengths", profile.data, now.data);
  }
  compare("max_seq_length", profile.max_seq_length, now.max_seq_length);
  compare("quantize", profile.quantize, now.quantize);
  compare("compute", profile.compute, now.compute);
  compare_switch("grad_checkpoint", profile.grad_checkpoint, now.grad_checkpoint);
  compare_switch("lora_dropout", profile.lora_dropout, now.lora_dropout);
  compare("target_modules", joined(sorted(profile.target_modules)),
          joined(sorted(now.target_modules)));
  compare("version", profile.version, now.version);
  return differences;
}

std::string flags_for(const ProfileKey& profile, const ProfileKey& now) {
  ProfileKey then = now;
  std::string flags;
  const auto take = [&](auto ProfileKey::*part, const std::string& flag) {
    if (profile.*part == now.*part) return;
    then.*part = profile.*part;
    flags += (flags.empty() ? "" : " ") + flag;
  };
  take(&ProfileKey::max_seq_length, fmt::format("--max-seq-length {}", profile.max_seq_length));
  if (then.max_seq_length != now.max_seq_length) then.data = profile.data;  // cut elsewhere
  take(&ProfileKey::quantize, "--quantize " + shell_quoted(profile.quantize));
  take(&ProfileKey::compute, "--compute-dtype " + shell_quoted(profile.compute));
  take(&ProfileKey::grad_checkpoint,
       std::string("--grad-checkpoint ") + (profile.grad_checkpoint ? "on" : "off"));
  if (sorted(profile.target_modules) != sorted(now.target_modules)) {
    take(&ProfileKey::target_modules,
         "--target-modules " + shell_quoted(joined(profile.target_modules)));
  }
  return differences_of(profile, then).empty() ? flags : "";
}

ProfileMatch match_profile(const std::vector<Profile>& profiles,
                           const std::vector<ProfileKey>& keys) {
  ProfileMatch match;
  for (const ProfileKey& key : keys) {
    std::vector<Profile> agree;
    std::copy_if(profiles.begin(), profiles.end(), std::back_inserter(agree),
                 [&](const Profile& p) { return differences_of(p.key, key).empty(); });
    std::stable_sort(agree.begin(), agree.end(),
                     [](const Profile& a, const Profile& b) { return a.created > b.created; });
    match.matching.insert(match.matching.end(), agree.begin(), agree.end());
  }
  std::stable_partition(match.matching.begin(), match.matching.end(),
                        [](const Profile& profile) { return !profile.by_verify; });
  if (!match.matching.empty()) {
    match.profile = match.matching.front();
    return match;
  }
  for (const ProfileKey& key : keys) {
    const Profile* nearest = nullptr;
    for (const Profile& profile : profiles) {
      std::vector<std::string> differences = differences_of(profile.key, key);
      const auto so_far = [&] {
        return std::pair(match.differences.size(), match.nearest->by_verify);
      };
      const auto is = std::pair(differences.size(), profile.by_verify);
      const bool nearer = !match.nearest || is < so_far() ||
                          (nearest && is == so_far() && profile.created > nearest->created);
      if (!nearer) continue;
      nearest = &profile;
      match.nearest = profile;
      match.differences = std::move(differences);
      match.flags = flags_for(profile.key, key);
    }
  }
  return match;
}

ProfileMatch match_profile(const std::vector<Profile>& profiles, const ProfileKey& key) {
  return match_profile(profiles, std::vector<ProfileKey>{key});
}

std::string as_text(const Profile& profile) {
  const ProfileKey& key = profile.key;
  std::string text;
  const auto line = [&](std::string_view name, const std::string& value) {
    text += fmt::format("{:<13}{}\n", name, printable(value));
  };
  line("profile", fmt::format("{}, of {}, by {} of loadline {}", profile.name, profile.created,
                              profile.by_verify ? "train --verify" : "find", key.version));
  line("machine", profile.machine_text);
  line("model", profile.model_path +
                    (profile.generated_weights ? " (measured with generated weights)" : ""));
  line("data", profile.data_path.empty() ? "none" : profile.data_path);
  line("proven",
       fmt::format("batch {}, rank {}, {} of LoRA on {}", profile.batch_size, profile.lora_rank,
                   counted(profile.lora_layers, "layer"), joined(key.target_modules)));
  line("", fmt::format("sequences up to {}, {}{}{}{}", key.max_seq_length, key.compute,
                       key.quantize == "none" ? "" : ", " + key.quantize,
                       key.grad_checkpoint ? ", activation checkpointing" : "",
                       key.lora_dropout ? ", dropout" : ""));
  line("memory", fmt::format("peak {}, with a margin of {} {}, within {}", to_string(profile.peak),
                             percent_text(profile.margin), to_string(profile.adjusted),
                             to_string(profile.budget)));
  line("speed",
       fmt::format("{} a step (median), {}{:.0f} useful tokens/s", in_seconds(profile.step_seconds),
                   profile.slowed_by_others ? "≥ " : "", profile.tokens_per_second));
  line("evidence", fmt::format("trial {} in {}", profile.trial, profile.run_folder));
  return text;
}

std::string train_command(const Profile& profile) {
  constexpr std::string_view kDemo = "--demo";  // whose files need not be where they were
  const auto& flags = profile.train_flags;
  std::string command = "loadline train";
  if (std::find(flags.begin(), flags.end(), kDemo) != flags.end()) {
    command += fmt::format(" {}", kDemo);
  } else {
    command += " --model " + shell_quoted(profile.model_path);
    if (!profile.data_path.empty()) command += " --data " + shell_quoted(profile.data_path);
  }
  command += fmt::format(" --batch-size {} --lora-rank {} --lora-layers {}", profile.batch_size,
                         profile.lora_rank, profile.lora_layers);
  if (!profile.key.target_modules.empty()) {
    command += " --target-modules " + shell_quoted(joined(profile.key.target_modules));
  }
  if (profile.key.max_seq_length > 0) {
    command += fmt::format(" --max-seq-length {}", profile.key.max_seq_length);
  }
  if (!profile.key.quantize.empty() && profile.key.quantize != "none") {
    command += " --quantize " + shell_quoted(profile.key.quantize);
  }
  if (!profile.key.compute.empty()) {
    command += " --compute-dtype " + shell_quoted(profile.key.compute);
  }
  if (profile.key.grad_checkpoint) command += " --grad-checkpoint on";
  for (const std::string& word : flags) {
    if (word != kDemo) command += fmt::format(" {}", shell_quoted(word));
  }
  return command + " --adapter-path adapters";
}

}  // namespace loadline
