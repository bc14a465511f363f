#include "commands/find_question.h"

#include <algorithm>
#include <iterator>

#include "base/error.h"
#include "base/hash.h"
#include "commands/search_folder.h"
#include "report/machine_name.h"
#include "workload/options.h"
#include "workload/paths.h"
#include "workload/ranks.h"

namespace loadline {
namespace {

// The cache may lie elsewhere when the search goes on; that of one process alone always does.
Json without_paths(TrainingSettings settings) {
  settings.model.clear();
  settings.train_rows.clear();
  settings.valid_rows.reset();
  settings.prepared_weights.reset();
  return to_json(settings);
}

constexpr const char* kCheckpointing = "grad_checkpoint";

void settle_checkpointing(Workload& workload, const FindQuestion& question) {
  TrainingSettings smallest_batch =
      workload.with(1, question.space.ranks.back(), question.space.layers.back());
  choose_checkpointing(workload, smallest_batch, question.limits.budget, question.limits.margin);
  workload.base.checkpointing = smallest_batch.checkpointing;
  workload.checkpointing_auto = false;
}

}  // namespace

std::string limit_text(const std::string& typed) {
  constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB"};
  std::uint64_t count = parse_bytes(typed).count;
  std::size_t unit = 0;
  for (; count > 0 && count % 1024 == 0 && unit + 1 < std::size(kUnits); ++unit) count /= 1024;
  return std::to_string(count) + kUnits[unit];
}

Json question_document(const FindQuestion& question, const Workload& workload,
                       const MachineFacts& machine, const std::optional<std::string>& limit) {
  const ProfileKey key = workload.profile_key(machine, workload.base);
  Json settings = without_paths(workload.base);
  // What it stands for hangs on the budget, which is another every day.
  if (workload.checkpointing_auto) settings[kCheckpointing] = "auto";
  return {{"model", key.model},
          {"data", key.data},
          {"rows", workload.train->rows.fingerprint()},
          {"valid_rows", workload.valid ? Json(workload.valid->rows.fingerprint()) : Json()},
          {"settings", settings},
          {"ranks", question.space.ranks},
          {"layers", question.space.layers},
          {"max_batch", question.space.max_batch},
          {"sequences", question.space.sequences},
          {"checkpointing", question.space.checkpointing},
          {"steps", question.steps},
          {"margin", question.limits.margin},
          {"memory_limit", limit ? Json(limit_text(*limit)) : Json(nullptr)},
          {"machine", without_memory(key.machine)},
          {"version", key.version}};
}

SearchPlace place_of_search(Workload& workload, const FindQuestion& question,
                            const MachineFacts& machine, const std::optional<std::string>& limit,
                            const std::optional<std::string>& run_dir, bool restart) {
  const auto place_of = [&](const Json& asked) -> SearchPlace {
    if (run_dir) return {asked, normal_folder(*run_dir)};
    return {asked, folder_of_search(runs_folder(), workload.run_name(),
                                    sha256_hex(asked.dump()).substr(0, 12))};
  };
  SearchPlace place = place_of(question_document(question, workload, machine, limit));
  if (!workload.checkpointing_auto) return place;
  settle_checkpointing(workload, question);
  if (restart) return place;
  if (const auto search = search_of(place.question, place.folder)) {
    const auto today = workload.base.checkpointing;
    const bool on = json_bool(*search, kCheckpointing, (place.folder / "run.json").string());
    workload.base.checkpointing = on ? ActivationCheckpointing::kOn : ActivationCheckpointing::kOff;
    if (workload.base.checkpointing != today) {
      place.note = fmt::format(
          "--grad-checkpoint auto was {0} when this search began, and stays so for it; by today's "
          "budget it would be {1}: --grad-checkpoint {1} asks that, --restart begins anew",
          on ? "on" : "off", on ? "off" : "on");
    }
    return place;
  }
  // Earlier versions knew it by what auto stood for, and did not tell that beside the question.
  const SearchPlace earlier = place_of(question_document(question, workload, machine, limit));
  const auto search = search_of(earlier.question, earlier.folder);
  return search && !search->contains(kCheckpointing) ? earlier : place;
}

std::vector<std::int64_t> ranks_in(const std::string& text) {
  std::vector<std::int64_t> ranks = parse_numbers(text, "--ranks");
  if (ranks.back() > kMostRank) {
    throw usage_error("--ranks {}: {} is no rank: it must be between 1 and {}", text, ranks.back(),
                      kMostRank);
  }
  return ranks;
}

// The default grid clipped to the model's layers; a layer count that was typed must exist.
std::vector<std::int64_t> layers_in(const std::optional<std::string>& text,
                                    const ModelConfig& model) {
  std::vector<std::int64_t> layers =
      parse_numbers(text.value_or("8,16,24,32"), "--layers-grid", model.layers);
  if (text && layers.back() > model.layers) {
    throw usage_error(
        "--layers-grid {}: {} is too many: the model has {} layers, so 1 to {}, or all", *text,
        layers.back(), model.layers, model.layers);
  }
  for (std::int64_t& count : layers) count = std::min(count, model.layers);
  layers.erase(std::unique(layers.begin(), layers.end()), layers.end());
  return layers;
}

}  // namespace loadline
