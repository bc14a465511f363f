#include "commands/train_profile.h"

#include <algorithm>
#include <map>
#include <optional>
#include <string>

#include "commands/train_refusal.h"
#include "workload/packing.h"

namespace loadline {
namespace {

// The three values of the flags, where all are given.
std::optional<Configuration> given_configuration(const GivenFlags& given,
                                                 const ModelConfig& model) {
  if (!given.batch_size || !given.lora_rank || !given.lora_layers) return std::nullopt;
  return Configuration{*given.batch_size, *given.lora_rank,
                       *given.lora_layers == -1 ? model.layers : *given.lora_layers};
}

// Memory does not depend on the weights' values: what was proven before the download counts, and so
// does, where auto decides, what was proven with checkpointing.
std::vector<ProfileKey> keys_of(const Workload& workload, const MachineFacts& machine) {
  std::vector<ProfileKey> keys;
  for (const bool generated : {false, true}) {
    ProfileKey key = workload.profile_key(machine, workload.base);
    if (generated) key.model = workload.shape_fingerprint();
    keys.push_back(key);
    if (!workload.checkpointing_auto || key.grad_checkpoint) continue;
    key.grad_checkpoint = true;
    keys.push_back(key);
  }
  return keys;
}

// Those that differ from a key in their longer rows alone, the shortest of them first; whether
// their data is the same the keys do not say.
std::map<std::int64_t, std::vector<Profile>> proven_on_longer_rows(
    const std::vector<Profile>& profiles, const std::vector<ProfileKey>& keys) {
  std::map<std::int64_t, std::vector<Profile>> longer;
  for (const Profile& profile : profiles) {
    const std::int64_t tokens = profile.key.max_seq_length;
    const bool is_near = std::any_of(keys.begin(), keys.end(), [&](const ProfileKey& key) {
      return tokens > key.max_seq_length && differences_of(profile.key, key).size() == 1;
    });
    if (is_near) longer[tokens].push_back(profile);
  }
  return longer;
}

ProfileMatch match_on_longer_rows(const std::vector<Profile>& profiles,
                                  std::vector<ProfileKey> keys, const Workload& workload) {
  ProfileMatch match;
  for (const auto& [tokens, proven] : proven_on_longer_rows(profiles, keys)) {
    const std::string data = lengths_fingerprint(workload, tokens);
    for (ProfileKey& key : keys) {
      key.max_seq_length = tokens;
      key.data = data;
    }
    const std::vector<Profile> agree = match_profile(proven, keys).matching;
    match.matching.insert(match.matching.end(), agree.begin(), agree.end());
  }
  std::stable_partition(match.matching.begin(), match.matching.end(),
                        [](const Profile& profile) { return !profile.by_verify; });
  if (!match.matching.empty()) match.profile = match.matching.front();
  return match;
}

}  // namespace

ProfileMatch matching_profile(std::vector<Profile> profiles, const GivenFlags& given,
                              const Workload& workload, const MachineFacts& machine) {
  const std::vector<ProfileKey> keys = keys_of(workload, machine);
  const auto configuration = given_configuration(given, workload.model);
  std::erase_if(profiles, [&](const Profile& profile) {
    return configuration && configuration_of(profile) != *configuration;
  });
  ProfileMatch match = match_profile(profiles, keys);
  if (match.profile) return match;
  ProfileMatch on_longer = match_on_longer_rows(profiles, keys, workload);
  if (on_longer.profile) return on_longer;
  return configuration ? ProfileMatch{} : match;
}

}  // namespace loadline
