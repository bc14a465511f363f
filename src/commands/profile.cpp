// loadline profile list | show | remove.
#include "report/profile.h"

#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "commands/command.h"
#include "commands/print_line.h"
#include "commands/remove_each.h"
#include "report/text.h"
#include "workload/paths.h"

namespace loadline {
namespace {

struct ProfileOptions {
  std::string name;                // of `show`
  std::vector<std::string> names;  // of `remove`
  bool json = false;
};

// The file's document, and its name, by which `show` and `remove` know it.
Json named(const Profile& profile) {
  Json document = to_json(profile);
  document["name"] = profile.name;
  return document;
}

int list(const ProfileOptions& options) {
  std::vector<std::string> warnings;
  const std::vector<Profile> profiles = list_profiles(profile_folder(), warnings);
  for (const std::string& warning : warnings) fmt::print(stderr, "loadline: {}\n", warning);
  if (options.json) {
    Json document{{"schema_version", 1}, {"profiles", Json::array()}};
    for (const Profile& profile : profiles) document["profiles"].push_back(named(profile));
    fmt::print("{}\n", document.dump(2));
    return 0;
  }
  if (profiles.empty())
    fmt::print("No profiles yet: `loadline find --model DIR --data FILE` makes one.\n");
  for (const Profile& profile : profiles) {
    fmt::print("{}\n", profile.name);
    print_line(fmt::format(
        "  batch {}, rank {}, layers {}; rows of at most {} tokens; {} with its margin; "
        "{}{:.0f} tokens/s",
        profile.batch_size, profile.lora_rank, profile.lora_layers, profile.key.max_seq_length,
        to_string(profile.adjusted), profile.slowed_by_others ? "≥ " : "",
        profile.tokens_per_second));
    print_line(fmt::format("  by {} on {}; model {}, data {}",
                           profile.by_verify ? "train --verify" : "find",
                           printable(profile.created), printable(profile.model_path),
                           printable(profile.data_path.empty() ? "none" : profile.data_path)));
  }
  return 0;
}

int show(const ProfileOptions& options) {
  const Profile profile = load_profile(profile_folder(), options.name);
  if (options.json) {
    fmt::print("{}\n", named(profile).dump(2));
  } else {
    std::error_code ignored;  // It may be another user's.
    const bool has_run = std::filesystem::exists(profile.run_folder, ignored);
    fmt::print("{}{}\nTo train with it:\n  {}\n", as_text(profile),
               has_run ? "" : "             (no longer there; what was proven still counts)\n",
               train_command(profile));
  }
  return 0;
}

int remove(const ProfileOptions& options) {
  const std::filesystem::path folder = profile_folder();
  remove_each(
      options.names, [&](const std::string& name) { require_profile(folder, name); },
      [&](const std::string& name) {
        remove_profile(folder, name);
        fmt::print("Removed {}\n", name);
      });
  return 0;
}

}  // namespace

CommandFunction add_profile(Flags flags) {
  const auto options = std::make_shared<ProfileOptions>();
  Flags list_flags = flags.command("list", "All profiles, newest first");
  Flags show_flags =
      flags.command("show", "What one profile proves, and the command that trains with it");
  Flags remove_flags = flags.command("remove", "Delete one, or several");
  list_flags.toggle("--json", options->json, "One JSON document on stdout");
  show_flags.toggle("--json", options->json, "The profile's JSON document on stdout");
  show_flags.word("name", options->name, "As `profile list` shows it");
  remove_flags.words("name", options->names, "As `profile list` shows it");
  return [=] {
    if (list_flags.chosen()) return list(*options);
    return show_flags.chosen() ? show(*options) : remove(*options);
  };
}

}  // namespace loadline
