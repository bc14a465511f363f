#include "report/progress.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "report/text.h"

namespace loadline {
namespace {

// A time that stands beside several steps is that of one piece of work.
std::vector<double> references_in(const std::vector<TrialStep>& steps) {
  std::vector<double> seconds;
  for (const TrialStep& step : steps) {
    const bool is_new =
        step.reference && (seconds.empty() || step.reference->seconds != seconds.back());
    if (is_new) seconds.push_back(step.reference->seconds);
  }
  return seconds;
}

}  // namespace

void Progress::expects(const Outlook& outlook) {
  done_ = outlook.trials_done;
  ways_ = outlook.ways;
  for (const auto& way : ways_) {
    for (const ExpectedTrial& trial : way) {
      most_layers_ = std::max(most_layers_, trial.configuration.lora_layers);
    }
  }
}

void Progress::trial_begins(const TrialSpec& spec, const Configuration& tested) {
  running_ = true;
  tested_ = tested;
  under_margin_ = spec.least_steps == 0;
  most_layers_ = std::max(most_layers_, tested.lora_layers);
  step_ = 0;
  step_seconds_ = 0;
  steps_ = std::max<std::int64_t>(spec.steps, 1);
}

void Progress::trial_event(const WorkerEvent& event) {
  if (const auto* stepped = std::get_if<Stepped>(&event)) {
    step_ = std::clamp<std::int64_t>(stepped->step.step, step_, steps_);
    step_seconds_ += stepped->step.seconds;
  }
}

void Progress::trial_ends(const TrialOutcome& outcome) {
  // A trial that died before its first step says nothing about what a whole one takes.
  double in_steps = 0;
  for (const TrialStep& step : outcome.steps) in_steps += step.seconds;
  const std::vector<double> references = references_in(outcome.steps);
  const double in_references = std::accumulate(references.begin(), references.end(), 0.0);
  if (!outcome.steps.empty()) {
    costs_.push_back({.start = std::max(outcome.seconds - in_steps - in_references, 0.0),
                      .configuration = tested_,
                      .seconds_a_step = in_steps / static_cast<double>(outcome.steps.size()),
                      .reference = references.empty()
                                       ? 0
                                       : in_references / static_cast<double>(references.size())});
  }
  running_ = false;
  ++done_;
  for (auto& way : ways_) {
    if (!way.empty()) way.erase(way.begin());
  }
}

// Steps are nearly all of a trial; the load before them and the evaluation after are one step each.
double Progress::running_share() const {
  if (!running_) return 0;
  return static_cast<double>(step_) / static_cast<double>(running_steps() + 2);
}

double Progress::share() const {
  const double done = static_cast<double>(done_) + running_share();
  const double all = static_cast<double>(done_ + trials_left());
  return all > 0 ? done / all : 0;
}

// A step's tokens go forward through all layers and back through the LoRA layers, which costs about
// as much again; the most LoRA layers that are asked for stand for the model's.
double Progress::work_of(const Configuration& c) const {
  const double tokens = static_cast<double>(c.batch_size) *
                        static_cast<double>(std::max<std::int64_t>(c.sequence, 1));
  return tokens * static_cast<double>(most_layers_ + 2 * c.lora_layers);
}

std::optional<double> Progress::cost_of(const ExpectedTrial& trial) const {
  double start = 0;
  double reference = 0;
  double work = 0;
  double seconds = 0;
  for (const Cost& cost : costs_) {
    start += cost.start / static_cast<double>(costs_.size());
    reference += cost.reference / static_cast<double>(costs_.size());
    work += work_of(cost.configuration);
    seconds += cost.seconds_a_step;
  }
  if (running_ && step_ > 0) {
    work += work_of(tested_);
    seconds += step_seconds_ / static_cast<double>(step_);
  }
  if (!(work > 0)) return std::nullopt;
  if (trial.dies) return start;
  const double one = work_of(trial.configuration) * seconds / work;
  const auto steps = static_cast<double>(steps_of(one, trial.under_margin));
  const double references =
      std::min((steps - 1) * reference,
               std::max({kReferenceSeconds, kReferenceShare * steps * one, reference}));
  return start + steps * one + references;
}

std::int64_t Progress::steps_of(double seconds_a_step, bool under_margin) const {
  if (under_margin || !(seconds_a_step * static_cast<double>(steps_) > kEnoughStepSeconds)) {
    return steps_;
  }
  const auto enough = static_cast<std::int64_t>(std::ceil(kEnoughStepSeconds / seconds_a_step));
  return std::clamp(enough, std::min(kLeastSteps, steps_), steps_);
}

std::int64_t Progress::running_steps() const {
  if (step_ == 0) return steps_;
  return std::max(steps_of(step_seconds_ / static_cast<double>(step_), under_margin_), step_);
}

std::size_t Progress::trials_left() const {
  const std::size_t expected = ways_.empty() ? 0 : ways_.front().size();
  return std::max<std::size_t>(expected, running_ ? 1 : 0);
}

// By its own steps as soon as there is one.
std::optional<double> Progress::running_left() const {
  if (!running_) return 0;
  if (step_ == 0) return cost_of({.configuration = tested_, .under_margin = under_margin_});
  const auto left = static_cast<double>(running_steps() - step_);
  return left * step_seconds_ / static_cast<double>(step_);
}

std::optional<TimeLeft> Progress::time_left() const {
  const auto running = running_left();
  if (!running) return std::nullopt;
  constexpr double kLeast = 1e-3;  // seconds: a mean of logarithms
  TimeLeft left{.seconds = *running, .least = *running, .most = *running};
  double logarithms = 0;
  for (const auto& way : ways_) {
    double seconds = *running;
    for (std::size_t i = running_ ? 1 : 0; i < way.size(); ++i) {
      const auto cost = cost_of(way[i]);
      if (!cost) return std::nullopt;
      seconds += *cost;
    }
    const bool is_first = &way == &ways_.front();
    left.least = is_first ? seconds : std::min(left.least, seconds);
    left.most = is_first ? seconds : std::max(left.most, seconds);
    logarithms += std::log(std::max(seconds, kLeast));
  }
  if (!ways_.empty()) left.seconds = std::exp(logarithms / static_cast<double>(ways_.size()));
  return left;
}

std::string Progress::bar() const {
  std::string text = fmt::format("trial {}", done_ + (running_ ? 1 : 0));
  const bool foreseen = !ways_.empty();
  if (foreseen)
    text = fmt::format("{} {} of about {}", bar_of(share()), text, done_ + trials_left());
  if (running_) text += fmt::format(", step {} of {}", step_, steps_);
  const auto left = time_left();
  if (!foreseen || !left) return text;
  if (left->is_one_number()) return text + ", about " + in_time_left(left->seconds) + " left";
  return text + ", " + in_time_left(left->least, left->most) + " left";
}

}  // namespace loadline
