#include "commands/train_view.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/counted.h"
#include "base/json.h"
#include "base/shell_quoted.h"
#include "report/print.h"
#include "report/text.h"

namespace loadline {
namespace {

constexpr const char* kClearLine = "\r\x1b[2K";
constexpr const char* kNoWrap = "\x1b[?7l";  // a narrow terminal cuts the bar off at its edge
constexpr const char* kWrap = "\x1b[?7h";
constexpr std::chrono::milliseconds kBarEvery(100);
constexpr double kSmoothing = 0.1;  // weight of the newest update

}  // namespace

void TrainView::say(const std::string& line) {
  clear_bar();
  tell(out_, "{}\n", line);
  std::fflush(out_);
}

// Lines of numbers stay whole, as other programs print them.
void TrainView::say_words(const std::string& words) {
  const std::int64_t width = columns_ ? columns_() : kUsualColumns;
  say(is_terminal_ ? wrapped(words, width) : words);
}

void TrainView::clear_bar() {
  if (!bar_is_drawn_) return;
  tell(out_, "{}", kClearLine);
  std::fflush(out_);  // what comes next may go to stderr
  bar_is_drawn_ = false;
}

// Updates that are left, and the evaluations among them.
double TrainView::seconds_left() const {
  const auto left = static_cast<double>(settings_.max_steps - last_.step);
  const double evaluations = settings_.steps_per_eval > 0 && settings_.valid_rows
                                 ? left / static_cast<double>(settings_.steps_per_eval)
                                 : 0;
  return left * step_seconds_ + evaluations * evaluation_seconds_;
}

bool TrainView::is_time_to_draw() const {
  return is_terminal_ && Clock::now() - drawn_ >= kBarEvery;
}

void TrainView::draw(const std::string& bar) {
  if (!is_terminal_) return;
  tell(out_, "{}{}{}{}", kClearLine, kNoWrap, bar, kWrap);
  std::fflush(out_);
  bar_is_drawn_ = true;
  drawn_ = Clock::now();
}

std::string TrainView::bar() const {
  const double share = static_cast<double>(last_.step) /
                       static_cast<double>(std::max<std::int64_t>(1, settings_.max_steps));
  std::string text =
      fmt::format("{} step {} of {}", bar_of(share), last_.step, settings_.max_steps);
  if (step_seconds_ == 0) return text;  // a first update of this process may take minutes
  text += fmt::format(", {} {:.3f}", last_.distrust == 0 ? "loss" : "cross-entropy",
                      last_.cross_entropy);
  return text + fmt::format(", about {} left", in_time_left(seconds_left()));
}

void TrainView::loaded(const LoadReport& report) {
  loaded_ = Clock::now();
  planned_ = report.planned.bytes;
  peak_ = report.peak;
  first_step_ = last_.step = report.first_step;
  trained_tokens_ = tokens_before_ = report.trained_tokens;
  untrained_loss_ = report.untrained_loss;
  say_words(fmt::format("Loaded {} in {:.1f}s, largest batch {} tokens, {} trainable parameters",
                        counted(report.rows, "row"), report.seconds, report.worst_batch_tokens,
                        report.trainable_parameters));
  const bool is_whole = first_step_ >= settings_.max_steps;
  if (first_step_ > 0) {
    say(fmt::format("Resumed after step {} of {}{}", first_step_, settings_.max_steps,
                    is_whole ? ": no update is left to do" : ""));
  }
  if (!is_whole && report.threads_before > 0 && report.threads_before != report.threads) {
    say_words(
        fmt::format("It ran on {} and runs on {} now: its numbers are the same to rounding, "
                    "not to the last bit",
                    counted(report.threads_before, "thread"), counted(report.threads, "thread")));
  }
  draw(bar());
}

void TrainView::stepped(const StepReport& report) {
  loss_sum_ += report.loss;
  cross_entropy_sum_ += report.cross_entropy;
  seconds_ += report.seconds;
  update_seconds_ += report.seconds;
  tokens_ += report.tokens;
  trained_tokens_ += report.tokens;
  peak_ = std::max(peak_, report.peak);
  step_seconds_ = step_seconds_ == 0
                      ? report.seconds
                      : step_seconds_ + kSmoothing * (report.seconds - step_seconds_);
  ++updates_;
  last_ = report;
  const bool due = report.step == first_step_ + 1 || report.step == settings_.max_steps ||
                   report.step % settings_.steps_per_report == 0;
  if (due) say_average();
  if (due || is_time_to_draw()) draw(bar());
}

void TrainView::say_average() {
  const auto updates = static_cast<double>(updates_);
  std::string line = fmt::format(
      "Iter {}: Train loss {:.3f}, Learning Rate {:.3e}, It/sec {:.3f}, Tokens/sec "
      "{:.1f}, Trained Tokens {}, Peak mem {:.3f} GB",
      last_.step, loss_sum_ / updates, last_.learning_rate, updates / seconds_,
      static_cast<double>(tokens_) / seconds_, trained_tokens_,
      static_cast<double>(last_.peak.count) / 1e9);
  if (loss_sum_ != cross_entropy_sum_) {
    line += fmt::format(", Cross-entropy {:.3f}", cross_entropy_sum_ / updates);
  }
  say(line);
  loss_sum_ = cross_entropy_sum_ = seconds_ = 0;
  updates_ = tokens_ = 0;
}

void TrainView::evaluating(EvaluationReport::Rows rows, std::int64_t done, std::int64_t all) {
  if (done > 0 && !is_time_to_draw()) return;
  const bool test = rows == EvaluationReport::Rows::kTest;
  draw(fmt::format("{}: {} of {} rows", test ? "Test" : "Validation", done, all));
}

void TrainView::evaluated(const EvaluationReport& report) {
  const double perplexity = std::exp(report.valid_loss);
  peak_ = std::max(peak_, report.peak);
  if (report.rows == EvaluationReport::Rows::kTest) {
    test_ = {{"step", report.step}, {"loss", report.valid_loss}, {"perplexity", perplexity}};
    say(fmt::format("Test loss {:.3f}, Test ppl {:.3f}.", report.valid_loss, perplexity));
    return;
  }
  evaluation_seconds_ = report.seconds;
  if (report.step == 0) untrained_loss_ = report.valid_loss;
  evaluations_.push_back(
      {{"step", report.step}, {"valid_loss", report.valid_loss}, {"perplexity", perplexity}});
  say(fmt::format("Iter {}: Val loss {:.3f}, Val took {:.3f}s, Perplexity {:.2f}{}", report.step,
                  report.valid_loss, report.seconds, perplexity,
                  report.is_best ? ", the best so far" + beside_untrained(report.valid_loss) : ""));
  draw(bar());
}

// Of a validation loss that training has not lowered.
std::string TrainView::beside_untrained(double valid_loss) const {
  if (!untrained_loss_ || valid_loss < *untrained_loss_) return "";
  return fmt::format(", but no better than before training ({:.3f})", *untrained_loss_);
}

void TrainView::saved(std::int64_t step, const std::filesystem::path& where, Bytes peak) {
  peak_ = std::max(peak_, peak);
  say(fmt::format("Iter {}: Saved adapter to {}", step, where.string()));
}

void TrainView::endangered(std::int64_t step, const std::string& what) {
  dangers_.push_back({{"step", step}, {"what", what}});
  say_words(
      fmt::format("Iter {}: Warning: {}. The checkpoint of this step is saved; training goes on.",
                  step, printable(what)));
}

// Tokens a second, of this process's updates without its evaluations and saves.
double TrainView::update_rate() const {
  return static_cast<double>(trained_tokens_ - tokens_before_) / std::max(update_seconds_, 1e-9);
}

void TrainView::warned(std::int64_t step, const std::string& what) {
  warnings_.push_back({{"step", step}, {"what", what}});
  say_words(fmt::format("Iter {}: Warning: {}.", step, printable(what)));
}

// Of this process: what came before a resumption was said then.
void TrainView::say_done(TrainingEnd::Reason reason) {
  const char* const how = reason == TrainingEnd::Reason::kDone          ? "Done"
                          : reason == TrainingEnd::Reason::kInterrupted ? "Stopped"
                                                                        : "Diverged";
  const std::chrono::duration<double> took = Clock::now() - loaded_;
  const std::int64_t tokens = trained_tokens_ - tokens_before_;
  say_words(
      fmt::format("{}: {} with {} in {} (updates {}, {:.1f} tokens/s); peak {}, {} were planned",
                  how, counted(last_.step - first_step_, "update"), counted(tokens, "token"),
                  in_elapsed(took.count()), in_elapsed(update_seconds_), update_rate(),
                  to_string(peak_), to_string(planned_)));
}

void TrainView::ended(const TrainingEnd& end, const std::string& model_words) {
  clear_bar();
  if (last_.step > first_step_) say_done(end.reason);
  if (end.is_early && end.best) {
    say_words(
        fmt::format("Stopped early: no evaluation of the last {} was better than that "
                    "after step {} (--early-stopping-patience {})",
                    settings_.patience, end.best->step, settings_.patience));
  }
  const RowUse& use = end.rows;
  if (use.uses > 0) {
    const std::int64_t least = std::max<std::int64_t>(1, use.least);  // of those that are used
    const std::string each = least == use.most
                                 ? "each " + counted(least, "time")
                                 : fmt::format("each {} to {} times", least, use.most);
    say(fmt::format("Rows: {} of {} used, {} ({:.2f} epochs).", use.rows - use.unused, use.rows,
                    each, static_cast<double>(use.uses) / static_cast<double>(use.rows)));
  }
  if (end.trunk_batches > 0) {
    const std::string& why = end.trunk_given_up;
    say_words(fmt::format("Trunk cache: {} of {} batches were read instead of computed{}",
                          end.trunk_batches_read, end.trunk_batches,
                          why.empty() ? "." : "; it was given up: " + printable(why)));
  }
  if (end.best) {
    const bool helped = !untrained_loss_ || end.best->valid_loss < *untrained_loss_;
    say(fmt::format("Best: validation loss {:.3f} after step {}{}, in {}", end.best->valid_loss,
                    end.best->step,
                    helped ? "" : fmt::format(" (before training {:.3f})", *untrained_loss_),
                    (end.folder / "best").string()));
    if (!helped) {
      say_words(
          "No evaluation was better than before training: without an adapter the model does as "
          "well "
          "on the validation rows, or better");
    }
  }
  if (end.earlier_run) {
    say(fmt::format("The run that was there before is kept in {}", end.earlier_run->string()));
  }
  if (end.reason != TrainingEnd::Reason::kDone) return;
  const bool quantized = settings_.quantize == Quantization::kNf4;
  say(fmt::format(
      "Adapter: {}; `loadline generate {}{} --adapter-path {} --prompt \"...\"` reads it",
      settings_.adapter_path.string(), model_words, quantized ? " --quantize nf4" : "",
      shell_quoted(settings_.adapter_path.string())));
}

Json TrainView::document(const TrainingEnd& end) const {
  const char* const status = end.reason == TrainingEnd::Reason::kDone          ? "complete"
                             : end.reason == TrainingEnd::Reason::kInterrupted ? "interrupted"
                                                                               : "diverged";
  const bool has_updates = last_.step > first_step_;
  Json best;  // null: none
  if (end.best) {
    best = {{"step", end.best->step},
            {"valid_loss", end.best->valid_loss},
            {"perplexity", std::exp(end.best->valid_loss)},
            {"path", (end.folder / "best").string()}};
  }
  return {{"schema_version", 1},
          {"status", status},
          {"batch_size", settings_.batch_size},
          {"grad_accumulation_steps", settings_.grad_accumulation_steps},
          {"lora_rank", settings_.lora.rank},
          {"lora_layers", settings_.lora.layers},
          {"steps", last_.step},
          {"loss", has_updates ? Json(last_.loss) : Json(nullptr)},
          {"cross_entropy", has_updates ? Json(last_.cross_entropy) : Json(nullptr)},
          {"update_seconds", update_seconds_},
          {"tokens_per_second", has_updates ? Json(update_rate()) : Json(nullptr)},
          {"trained_tokens", trained_tokens_},
          {"planned_bytes", planned_.count},
          {"peak_bytes", peak_.count},
          {"stopped_early", end.is_early},
          {"evaluations", evaluations_},
          {"best", best},
          {"test", test_},
          {"dangers", dangers_},
          {"warnings", warnings_},
          {"row_use",
           {{"rows", end.rows.rows},
            {"uses", end.rows.uses},
            {"least", end.rows.least},
            {"most", end.rows.most},
            {"unused", end.rows.unused}}},
          {"adapter_path", end.folder.string()},
          {"earlier_run", end.earlier_run ? Json(end.earlier_run->string()) : Json(nullptr)}};
}

}  // namespace loadline
