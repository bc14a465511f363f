#include "commands/train_adapter.h"

#include <filesystem>

#include "base/error.h"
#include "checkpoint/adapter.h"

namespace loadline {

void take_adapter(Workload& workload, TrainOptions& options) {
  const LoraSettings lora = read_adapter(*options.resume_adapter, workload.model).lora;
  const auto agree = [&](const char* flag, const auto& given, bool same, const auto& has) {
    if (!given || same) return;
    throw usage_error("{} {}: the adapter {} has {}", flag, *given, *options.resume_adapter, has);
  };
  GivenFlags& given = options.given;
  const WorkloadOptions& shared = options.workload;
  const bool all_layers = given.lora_layers == -1 && lora.layers == workload.model.layers;
  agree("--lora-rank", given.lora_rank, given.lora_rank == lora.rank, lora.rank);
  agree("--lora-layers", given.lora_layers, all_layers || given.lora_layers == lora.layers,
        lora.layers);
  agree("--lora-alpha", shared.lora_alpha, shared.lora_alpha == lora.alpha, lora.alpha);
  agree("--target-modules", shared.target_modules, workload.base.lora.targets == lora.targets,
        names_of(lora.targets));
  if (shared.rslora) {
    throw usage_error("--rslora: the scale of {} comes with it; leave --rslora out",
                      *options.resume_adapter);
  }
  if (!given.lora_rank) given.rank_from = "the adapter";
  if (!given.lora_layers) given.layers_from = "the adapter";
  given.lora_rank = lora.rank;
  given.lora_layers = lora.layers;
  workload.base.lora.targets = lora.targets;
  workload.lora_alpha = lora.alpha;
  workload.base.resume_adapter_file = *options.resume_adapter;
  // Its alpha comes with it.
  workload.train_flags.insert(
      workload.train_flags.end(),
      {"--resume-adapter-file", std::filesystem::absolute(*options.resume_adapter).string()});
}

}  // namespace loadline
