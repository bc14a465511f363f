// The training loop. `loadline train` and a trial's worker run this very function.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "model/memory_plan.h"
#include "text/packed.h"
#include "training/batches.h"
#include "training/best_adapter.h"
#include "training/reference_work.h"
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
  // kWorstFirst, after the first step: the latest before this one.
  std::optional<ReferenceTime> reference = {};
};

struct EvaluationReport {
  enum class Rows { kValidation, kTest };
  Rows rows = Rows::kValidation;
  std::int64_t step = 0;
  double valid_loss = 0;     // cross-entropy per target token
  std::int64_t targets = 0;  // 0: nothing was to predict, and valid_loss is 0
  bool is_best = false;      // after an update, so far; the adapter is then in adapter_path/best
  double seconds = 0;
  Bytes peak;
};

struct LoadReport {
  double seconds = 0;
  PredictedBytes planned;
  Bytes peak;
  std::int64_t rows = 0;
  std::int64_t worst_batch_tokens = 0;
  std::int64_t longest_row = 0;  // of the training rows, as they are cut
  std::int64_t trainable_parameters = 0;
  std::int64_t first_step = 0;                // updates done before, by the run that is continued
  std::int64_t trained_tokens = 0;            // by these
  std::optional<double> untrained_loss = {};  // of the validation rows, before the first of these
  int threads = 0;
  int threads_before = 0;  // of who saved the checkpoint that is continued; 0: none, or not known
};

struct TrainingEnd {
  enum class Reason { kDone, kInterrupted, kDiverged };
  Reason reason = Reason::kDone;
  std::int64_t step = 0;      // updates done
  std::string coverage = {};  // kDone in kWorstFirst: what the run has met (training/coverage.h)
  std::string detail = {};    // for people, unless kDone: "the loss is nan at step 12"...
  std::int64_t trunk_batches_read = 0;  // by this process; of so many:
  std::int64_t trunk_batches = 0;
  std::string trunk_given_up = {};    // why the rest were not kept; empty: they were
  RowUse rows = {};                   // of all updates so far, those before a resumption included
  std::optional<BestLoss> best = {};  // of those too; its adapter is in folder/best
  bool is_early = false;              // kDone before max_steps: settings.patience was at its end
  std::filesystem::path folder = {};  // of the run's files: training/run_folder.h
  // Where the finished run is kept that this one has replaced.
  std::optional<std::filesystem::path> earlier_run = {};
};

// Told of each thing as it happens, on the training thread. Must not throw.
class TrainingObserver {
 public:
  virtual ~TrainingObserver() = default;
  virtual void loaded(const LoadReport&) {}
  virtual void stepped(const StepReport&) {}
  // Before each batch of an evaluation, which may take minutes.
  virtual void evaluating(EvaluationReport::Rows, std::int64_t /*rows_done*/,
                          std::int64_t /*rows*/) {}
  virtual void evaluated(const EvaluationReport&) {}
  virtual void saved(std::int64_t /*step*/, const std::filesystem::path& /*where*/,
                     Bytes /*peak*/) {}
  // The host saw danger for this run: a checkpoint of `step` was saved first.
  virtual void endangered(std::int64_t /*step*/, const std::string& /*what*/) {}
  // What does not end the run, and what became of it: a line or a checkpoint that the disk refused.
  virtual void warned(std::int64_t /*step*/, const std::string& /*what*/) {}
};

// What the loop asks of the process that it runs in.
struct TrainingHost {
  std::function<Bytes()> peak_memory;    // VmHWM
  std::function<bool()> stop_requested;  // Ctrl-C
  // Asked after each update: what endangers the run right now, for people; once for each danger.
  // May be empty.
  std::function<std::optional<std::string>()> danger = {};
  // By which the time since the last save is told.
  std::function<std::chrono::steady_clock::time_point()> now = std::chrono::steady_clock::now;
};

// Loads, warms up, and runs settings.max_steps updates with evaluations and saves; the last update
// is always evaluated (where there are rows to evaluate) and saved, and it is the one whose
// evaluation is the patience-th in a row without a new best. Where it saves in between, it
// does so when 15 minutes have gone by without, too. With validation rows and
// steps_per_eval an evaluation comes before the first update too (step 0; not in kWorstFirst).
// A save writes a checkpoint (docs/training-state.md) and then the adapter into adapter_path
// itself, where metrics.jsonl (docs/metrics.md) stands too; all of it goes to a folder there until
// the last update where a finished run is to be replaced (training/run_folder.h). On a stop request
// it finishes the micro-batch, leaves the rest of its update to be done again, saves and returns
// kInterrupted. A loss or gradient that is not finite
// stops before the update (kDiverged): the adapter on disk stays the last good one, as it does when
// the validation loss or the adapter itself is no longer finite. A line of a log, a best adapter or
// a checkpoint that the disk refuses is told (warned()) and the run goes on; the last checkpoint is
// an Error(kEnvironment) that says which one there is. Throws Error as its parts do, before
// anything is written for wrong settings: Error(kUsage) also when adapter_path holds an unfinished
// run that is not to be resumed or an adapter that is not of a finished run there (kWorstFirst
// replaces both), and when there is nothing to resume; Error(kBadInput) when no training row,
// validation row or test row has a token to predict within max_seq_length. Rows without one are
// left out (PackedRows::within).
TrainingEnd run_training(const TrainingSettings& settings, const TrainingHost& host,
                         TrainingObserver& observer);

// The StepShape that these settings need with this data: shared by train, find and the worker.
// tokens is worst_batch_tokens(), or the longest validation or test row where that is more:
// evaluations are packed within it (training/evaluation.h). `valid` and `test` may be null. Rows
// that PackedRows::within() leaves out do not count.
StepShape step_shape(const TrainingSettings& settings, const PackedRows& train,
                     const PackedRows* valid, const PackedRows* test = nullptr);

// No batch has more: the tokens of the batch_size longest training rows; with RowOrder::kBalanced
// those of the largest batch that the run will use (training/batches.h).
std::int64_t worst_batch_tokens(const TrainingSettings& settings, const PackedRows& train);

// Of the longest row, cut to max_seq_length.
std::int64_t longest_row_tokens(const TrainingSettings& settings, const PackedRows& rows);

}  // namespace loadline
