// The frozen weights that a run trains on.
#pragma once

#include <string>

#include "model/lora_model.h"
#include "training/settings.h"

namespace loadline {

struct RunWeights {
  std::string fingerprint;  // WeightFiles::fingerprint()
  std::string cache_key;    // what a cache of this machine knows them by
};

// Takes those of the settings into `model`: of its files, prepared ones, or generated. Throws as
// LoraModel and WeightFiles do.
RunWeights load_weights(const TrainingSettings& settings, LoraModel& model);

}  // namespace loadline
