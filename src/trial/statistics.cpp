#include "trial/statistics.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace loadline {
namespace {

constexpr std::int64_t kWindowStart = 10;
// Seconds. What claims to be shorter has no rate: it might be infinite.
constexpr double kShortestStep = 1e-9;

// 97.5 % quantiles of Student's t for 1 to 30 degrees of freedom.
constexpr std::array kStudent{12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306,
                              2.262,  2.228, 2.201, 2.179, 2.160, 2.145, 2.131, 2.120,
                              2.110,  2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064,
                              2.060,  2.056, 2.052, 2.048, 2.045, 2.042};

double student(std::size_t freedom) {
  return freedom <= kStudent.size() ? kStudent[freedom - 1] : 1.96;
}

struct Point {
  double step = 0;
  double rise = 0;  // above the first one's memory
};

Growth fit(const std::vector<Point>& points, double first) {
  const auto n = static_cast<double>(points.size());
  Point mean;
  for (const Point& p : points) {
    mean.step += p.step / n;
    mean.rise += p.rise / n;
  }
  double sxx = 0;
  double sxy = 0;
  for (const Point& p : points) {
    sxx += (p.step - mean.step) * (p.step - mean.step);
    sxy += (p.step - mean.step) * (p.rise - mean.rise);
  }
  Growth growth;
  if (sxx <= 0) return growth;
  growth.bytes_per_step = sxy / sxx;
  double residual = 0;
  for (const Point& p : points) {
    const double error = p.rise - mean.rise - growth.bytes_per_step * (p.step - mean.step);
    residual += error * error;
  }
  const std::size_t freedom = points.size() - 2;
  const double variance = residual / static_cast<double>(freedom) / sxx;
  growth.half_width = student(freedom) * std::sqrt(variance);
  if (first > 0) growth.relative = points.back().rise / first;
  return growth;
}

}  // namespace

std::optional<Growth> growth_of(const std::vector<TrialStep>& steps) {
  std::vector<Point> window;
  double first = 0;
  // The peak is a high-water mark: a rise below it stays unseen, and pages of files that anyone may
  // drop count in it.
  const bool own = std::all_of(steps.begin(), steps.end(), [](const TrialStep& step) {
    return step.step < kWindowStart || step.anonymous.count > 0;
  });
  for (const TrialStep& step : steps) {
    if (step.step < kWindowStart) continue;
    const auto held = static_cast<double>(own ? step.anonymous.count : step.peak.count);
    if (window.empty()) first = held;
    // Against the first: level memory then gives a slope of exactly zero.
    const double rise = held - first;
    window.push_back({static_cast<double>(step.step), rise});
  }
  if (window.size() < 3) return std::nullopt;
  return fit(window, first);
}

double quantile(std::vector<double> values, double fraction) {
  std::sort(values.begin(), values.end());
  const double rank = fraction * static_cast<double>(values.size() - 1);
  const auto below = static_cast<std::size_t>(rank);
  const std::size_t above = std::min(below + 1, values.size() - 1);
  return values[below] + (rank - static_cast<double>(below)) * (values[above] - values[below]);
}

double relative_spread(const std::vector<double>& values) {
  const double middle = quantile(values, 0.5);
  if (middle <= 0) return 0;
  return (quantile(values, 0.75) - quantile(values, 0.25)) / 2 / middle;
}

namespace {

std::vector<TrialStep> steady_steps(const std::vector<TrialStep>& steps) {
  constexpr std::size_t kEnoughForTwo = 6;
  std::size_t skipped = 0;
  if (steps.size() > 2) skipped = steps.size() < kEnoughForTwo ? 1 : 2;
  std::vector<TrialStep> steady(steps.begin() + static_cast<std::ptrdiff_t>(skipped), steps.end());
  std::erase_if(steady, [](const TrialStep& step) { return step.seconds < kShortestStep; });
  return steady;
}

double rate_of(const TrialStep& step) { return static_cast<double>(step.tokens) / step.seconds; }

std::optional<Pace> pace_of(const std::vector<TrialStep>& steady) {
  std::vector<double> references;
  std::vector<double> amounts;
  const std::optional<Reference>& first = steady.front().reference;
  for (const TrialStep& step : steady) {
    if (!step.reference || step.reference->tokens != first->tokens) return std::nullopt;
    references.push_back(step.reference->seconds);
    amounts.push_back(rate_of(step) * step.reference->seconds);
  }
  return Pace{.reference = {.tokens = first->tokens, .seconds = quantile(references, 0.5)},
              .tokens_per_reference = quantile(amounts, 0.5)};
}

}  // namespace

StepSpeed speed_of(const std::vector<TrialStep>& steps) {
  const std::vector<TrialStep> steady = steady_steps(steps);
  std::vector<double> seconds;
  std::vector<double> rates;
  for (const TrialStep& step : steady) {
    seconds.push_back(step.seconds);
    rates.push_back(rate_of(step));
  }
  if (seconds.empty()) return {};
  StepSpeed speed{.step_seconds = quantile(seconds, 0.5),
                  .tokens_per_second = quantile(rates, 0.5)};
  speed.pace = pace_of(steady);
  if (rates.size() < 3) return speed;
  speed.step_seconds_spread = relative_spread(seconds);
  speed.spread = relative_spread(rates);
  return speed;
}

double longest_step(const std::vector<TrialStep>& steps) {
  double longest = 0;
  for (const TrialStep& step : steps) longest = std::max(longest, step.seconds);
  return longest;
}

}  // namespace loadline
