// Profiles on the disk: one JSON file each, in a folder where anything may lie.
#include <algorithm>
#include <system_error>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "report/model_name.h"
#include "report/profile.h"
#include "report/text.h"

namespace loadline {
namespace {

namespace fs = std::filesystem;

constexpr Bytes kMaxProfile = 1_MiB;
constexpr std::size_t kMaxName = 100;

fs::path file_of(const fs::path& folder, const std::string& name) {
  return folder / (name + ".json");
}

Profile read_profile(const fs::path& path) {
  Profile profile =
      profile_from_json(parse_json(read_file(path, kMaxProfile), path.string()), path.string());
  profile.name = path.stem().string();
  return profile;
}

std::string known_names(const fs::path& folder) {
  std::vector<std::string> warnings;
  std::string names;
  for (const Profile& profile : list_profiles(folder, warnings)) {
    names += (names.empty() ? "" : ", ") + profile.name;
  }
  return names.empty() ? "There are none; `loadline find` makes one." : "There are: " + names + ".";
}

// "2026-11-23T15:04:05Z" -> "20261123-150405"
std::string digits_of(const std::string& created) {
  std::string digits;
  for (const char c : created.substr(0, 19)) {
    if (c >= '0' && c <= '9') digits += c;
    if (c == 'T') digits += '-';
  }
  return digits;
}

// The demo's model lies in a folder called model.
std::string called(const Profile& profile) {
  const auto& flags = profile.train_flags;
  const bool is_demo = std::find(flags.begin(), flags.end(), "--demo") != flags.end();
  return is_demo ? "demo" : profile_name_from(model_name(profile.model_path));
}

std::string free_name(const fs::path& folder, const Profile& profile) {
  const std::string base =
      called(profile).substr(0, 70) + "-" + profile_name_from(digits_of(profile.created));
  std::string name = base;
  for (int n = 2; fs::exists(fs::symlink_status(file_of(folder, name))); ++n) {
    name = base + "-" + std::to_string(n);
  }
  return name;
}

fs::path existing_file(const fs::path& folder, const std::string& name) {
  std::error_code error;
  if (!is_profile_name(name) || !fs::exists(file_of(folder, name), error)) {
    throw usage_error("there is no profile '{}' in {}. {}", printable(name), folder.string(),
                      known_names(folder));
  }
  return file_of(folder, name);
}

}  // namespace

bool is_profile_name(std::string_view name) {
  return !name.empty() && name.size() <= kMaxName && name.front() != '.' && name.front() != '-' &&
         std::all_of(name.begin(), name.end(), is_plain);
}

std::string profile_name_from(std::string_view text) {
  const std::string name = plain_name(text.substr(0, kMaxName));
  return name.empty() ? "profile" : name;
}

fs::path save_profile(const fs::path& folder, const Profile& profile) {
  if (!profile.name.empty() && !is_profile_name(profile.name)) {
    throw usage_error(
        "'{}' cannot name a profile: use 1 to {} of A-Z a-z 0-9 . _ -, and no dot or dash first.",
        printable(profile.name), kMaxName);
  }
  make_folder(folder);
  const fs::path path =
      file_of(folder, profile.name.empty() ? free_name(folder, profile) : profile.name);
  replace_file(path, to_json(profile).dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
  return path;
}

std::vector<Profile> list_profiles(const fs::path& folder, std::vector<std::string>& warnings) {
  std::vector<Profile> profiles;
  std::error_code error;
  fs::directory_iterator entry(folder, error);
  for (; !error && entry != fs::directory_iterator(); entry.increment(error)) {
    const fs::path& path = entry->path();
    if (path.extension() != ".json") continue;
    if (!is_profile_name(path.stem().string())) {
      warnings.push_back(printable(path.string()) + ": its name cannot be a profile's; left out");
      continue;
    }
    try {
      profiles.push_back(read_profile(path));
    } catch (const Error& problem) {
      warnings.push_back(printable(problem.what()));
    }
  }
  if (error && error != std::errc::no_such_file_or_directory) {
    warnings.push_back(fmt::format("{}: {}", folder.string(), error.message()));
  }
  std::sort(profiles.begin(), profiles.end(), [](const Profile& a, const Profile& b) {
    return a.created != b.created ? a.created > b.created : a.name < b.name;
  });
  return profiles;
}

Profile load_profile(const fs::path& folder, const std::string& name) {
  return read_profile(existing_file(folder, name));
}

void require_profile(const fs::path& folder, const std::string& name) {
  (void)existing_file(folder, name);
}

void remove_profile(const fs::path& folder, const std::string& name) {
  const fs::path path = existing_file(folder, name);
  std::error_code error;
  if (!fs::remove(path, error) || error) {
    throw environment_error("{}: cannot be removed: {}", path.string(), error.message());
  }
}

}  // namespace loadline
