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
  double distrust = 0;  // docs/distrust.md
  double learning_rate = 0;
  double grad_norm = 0;     // before clipping
  std::int64_t tokens = 0;  // useful tokens of the effective batch
  double seconds = 0;       // of the whole update, accumulation included
  Bytes peak;               // the process's VmHWM after the step
};

struct EvaluationReport {
  std::int64_t step = 0;
  double valid_loss = 0;     // cross-entropy per target token
  std::int64_t targets = 0;  // 0: nothing was to predict, and valid_loss is 0
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
  std::string coverage;  // kDone in kWorstFirst: what the run has met (training/coverage.h)
  std::string detail;    // kDiverged and kInterrupted, for people: "the loss is nan at step 12"...
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

// Loads, warms up, and runs settings.max_steps updates with evaluations and saves; the last update
// is always evaluated (where there are rows to evaluate) and saved. With validation rows and
// steps_per_eval an evaluation comes before the first update too (step 0; not in kWorstFirst).
// A save writes a checkpoint (docs/training-state.md) and then the adapter into adapter_path
// itself, where metrics.jsonl (docs/metrics.md) stands too. On a stop request it finishes the
// update, saves and returns kInterrupted. A loss or gradient that is not finite stops before the
// update (kDiverged): the adapter on disk stays the last good one, as it does when the validation
// loss or the adapter itself is no longer finite. Throws Error as its parts do, before anything is
// written for wrong settings: Error(kUsage) also when adapter_path holds an unfinished run that is
// not to be resumed (kWorstFirst replaces it), and when there is nothing to resume;
// Error(kBadInput) when no row has a token to predict.
TrainingEnd run_training(const TrainingSettings& settings, const TrainingHost& host,
                         TrainingObserver& observer);

// The StepShape that these settings need with this data: shared by train, find and the worker.
// tokens is that of the batch_size longest training rows, or the longest validation row where that
// is more: evaluations are packed within it (training/evaluation.h). `valid` may be null.
StepShape step_shape(const TrainingSettings& settings, const PackedRows& train,
                     const PackedRows* valid);

// The tokens of the batch_size longest training rows: no batch has more (training/batches.h).
std::int64_t worst_batch_tokens(const TrainingSettings& settings, const PackedRows& train);

}  // namespace loadline
