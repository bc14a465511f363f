#include "training/trainer.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <optional>
#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "base/number_text.h"
#include "base/program_pages.h"
#include "base/stopwatch.h"
#include "checkpoint/adapter.h"
#include "checkpoint/config.h"
#include "kernels/adamw.h"
#include "kernels/threads.h"
#include "model/lora_model.h"
#include "training/coverage.h"
#include "training/divergence.h"
#include "training/effective_batch.h"
#include "training/evaluation.h"
#include "training/patience.h"
#include "training/readiness.h"
#include "training/run_folder.h"
#include "training/run_logs.h"
#include "training/run_weights.h"
#include "training/saved_run.h"
#include "training/schedule.h"
#include "training/training_rows.h"
#include "training/trunk_cache.h"
#include "training/update.h"

namespace loadline {
namespace {

constexpr std::chrono::minutes kLongestUnsaved(15);

// One run: everything that lives as long as its step loop.
class Run {
 public:
  Run(const TrainingSettings& settings, const ModelConfig& config, const TrainingHost& host,
      TrainingObserver& observer)
      : settings_(settings),
        host_(host),
        observer_(observer),
        config_(config),
        rows_(settings),
        saved_(settings, rows_.validation()),
        coverage_(meter()),
        worst_batch_tokens_(worst_batch_tokens(settings, rows_.train())),
        shape_(checked_shape()),
        model_(config_, settings.lora, shape_),
        batch_(rows_.train(), settings, shape_.tokens) {
    if (settings.is_trial()) reference_.emplace(rows_.train(), settings);
    if (const PackedRows* rows = rows_.evaluated()) {
      evaluation_.emplace(*rows, settings, shape_.tokens);
    }
  }

  TrainingEnd train() {
    LoadReport report = load();
    logs_.emplace(
        saved_.folder(), restored_.step, settings_.is_trial(), rows_.names(),
        [this](std::int64_t step, const std::string& what) { observer_.warned(step, what); });
    report.untrained_loss = logs_->metrics().untrained_loss();
    if (settings_.resume) saved_.take_up_best(logs_->metrics().kept_best());
    observer_.loaded(report);
    if (!saved_.earlier_best().empty()) observer_.warned(restored_.step, saved_.earlier_best());
    TrainingEnd end = loop();
    const SavedRun::Settled settled = saved_.settle(end.step);
    end.folder = settled.folder;
    end.earlier_run = settled.earlier_run;
    if (trunk_) {
      end.trunk_batches_read = trunk_->batches_read();
      end.trunk_batches = trunk_->batches_read() + trunk_->batches_computed();
      end.trunk_given_up = trunk_->given_up();
    }
    if (!settings_.is_trial()) end.rows = use_after(end.step);
    end.best = saved_.best_adapter().best();
    return end;
  }

 private:
  RowUse use_after(std::int64_t step) {
    return row_use(rows_.train(), settings_, step, batch_.order());
  }

  std::optional<CoverageMeter> meter() const {
    if (!settings_.is_trial()) return std::nullopt;
    return std::optional<CoverageMeter>(std::in_place, rows_.train(), settings_);
  }

  // What can be known to be wrong before memory is taken.
  StepShape checked_shape() {
    require_run_to_resume(settings_);
    const StepShape shape = rows_.shape_for(config_);
    require_writable_folder(saved_.folder());
    forget_program();
    return shape;
  }

  // The kernel sums its counters exactly only when it is asked.
  Bytes peak() { return peak_ = std::max(peak_, host_.peak_memory()); }

  // So that a run needs what its steps need, and not what was run through before them as well.
  void forget_program() {
    peak();
    forget_program_pages();
  }

