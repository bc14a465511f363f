#include "commands/find_question.h"

#include <algorithm>

#include "base/error.h"
#include "base/json.h"
#include "report/machine_name.h"
#include "workload/options.h"
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

}  // namespace

Json question_document(const FindQuestion& question, const Workload& workload,
                       const MachineFacts& machine, const std::optional<std::string>& limit) {
  const ProfileKey key = workload.profile_key(machine, workload.base);
  return {{"model", key.model},
          {"data", key.data},
          {"rows", workload.train->rows.fingerprint()},
          {"valid_rows", workload.valid ? Json(workload.valid->rows.fingerprint()) : Json()},
          {"settings", without_paths(workload.base)},
          {"ranks", question.space.ranks},
          {"layers", question.space.layers},
          {"max_batch", question.space.max_batch},
          {"sequences", question.space.sequences},
          {"checkpointing", question.space.checkpointing},
          {"steps", question.steps},
          {"margin", question.limits.margin},
          {"memory_limit", limit ? Json(*limit) : Json(nullptr)},
          {"machine", without_memory(key.machine)},
          {"version", key.version}};
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
