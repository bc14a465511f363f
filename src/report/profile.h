// Hardware profiles: what was proven on this machine, and what exactly it was proven for.
// docs/profile.md.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/json_fwd.h"

namespace loadline {

// A profile is taken only where all of these agree; otherwise the first difference is named.
struct ProfileKey {
  std::string machine;  // machine_name()
  Bytes memory = {};    // the machine's, exactly; 0 in profiles of earlier versions
  std::string model;    // fingerprint of config and weights
  std::string data;     // fingerprint of the length histogram
  std::int64_t max_seq_length = 0;
  std::string quantize;  // "none"
  std::string compute;   // "f32", "bf16"
  bool grad_checkpoint = false;
  bool lora_dropout = false;  // whether there is one: the rate changes no byte
  std::vector<std::string> target_modules;
  std::string version;  // of loadline
};

struct Profile {
  std::string name;     // file name without .json
  std::string created;  // RFC 3339
  ProfileKey key;
  std::string model_path;               // as --model takes it: a folder, or ORG/NAME[@REVISION]
  std::string data_path, machine_text;  // for people
  // What else `train` needs for the same run: words such as "--mask-prompt", "--margin", "0.2".
  std::vector<std::string> train_flags;
  bool by_verify = false;          // proven by `train --verify`, not chosen by a search
  bool generated_weights = false;  // of the model's shapes: only bytes and speed were measured
  std::int64_t batch_size = 0, lora_rank = 0, lora_layers = 0;
  Bytes peak, adjusted, budget;
  double margin = 0.15;
  double step_seconds = 0, tokens_per_second = 0;
  bool slowed_by_others = false;  // each run of it: alone it is faster
  std::string run_folder;
  int trial = 0;
};

// A profile's name is its file's: 1 to 100 of A-Z a-z 0-9 . _ -, not starting with a dot or a dash.
bool is_profile_name(std::string_view name);
// "NousResearch/Hermes-2 Pro" -> "NousResearch-Hermes-2-Pro"; "profile" when nothing is left.
std::string profile_name_from(std::string_view text);

// $XDG_DATA_HOME/loadline/profiles is given by the command as `folder`; it is made if missing.
// Without a name the profile gets one from its model and creation that no other has; a name that is
// given replaces the profile that has it. Returns the file's path; its stem is the name. Throws
// Error(kUsage) for a name that is none, Error(kEnvironment) when the file cannot be written.
std::filesystem::path save_profile(const std::filesystem::path& folder, const Profile& profile);
// Sorted by creation, newest first; damaged files are named in `warnings` and left out. A missing
// folder is an empty list.
std::vector<Profile> list_profiles(const std::filesystem::path& folder,
                                   std::vector<std::string>& warnings);
// These throw Error(kUsage) listing what there is when there is no such profile.
Profile load_profile(const std::filesystem::path& folder, const std::string& name);
void require_profile(const std::filesystem::path& folder, const std::string& name);
void remove_profile(const std::filesystem::path& folder, const std::string& name);

struct ProfileMatch {
  // The first of `matching`: what a search chose goes before what --verify proved, then the keys
  // go in their order, then the newest.
  std::optional<Profile> profile;
  std::vector<Profile> matching;   // all whose key agrees
  std::optional<Profile> nearest;  // else the one with the fewest differences, in the same order
  std::vector<std::string>
      differences;    // for the nearest other: "max_seq_length: profile 512, now 1024"
  std::string flags;  // with them the nearest would agree; empty where flags cannot do that
};
ProfileMatch match_profile(const std::vector<Profile>& profiles,
                           const std::vector<ProfileKey>& keys);
ProfileMatch match_profile(const std::vector<Profile>& profiles, const ProfileKey& key);

// The differences of two keys, the first one the profile's; empty when they agree. Rows that are
// cut elsewhere have other lengths: that is one difference.
std::vector<std::string> differences_of(const ProfileKey& profile, const ProfileKey& now);

// "--max-seq-length 128 --quantize nf4": flags that make `now` the profile's; empty where a part
// differs that no flag sets.
std::string flags_for(const ProfileKey& profile, const ProfileKey& now);

// All that a person wants to know of it, a line each.
std::string as_text(const Profile& profile);
// The command to paste: quoted for a POSIX shell.
std::string train_command(const Profile& profile);
// docs/profile.md. Reading throws Error(kBadInput) naming `source` and the field.
Json to_json(const Profile& profile);
Profile profile_from_json(const Json& document, const std::string& source);

}  // namespace loadline