  LoadReport load() {
    const Stopwatch watch;
    const RunWeights weights = load_weights(settings_, model_);
    identity_ = {.model = weights.fingerprint, .data = rows_.train().fingerprint()};
    load_adapter();
    if (settings_.trunk_cache) use_trunk_cache(weights);
    forget_program();
    model_.warm_up();
    forget_program();
    return {.seconds = watch.seconds(),
            .planned = model_.plan().total(),
            .peak = peak(),
            .rows = rows_.train().size(),
            .worst_batch_tokens = worst_batch_tokens_,
            .longest_row = longest_row_tokens(settings_, rows_.train()),
            .trainable_parameters = static_cast<std::int64_t>(model_.parameters().size()),
            .first_step = restored_.step,
            .trained_tokens = use_after(restored_.step).tokens,
            .untrained_loss = {},
            .threads = settings_.threads,
            .threads_before = restored_.threads};
  }

  void use_trunk_cache(const RunWeights& weights) {
    trunk_.emplace(open_trunk_cache(saved_.folder(), settings_, config_, weights.cache_key,
                                    rows_.train(), rows_.valid()));
    model_.use_trunk(&*trunk_);
    if (evaluation_ && rows_.valid() != nullptr) evaluation_->give_keys(rows_.train().size());
  }

  void load_adapter() {
    saved_.checkpoints().remove_unfinished_files();
    if (settings_.resume) {
      restored_ = saved_.take_up(config_, identity_, model_);
      return;
    }
    if (settings_.resume_adapter_file) {
      model_.load_adapter(read_adapter(*settings_.resume_adapter_file, config_));
    } else {
      model_.initialize_adapter(settings_.seed);
    }
    saved_.clear();
  }

  TrainingEnd loop() {
    std::int64_t step = restored_.step;
    last_save_ = host_.now();
    if (const std::optional<BestLoss>& best = saved_.best_adapter().best()) {
      patience_.take_up(*best, logs_->metrics().evaluations_after(best->step));
    }
    if (evaluates_first()) {
      if (std::optional<TrainingEnd> end = evaluate(step)) return *end;
    }
    if (patience_.is_at_its_end()) last_step_ = step;
    while (step < last_step_) {
      if (host_.stop_requested()) return interrupted(step);
      ++step;
      if (std::optional<TrainingEnd> end = update(step)) return *end;
      if (is_enough(step)) last_step_ = step;
      if (is_due(step, settings_.steps_per_eval)) {
        if (std::optional<TrainingEnd> end = evaluate(step)) return *end;
        if (patience_.is_at_its_end()) last_step_ = step;
      }
      if (is_due(step, settings_.save_every) || is_long_unsaved()) {
        if (std::optional<TrainingEnd> end = save(step, step == last_step_)) return *end;
      }
      if (std::optional<TrainingEnd> end = look_for_danger(step)) return *end;
    }
    if (std::optional<TrainingEnd> end = test(step)) return *end;
    if (!settings_.is_trial()) {
      TrunkCache::remove_in(saved_.folder());
      saved_.checkpoints().mark_finished();
    }
    return {.reason = TrainingEnd::Reason::kDone,
            .step = step,
            .coverage = coverage_ ? describe(coverage_->coverage()) : std::string(),
            .is_early = !settings_.is_trial() && step < settings_.max_steps};
  }

  // Before the first update, and when a run is resumed that was stopped in this very evaluation or
  // lacks nothing but its last one.
  [[nodiscard]] bool evaluates_first() const {
    if (settings_.is_trial()) return false;
    if (restored_.step == 0) return settings_.steps_per_eval > 0;
    return restored_.step >= settings_.max_steps ||
           (is_due(restored_.step, settings_.steps_per_eval) &&
            !logs_->metrics().has(EvaluationReport::Rows::kValidation, restored_.step));
  }

  [[nodiscard]] bool is_due(std::int64_t step, std::int64_t every) const {
    return step == last_step_ || (every > 0 && step % every == 0);
  }

  // A power cut costs no more than this of slow updates.
  [[nodiscard]] bool is_long_unsaved() const {
    return !settings_.is_trial() && settings_.save_every > 0 &&
           host_.now() - last_save_ >= kLongestUnsaved;
  }

  // A trial of slow steps ends early.
  [[nodiscard]] bool is_enough(std::int64_t step) const {
    return settings_.is_trial() && settings_.enough_seconds > 0 && step >= kLeastTrialSteps &&
           step_seconds_ >= settings_.enough_seconds;
  }

