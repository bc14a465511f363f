#include "search/prediction.h"

#include <algorithm>
#include <cmath>
#include <exception>

namespace loadline {
namespace {

// "Near the budget": the adjusted peak is this share of it.
constexpr double kNearLow = 0.6, kNearHigh = 1.7;

// Only a trial that ran to its end has a peak that means its configuration.
bool has_whole_peak(const RunTrial& trial) {
  const Verdict verdict = trial.outcome.verdict;
  return (verdict == Verdict::kFits || verdict == Verdict::kExceedsBudget) &&
         trial.outcome.peak.has_value() && trial.outcome.peak->bytes.count > 0;
}

double measured_peak(const RunTrial& trial) {
  return static_cast<double>(trial.outcome.peak->bytes.count);
}

}  // namespace

std::optional<double> Estimates::of(const Configuration& configuration) {
  const auto known = answers_.find(configuration);
  if (known != answers_.end()) return known->second;
  std::optional<double> answer;
  try {
    const PredictedBytes predicted = estimate_ ? estimate_(configuration) : PredictedBytes{};
    if (predicted.bytes.count > 0) answer = static_cast<double>(predicted.bytes.count);
  } catch (const std::exception&) {
    answer = std::nullopt;  // no estimate is a slower search, not a failed one
  }
  answers_.emplace(configuration, answer);
  return answer;
}

Prediction::Prediction(Estimates& estimates, const SearchSpace& space, const SearchLimits& limits,
                       const std::vector<RunTrial>& trials)
    : estimates_(&estimates), space_(&space), limits_(&limits), trials_(&trials) {
  const auto least = estimates.of({1, space.ranks.front(), space.layers.front()});
  const auto most = estimates.of({space.max_batch, space.ranks.back(), space.layers.back()});
  useful_ = least && most && *most > *least;
  if (useful_) calibrate();
}

// Takes the ratios near the budget, or, before there is one, the ratio of the highest peak.
void Prediction::calibrate() {
  const double budget = static_cast<double>(limits_->budget.count);
  double highest_peak = 0;
  double sum = 0;
  int count = 0;
  for (const RunTrial& trial : *trials_) {
    const auto estimated = estimates_->of(trial.configuration);
    if (!has_whole_peak(trial) || !estimated) continue;
    const double peak = measured_peak(trial);
    const double ratio = peak / *estimated;
    const double share = peak * (1 + limits_->margin) / budget;
    if (share >= kNearLow && share <= kNearHigh) {
      lowest_ = count == 0 ? ratio : std::min(lowest_, ratio);
      highest_ = count == 0 ? ratio : std::max(highest_, ratio);
      sum += ratio;
      ++count;
      if (!measured_near_budget(cell_of(trial.configuration))) {
        near_.push_back(cell_of(trial.configuration));
      }
    } else if (count == 0 && peak > highest_peak) {
      highest_peak = peak;
      ratio_ = ratio;
    }
  }
  if (count > 0) ratio_ = sum / count;
  const double spread = highest_ / lowest_ - 1;
  const double slack = std::max(kSlack, spread / 2);
  lowest_ *= 1 - slack;
  highest_ *= 1 + slack;
  confirmed_ = near_.size() >= 2 && spread <= kSpread && !is_contradicted();
}

// A memory verdict on the wrong side of what the plan holds for certain.
bool Prediction::is_contradicted() const {
  const double room = static_cast<double>(limits_->budget.count) / (1 + limits_->margin);
  return std::any_of(trials_->begin(), trials_->end(), [&](const RunTrial& trial) {
    const auto estimated = estimates_->of(trial.configuration);
    if (!estimated) return false;
    const bool surely_fits = *estimated * highest_ <= room;
    const bool surely_fails = *estimated * lowest_ > room;
    return (is_memory_failure(trial.outcome.verdict) && surely_fits) ||
           (trial.outcome.fits() && surely_fails);
  });
}

bool Prediction::measured_near_budget(const Cell& cell) const {
  return std::find(near_.begin(), near_.end(), cell) != near_.end();
}

std::optional<double> Prediction::peak(const Configuration& configuration) const {
  const auto estimated = useful_ ? estimates_->of(configuration) : std::nullopt;
  if (!estimated) return std::nullopt;
  return *estimated * ratio_;
}

std::optional<double> Prediction::load(const Configuration& configuration) const {
  const auto expected = peak(configuration);
  if (!expected) return std::nullopt;
  return *expected * (1 + limits_->margin) / static_cast<double>(limits_->budget.count);
}

// Bisects: the estimate is monotone in the batch; where it is not, any boundary will do for a
// guess.
std::int64_t Prediction::largest_fit(const Cell& cell, double ratio, bool unknown_fits) const {
  const double room = static_cast<double>(limits_->budget.count) / (1 + limits_->margin);
  std::int64_t fits = 0;
  std::int64_t fails = space_->max_batch + 1;
  while (fails - fits > 1) {
    const std::int64_t middle = fits + (fails - fits) / 2;
    const auto estimated = estimates_->of(cell.at(middle));
    const bool fit = estimated ? *estimated * ratio <= room : unknown_fits;
    (fit ? fits : fails) = middle;
  }
  return fits;
}

std::int64_t Prediction::expected_fit(const Cell& cell) const {
  return largest_fit(cell, ratio_, false);
}
std::int64_t Prediction::certain_fit(const Cell& cell) const {
  return largest_fit(cell, highest_, false);
}
std::int64_t Prediction::possible_fit(const Cell& cell) const {
  return largest_fit(cell, lowest_, true);
}

}  // namespace loadline
