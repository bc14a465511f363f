#include "trial/statistics.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace loadline {
namespace {

constexpr std::int64_t kWindowStart = 10;

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
  double peak = 0;  // above the first one's
};

Growth fit(const std::vector<Point>& points, double first_peak) {
  const auto n = static_cast<double>(points.size());
  Point mean;
  for (const Point& p : points) {
    mean.step += p.step / n;
    mean.peak += p.peak / n;
  }
  double sxx = 0;
  double sxy = 0;
  for (const Point& p : points) {
    sxx += (p.step - mean.step) * (p.step - mean.step);
    sxy += (p.step - mean.step) * (p.peak - mean.peak);
  }
  Growth growth;
  if (sxx <= 0) return growth;
  growth.bytes_per_step = sxy / sxx;
  double residual = 0;
  for (const Point& p : points) {
    const double error = p.peak - mean.peak - growth.bytes_per_step * (p.step - mean.step);
    residual += error * error;
  }
  const std::size_t freedom = points.size() - 2;
  const double variance = residual / static_cast<double>(freedom) / sxx;
  growth.half_width = student(freedom) * std::sqrt(variance);
  if (first_peak > 0) growth.relative = points.back().peak / first_peak;
  return growth;
}

}  // namespace

std::optional<Growth> growth_of(const std::vector<TrialStep>& steps) {
  std::vector<Point> window;
  double first = 0;
  for (const TrialStep& step : steps) {
    if (step.step < kWindowStart) continue;
    if (window.empty()) first = static_cast<double>(step.peak.count);
    // Against the first: level peaks then give a slope of exactly zero.
    const double rise = static_cast<double>(step.peak.count) - first;
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

StepSpeed speed_of(const std::vector<TrialStep>& steps) {
  const std::size_t skipped = steps.size() > 2 ? 2 : 0;
  std::vector<double> seconds;
  std::vector<double> rates;
  for (std::size_t i = skipped; i < steps.size(); ++i) {
    if (steps[i].seconds <= 0) continue;
    seconds.push_back(steps[i].seconds);
    rates.push_back(static_cast<double>(steps[i].tokens) / steps[i].seconds);
  }
  if (seconds.empty()) return {};
  StepSpeed speed{.step_seconds = quantile(seconds, 0.5),
                  .tokens_per_second = quantile(rates, 0.5),
                  .spread = 0};
  if (speed.tokens_per_second > 0) {
    const double range = quantile(rates, 0.75) - quantile(rates, 0.25);
    speed.spread = range / 2 / speed.tokens_per_second;
  }
  return speed;
}

}  // namespace loadline