  std::optional<TrainingEnd> update(std::int64_t step) {
    std::optional<ReferenceTime> reference;
    // The first step warms up, and counts in no trial's speed.
    if (reference_ && step > 1) reference = reference_->before_step(model_);
    const Stopwatch watch;
    batch_.select(step);
    const UpdateResult result = run_update(model_, batch_, settings_, step, host_.stop_requested);
    if (result.is_stopped) return interrupted(step - 1);
    if (!result.finite) {
      return diverged(step - 1,
                      fmt::format("the loss is {}, the gradient's norm {} at step {}",
                                  number_text(result.loss()), number_text(result.grad_norm), step));
    }
    const StepReport report{.step = step,
                            .loss = result.loss(),
                            .cross_entropy = result.cross_entropy,
                            .distrust = result.distrust,
                            .learning_rate = learning_rate_at(settings_, step),
                            .grad_norm = result.grad_norm,
                            .tokens = batch_.tokens(),
                            .seconds = watch.seconds(),
                            .peak = peak(),
                            .reference = reference};
    step_seconds_ += report.seconds;
    if (reference_) reference_->stepped(report.seconds);
    logs_->add(report);
    observer_.stepped(report);
    if (coverage_) coverage_->met(batch_.longest_row(), batch_.largest_micro_batch());
    return std::nullopt;
  }

  std::optional<TrainingEnd> evaluate(std::int64_t step) {
    if (!evaluation_) return std::nullopt;
    return evaluate(step, *evaluation_, EvaluationReport::Rows::kValidation);
  }

  // After the last update, over all rows.
  std::optional<TrainingEnd> test(std::int64_t step) {
    if (rows_.test() == nullptr) return std::nullopt;
    TrainingSettings all = settings_;
    all.eval_batches = 0;
    Evaluation evaluation(*rows_.test(), all, shape_.tokens);
    return evaluate(step, evaluation, EvaluationReport::Rows::kTest);
  }

  std::optional<TrainingEnd> evaluate(std::int64_t step, Evaluation& evaluation,
                                      EvaluationReport::Rows rows) {
    const Stopwatch watch;
    const std::optional<EvaluationLoss> loss = evaluation.run(
        model_, host_.stop_requested,
        [&](std::int64_t done, std::int64_t all) { observer_.evaluating(rows, done, all); });
    if (!loss) return interrupted(step);
    if (!std::isfinite(loss->cross_entropy)) {
      const char* const of = rows == EvaluationReport::Rows::kTest ? "test" : "validation";
      return diverged(step, fmt::format("the {} loss is {} after step {}", of,
                                        number_text(loss->cross_entropy), step));
    }
    EvaluationReport report{.rows = rows,
                            .step = step,
                            .valid_loss = loss->cross_entropy,
                            .targets = loss->targets,
                            .is_best = false,
                            .seconds = watch.seconds(),
                            .peak = {}};
    if (std::optional<TrainingEnd> end = keep_if_best(report)) return end;
    report.peak = peak();
    // A finished run that is resumed is evaluated once more.
    if (!logs_->metrics().has(report.rows, report.step)) logs_->add(report);
    observer_.evaluated(report);
    return std::nullopt;
  }

  // An adapter that has not learned anything is never the best.
  std::optional<TrainingEnd> keep_if_best(EvaluationReport& report) {
    const bool counts = report.rows == EvaluationReport::Rows::kValidation && report.targets > 0 &&
                        report.step > 0 && !settings_.is_trial();
    if (counts) {
      patience_.count({.step = report.step, .valid_loss = report.valid_loss},
                      logs_->metrics().has(report.rows, report.step));
    }
    if (!counts || !saved_.best_adapter().beaten_by(report.valid_loss)) {
      saved_.record_best();
      // Evaluated again since the run was resumed.
      const std::optional<BestLoss>& best = saved_.best_adapter().best();
      report.is_best = counts && best && best->step == report.step;
      return std::nullopt;
    }
    if (std::optional<TrainingEnd> end = require_finite(report.step)) return end;
    const SavedRun::BestKept kept =
        saved_.keep_best(model_, {.step = report.step,
                                  .valid_loss = report.valid_loss,
                                  .untrained_loss = logs_->metrics().untrained_loss()});
    report.is_best = kept.is_written;
    if (!kept.warning.empty()) observer_.warned(report.step, kept.warning);
    return std::nullopt;
  }

