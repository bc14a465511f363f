#include "commands/train_view.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/json.h"
#include "report/text.h"

namespace loadline {
namespace {

constexpr std::size_t kBarWidth = 20;
constexpr const char* kClearLine = "\r\x1b[2K";
constexpr double kBarEvery = 0.1;   // seconds
constexpr double kSmoothing = 0.1;  // weight of the newest update

}  // namespace

void TrainView::say(const std::string& line) {
  clear_bar();
  fmt::print(out_, "{}\n", line);
  std::fflush(out_);
}

void TrainView::clear_bar() {
  if (bar_is_drawn_) fmt::print(out_, "{}", kClearLine);
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

void TrainView::draw_bar() {
  if (!is_terminal_) return;
  const double share = static_cast<double>(last_.step) /
                       static_cast<double>(std::max<std::int64_t>(1, settings_.max_steps));
  const auto filled = std::min(kBarWidth, static_cast<std::size_t>(share * kBarWidth));
  fmt::print(out_, "{}[{}{}] step {} of {}, loss {:.3f}, about {} left", kClearLine,
             std::string(filled, '#'), std::string(kBarWidth - filled, '.'), last_.step,
             settings_.max_steps, last_.loss, in_time_left(seconds_left()));
  std::fflush(out_);
  bar_is_drawn_ = true;
  since_bar_ = 0;
}

void TrainView::loaded(const LoadReport& report) {
  say(
      fmt::format("Loaded {} rows in {:.1f}s, largest batch {} tokens, {} trainable parameters, "
                  "planned {}",
                  report.rows, report.seconds, report.worst_batch_tokens,
                  report.trainable_parameters, to_string(report.planned.bytes)));
}

void TrainView::stepped(const StepReport& report) {
  loss_sum_ += report.loss;
  seconds_ += report.seconds;
  since_bar_ += report.seconds;
  tokens_ += report.tokens;
  trained_tokens_ += report.tokens;
  step_seconds_ = updates_ == 0 && step_seconds_ == 0
                      ? report.seconds
                      : step_seconds_ + kSmoothing * (report.seconds - step_seconds_);
  ++updates_;
  last_ = report;
  const bool due =
      report.step == 1 || report.step == settings_.max_steps ||
      (settings_.steps_per_report > 0 && report.step % settings_.steps_per_report == 0);
  if (due) {
    const auto updates = static_cast<double>(updates_);
    say(
        fmt::format("Iter {}: Train loss {:.3f}, Learning Rate {:.3e}, It/sec {:.3f}, Tokens/sec "
                    "{:.1f}, Trained Tokens {}, Peak mem {:.3f} GB",
                    report.step, loss_sum_ / updates, report.learning_rate, updates / seconds_,
                    static_cast<double>(tokens_) / seconds_, trained_tokens_,
                    static_cast<double>(report.peak.count) / 1e9));
    loss_sum_ = seconds_ = 0;
    updates_ = tokens_ = 0;
  }
  if (due || since_bar_ >= kBarEvery) draw_bar();
}

void TrainView::evaluated(const EvaluationReport& report) {
  const double perplexity = std::exp(report.valid_loss);
  const Json line{
      {"step", report.step}, {"valid_loss", report.valid_loss}, {"perplexity", perplexity}};
  if (report.rows == EvaluationReport::Rows::kTest) {
    test_ = {{"step", report.step}, {"loss", report.valid_loss}, {"perplexity", perplexity}};
    say(fmt::format("Test loss {:.3f}, Test ppl {:.3f}.", report.valid_loss, perplexity));
    return;
  }
  evaluation_seconds_ = report.seconds;
  evaluations_.push_back(line);
  if (report.is_best) best_ = line;
  say(fmt::format("Iter {}: Val loss {:.3f}, Perplexity {:.2f}, Val took {:.1f}s{}", report.step,
                  report.valid_loss, perplexity, report.seconds,
                  report.is_best ? ", the best so far" : ""));
}

void TrainView::saved(std::int64_t step, const std::filesystem::path& where, Bytes /*peak*/) {
  say(fmt::format("Iter {}: Saved adapter to {}", step, where.string()));
}

void TrainView::endangered(std::int64_t step, const std::string& what) {
  dangers_.push_back({{"step", step}, {"what", what}});
  say(fmt::format("Iter {}: Warning: {}. The checkpoint of this step is saved; training goes on.",
                  step, printable(what)));
}

void TrainView::ended(const TrainingEnd& end) {
  clear_bar();
  const RowUse& use = end.rows;
  if (use.uses > 0) {
    const std::string each = use.least == use.most
                                 ? fmt::format("each {} times", use.least)
                                 : fmt::format("each {} to {} times", use.least, use.most);
    say(fmt::format("Rows: {} of {} used, {} ({:.2f} epochs).", use.rows - use.unused, use.rows,
                    each, static_cast<double>(use.uses) / static_cast<double>(use.rows)));
  }
  if (end.trunk_batches > 0) {
    say(fmt::format("Trunk cache: {} of {} batches were read instead of computed.",
                    end.trunk_batches_read, end.trunk_batches));
  }
  if (!best_.is_null()) {
    say(fmt::format("Best: validation loss {:.3f} after step {}, in {}",
                    best_["valid_loss"].get<double>(), best_["step"].get<std::int64_t>(),
                    (settings_.adapter_path / "best").string()));
  }
}

Json TrainView::document(const TrainingEnd& end) const {
  const char* const status = end.reason == TrainingEnd::Reason::kDone          ? "complete"
                             : end.reason == TrainingEnd::Reason::kInterrupted ? "interrupted"
                                                                               : "diverged";
  return {{"schema_version", 1},
          {"status", status},
          {"steps", end.step},
          {"loss", last_.loss},
          {"trained_tokens", trained_tokens_},
          {"peak_bytes", last_.peak.count},
          {"evaluations", evaluations_},
          {"best", best_},
          {"test", test_},
          {"dangers", dangers_},
          {"row_use",
           {{"rows", end.rows.rows},
            {"uses", end.rows.uses},
            {"least", end.rows.least},
            {"most", end.rows.most},
            {"unused", end.rows.unused}}},
          {"adapter_path", settings_.adapter_path.string()}};
}

}  // namespace loadline
