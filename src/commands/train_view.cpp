#include "commands/train_view.h"

#include <fmt/format.h>

#include <cmath>

namespace loadline {

void TrainView::loaded(const LoadReport& report) {
  fmt::print(out_, "Loaded {} rows in {:.1f}s, {} trainable parameters, planned {}\n", report.rows,
             report.seconds, report.trainable_parameters, to_string(report.planned.bytes));
  std::fflush(out_);
}

void TrainView::stepped(const StepReport& report) {
  loss_sum_ += report.loss;
  seconds_ += report.seconds;
  tokens_ += report.tokens;
  trained_tokens_ += report.tokens;
  ++updates_;
  last_ = report;
  const bool due =
      report.step == 1 || report.step == settings_.max_steps ||
      (settings_.steps_per_report > 0 && report.step % settings_.steps_per_report == 0);
  if (!due) return;
  const auto updates = static_cast<double>(updates_);
  fmt::print(out_,
             "Iter {}: Train loss {:.3f}, Learning Rate {:.3e}, It/sec {:.3f}, Tokens/sec {:.1f}, "
             "Trained Tokens {}, "
             "Peak mem {:.3f} GB\n",
             report.step, loss_sum_ / updates, report.learning_rate, updates / seconds_,
             static_cast<double>(tokens_) / seconds_, trained_tokens_,
             static_cast<double>(report.peak.count) / 1e9);
  std::fflush(out_);
  loss_sum_ = seconds_ = 0;
  updates_ = tokens_ = 0;
}

void TrainView::evaluated(const EvaluationReport& report) {
  evaluations_.push_back({{"step", report.step}, {"valid_loss", report.valid_loss}});
  fmt::print(out_, "Iter {}: Val loss {:.3f}, Perplexity {:.2f}, Val took {:.1f}s\n", report.step,
             report.valid_loss, std::exp(report.valid_loss), report.seconds);
  std::fflush(out_);
}

void TrainView::saved(std::int64_t step, const std::filesystem::path& where, Bytes /*peak*/) {
  fmt::print(out_, "Iter {}: Saved adapter to {}\n", step, where.string());
  std::fflush(out_);
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
          {"adapter_path", settings_.adapter_path.string()}};
}

}  // namespace loadline
