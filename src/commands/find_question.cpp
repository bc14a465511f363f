#include "commands/find_question.h"

#include "base/json.h"
#include "report/machine_name.h"

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

}  // namespace loadline