  // The checkpoint comes first: what is said after it may be the last thing that is said.
  std::optional<TrainingEnd> look_for_danger(std::int64_t step) {
    if (!host_.danger) return std::nullopt;
    const std::optional<std::string> danger = host_.danger();
    if (!danger) return std::nullopt;
    if (std::optional<TrainingEnd> end = save(step, false)) return end;
    if (saved_.step() == step) {
      observer_.endangered(step, *danger);
    } else {
      observer_.warned(step, *danger);
    }
    return std::nullopt;
  }

  [[nodiscard]] std::optional<TrainingEnd> require_finite(std::int64_t step) {
    if (std::isfinite(squared_norm(model_.parameters()))) return std::nullopt;
    return diverged(step, fmt::format("the adapter is not finite after step {}", step));
  }

  // Never writes an adapter that is not finite. What the disk refuses is tried again at the next
  // save, and ends the run where there is none.
  std::optional<TrainingEnd> save(std::int64_t step, bool is_last) {
    if (step == saved_.step()) return std::nullopt;
    if (std::optional<TrainingEnd> end = require_finite(step)) return end;
    last_save_ = host_.now();
    saved_.record_best();
    try {
      saved_.save(model_, identity_, step);
    } catch (const Error& error) {
      if (settings_.is_trial() || error.kind() != ErrorKind::kEnvironment) throw;
      const std::string words = fmt::format("{}; {}", error.what(), saved_.what_is_kept());
      if (is_last && saved_.checkpoints().latest_step() == 0) throw Error(error.kind(), words);
      if (is_last) throw environment_error("{}; mend that, and continue with --resume", words);
      observer_.warned(step, words + ". The run goes on, and tries again at its next save");
      return std::nullopt;
    }
    observer_.saved(step, saved_.folder(), peak());
    return std::nullopt;
  }

  TrainingEnd interrupted(std::int64_t step) {
    if (step > 0) {
      if (std::optional<TrainingEnd> end = save(step, true)) return *end;
    }
    return {.reason = TrainingEnd::Reason::kInterrupted,
            .step = step,
            .detail = saved_.words_of_stop(step)};
  }

  [[nodiscard]] TrainingEnd diverged(std::int64_t step, const std::string& what) const {
    return {.reason = TrainingEnd::Reason::kDiverged,
            .step = step,
            .detail = words_of_divergence(settings_, what, step, saved_)};
  }

  const TrainingSettings& settings_;
  const TrainingHost& host_;
  TrainingObserver& observer_;
  const ModelConfig& config_;
  Bytes peak_;
  TrainingRows rows_;
  SavedRun saved_;
  std::optional<CoverageMeter> coverage_;
  std::int64_t worst_batch_tokens_;  // known before memory is taken: balanced ones take some
  StepShape shape_;
  LoraModel model_;
  EffectiveBatch batch_;
  std::optional<Evaluation> evaluation_;
  std::optional<ReferenceWork> reference_;
  std::optional<TrunkCache> trunk_;
  RunIdentity identity_;
  std::optional<RunLogs> logs_;
  Patience patience_{settings_.steps_per_eval > 0 ? settings_.patience : 0};
  Restored restored_;  // of the run that is continued
  std::int64_t last_step_ = settings_.max_steps;
  std::chrono::steady_clock::time_point last_save_;  // or the last try
  double step_seconds_ = 0;                          // of all updates of this run
};

}  // namespace

TrainingEnd run_training(const TrainingSettings& settings, const TrainingHost& host,
                         TrainingObserver& observer) {
  const ModelConfig config = read_config(settings.model);
  validate(settings, config);
  if (settings.adapter_path.empty()) throw usage_error("--adapter-path: the folder is missing");
  set_threads(settings.threads);
  settle_finished_run(settings.adapter_path);
  Run run(settings, config, host, observer);
  return run.train();
}

}  // namespace loadline
