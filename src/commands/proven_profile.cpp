#include "commands/proven_profile.h"

#include <array>
#include <ctime>

#include "base/file.h"
#include "search/evidence.h"

namespace loadline {

std::string timestamp() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  std::array<char, 32> text{};
  return {text.data(), std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts)};
}

Profile profile_of(const RunTrial& trial, const std::vector<RunTrial>& trials,
                   const Workload& workload, const MachineFacts& machine,
                   const SearchLimits& limits, const std::filesystem::path& run_folder) {
  const Speed speed = speed_of(trial.configuration, trials).value_or(Speed{});
  Profile profile;
  profile.created = timestamp();
  profile.key = workload.profile_key(machine, workload.with(trial.configuration));
  profile.model_path = workload.model_text();
  profile.data_path = std::filesystem::absolute(workload.train->source).string();
  profile.train_flags = workload.train_flags;
  profile.machine_text = profile.key.machine;
  profile.generated_weights = workload.base.generated_weights;
  profile.batch_size = trial.configuration.batch_size;
  profile.lora_rank = trial.configuration.lora_rank;
  profile.lora_layers = trial.configuration.lora_layers;
  profile.peak = trial.outcome.peak->bytes;
  profile.adjusted = trial.outcome.adjusted_peak(limits.margin);
  profile.budget = limits.budget;
  profile.margin = limits.margin;
  profile.step_seconds = speed.step_seconds;
  profile.tokens_per_second = speed.tokens_per_second;
  profile.slowed_by_others = speed.is_least;
  profile.run_folder = run_folder.string();
  profile.trial = trial.trial;
  return profile;
}

std::optional<Profile> profile_of_same_trial(const std::filesystem::path& folder,
                                             const Profile& proven) {
  std::vector<std::string> ignored;
  for (const Profile& earlier : list_profiles(folder, ignored)) {
    const bool is_same_run = normal_folder(earlier.run_folder) == normal_folder(proven.run_folder);
    if (is_same_run && earlier.trial == proven.trial) return earlier;
  }
  return std::nullopt;
}

}  // namespace loadline
