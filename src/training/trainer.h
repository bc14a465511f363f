// The training loop. `loadline train` and a trial's worker run this very function.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "model/memory_plan.h"
#include "text/packed.h"
#include "training/settings.h"

namespace loadline {

struct StepReport {
  std::int64_t step = 0;  // updates done, counted from 1
  double loss = 0;        // cross_entropy + distrust, per target token
  double cross_entropy = 0;
  double distrust = 0;
  double learning_rate = 0;
  double grad_norm = 0;     // before clipping
  std::int64_t tokens = 0;  // useful tokens of the effective batch
  double seconds = 0;       // of the whole update, accumulation included
  Bytes peak;               // the process's VmHWM after the step
};

struct EvaluationReport {
  std::int64_t step = 0;
  double valid_loss = 0;  // cross-entropy per target token
  std::int64_t targets = 0;
  double seconds = 0;
  Bytes peak;
};

struct LoadReport {
  double seconds = 0;
  PredictedBytes planned;
  Bytes peak;
  std::int64_t rows = 0;
  std::int64_t worst_batch_tokens = 0;
  std::int64_t longest_row = 0;
  std::int64_t trainable_parameters = 0;
};

struct TrainingEnd {
  enum class Reason { kDone, kInterrupted, kDiverged };
  Reason reason = Reason::kDone;
  std::int64_t step = 0;
  std::string detail;  // kDiverged: "loss is nan at step 12", for people
};

// Told of each thing as it happens, on the training thread. Must not throw.
class TrainingObserver {
 public:
  virtual ~TrainingObserver() = default;
  virtual void loaded(const LoadReport&) {}
  virtual void stepped(const StepReport&) {}
  virtual void evaluated(const EvaluationReport&) {}
  virtual void saved(std::int64_t /*step*/, const std::filesystem::path& /*where*/,
                     Bytes /*peak*/) {}
};

// What the loop asks of the process that it runs in.
struct TrainingHost {
  std::function<Bytes()> peak_memory;    // VmHWM
  std::function<bool()> stop_requested;  // Ctrl-C
};

// Loads, warms up, and runs settings.max_steps updates with evaluations and saves. On a stop
// request it finishes the update, saves and returns kInterrupted. A loss or gradient that is not
// finite stops before the update (kDiverged): the adapter on disk stays the last good one. Throws
// Error as its parts do.
TrainingEnd run_training(const TrainingSettings& settings, const TrainingHost& host,
                         TrainingObserver& observer);

// The StepShape that these settings need with this data: shared by train, find and the worker.
StepShape step_shape(const TrainingSettings& settings, const PackedRows& train,
                     const PackedRows* valid);

}  // namespace loadline
