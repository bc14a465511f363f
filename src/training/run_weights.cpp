#include "training/run_weights.h"

#include "checkpoint/weights.h"

namespace loadline {

RunWeights load_weights(const TrainingSettings& settings, LoraModel& model) {
  if (settings.generated_weights) {
    model.generate_weights(settings.seed);
    return {.fingerprint = "generated", .cache_key = "generated"};
  }
  const WeightFiles files(settings.model);
  if (settings.prepared_weights) {
    model.load_weights(files, *settings.prepared_weights);
  } else {
    model.load_weights(files);
  }
  return {.fingerprint = files.fingerprint(), .cache_key = files.cache_key()};
}

}  // namespace loadline
