#include "report/progress.h"

#include <fmt/format.h>

#include <algorithm>

#include "report/text.h"

namespace loadline {

void Progress::expects(const Outlook& outlook) {
  done_ = outlook.trials_done;
  expected_ = outlook.expected;
}

void Progress::trial_begins(const TrialSpec& spec) {
  running_ = true;
  batch_ = spec.batch_size;
  step_ = 0;
  steps_ = std::max<std::int64_t>(spec.steps, 1);
}

void Progress::trial_event(const WorkerEvent& event) {
  if (const auto* stepped = std::get_if<Stepped>(&event)) {
    step_ = std::clamp<std::int64_t>(stepped->step.step, step_, steps_);
  }
}

void Progress::trial_ends(const TrialOutcome& outcome) {
  // A trial that died early says little about what a whole one takes.
  if (outcome.fits() || outcome.verdict == Verdict::kExceedsBudget || costs_.empty()) {
    costs_.push_back({static_cast<double>(batch_), outcome.seconds});
  }
  running_ = false;
  ++done_;
  if (!expected_.empty()) expected_.erase(expected_.begin());
}

// Steps are nearly all of a trial; the load before them and the evaluation after are one step each.
double Progress::running_share() const {
  if (!running_) return 0;
  return static_cast<double>(step_) / static_cast<double>(steps_ + 2);
}

double Progress::share() const {
  const double done = static_cast<double>(done_) + running_share();
  const std::size_t ahead = std::max<std::size_t>(expected_.size(), running_ ? 1 : 0);
  const double all = static_cast<double>(done_ + ahead);
  return all > 0 ? done / all : 0;
}

// Least squares of seconds over batch; the mean where batches do not differ or the line falls.
double Progress::cost_of(std::int64_t batch) const {
  const auto n = static_cast<double>(costs_.size());
  double mean_batch = 0;
  double mean_seconds = 0;
  for (const Cost& cost : costs_) {
    mean_batch += cost.batch / n;
    mean_seconds += cost.seconds / n;
  }
  double across = 0;
  double square = 0;
  for (const Cost& cost : costs_) {
    across += (cost.batch - mean_batch) * (cost.seconds - mean_seconds);
    square += (cost.batch - mean_batch) * (cost.batch - mean_batch);
  }
  const double slope = square > 0 ? std::max(across / square, 0.0) : 0;
  return std::max(mean_seconds + slope * (static_cast<double>(batch) - mean_batch), 0.0);
}

std::optional<double> Progress::seconds_left() const {
  if (costs_.empty()) return std::nullopt;
  double left = running_ ? (1 - running_share()) * cost_of(batch_) : 0;
  for (std::size_t i = running_ ? 1 : 0; i < expected_.size(); ++i) {
    left += cost_of(expected_[i].batch_size);
  }
  return left;
}

std::string Progress::bar(std::size_t width) const {
  const auto filled = static_cast<std::size_t>(share() * static_cast<double>(width));
  std::string text = "[" + std::string(std::min(filled, width), '#') +
                     std::string(width - std::min(filled, width), '.') + "]";
  const std::size_t ahead = std::max<std::size_t>(expected_.size(), running_ ? 1 : 0);
  text += fmt::format(" trial {} of about {}", done_ + (running_ ? 1 : 0), done_ + ahead);
  if (running_) text += fmt::format(", step {} of {}", step_, steps_);
  if (const auto left = seconds_left()) text += ", about " + in_time_left(*left) + " left";
  return text;
}

}  // namespace loadline
