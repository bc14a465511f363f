#include "search/regression.h"

#include <cmath>
#include <cstddef>
#include <optional>
#include <utility>

#include "search/numbers.h"
#include "search/truncated.h"

namespace loadline {
namespace {

// Neighbours at this distance (1 is the whole grid) share about a third of an axis's rest.
constexpr double kReach = 0.3;
// How much evidence another factor than 1 needs: one deviation is this factor.
constexpr double kFactorDeviation = 4.0;
// An interval that says nothing: its stand-in's variance.
constexpr double kSaysNothing = 1e6;
constexpr double kLeastPrecision = 1e-6;
// Rounds of expectation propagation, and what is too small a move for another.
constexpr int kRounds = 8;
constexpr double kSettled = 0.01;

}  // namespace

double Expectation::chance_below(double limit) const {
  if (!(deviation > 0)) return mean <= limit ? 1 : 0;
  return 0.5 * std::erfc((mean - limit) / (deviation * std::sqrt(2.0)));
}

Regression::Regression(Belief belief, std::vector<Observation> observations)
    : belief_(std::move(belief)), observations_(std::move(observations)) {
  const std::size_t n = observations_.size();
  shared_.resize(n * n);
  bool has_intervals = false;
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j < n; ++j) {
      shared_[i * n + j] = covariance(observations_[i].point, observations_[j].point);
    }
    shared_[i * n + i] += squared(belief_.noise);
    const Observation& o = observations_[i];
    has_intervals |= o.is_interval();
    seen_.push_back(o.value);
    variance_.push_back(0);
    if (o.is_interval()) {
      // As if every value within were as likely; of an open interval nothing is known yet.
      const double width = o.high - o.low;
      const bool bounded = std::isfinite(width);
      seen_[i] = bounded ? o.low + width / 2 : prior_mean(o.point);
      variance_[i] = bounded ? squared(width) / 12 : kSaysNothing;
    }
  }
  factorize();
  if (has_intervals) settle_intervals();
}

double Regression::covariance(const Point& a, const Point& b) const {
  double sum = 0;
  for (std::size_t i = 0; i < belief_.deviation.size(); ++i) {
    sum += squared(belief_.deviation[i]) * a.features[i] * b.features[i];
  }
  double shared = 0;
  for (std::size_t i = 0; i < a.place.size(); ++i) {
    shared += std::exp(-std::abs(a.place[i] - b.place[i]) / kReach);
  }
  return sum + squared(belief_.rest) * shared / static_cast<double>(a.place.size());
}

double Regression::prior_mean(const Point& point) const {
  double sum = 0;
  for (std::size_t i = 0; i < belief_.mean.size(); ++i) sum += belief_.mean[i] * point.features[i];
  return sum;
}

void Regression::solve_lower(std::vector<double>& right) const {
  const std::size_t n = right.size();
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j < i; ++j) right[i] -= lower_[i * n + j] * right[j];
    right[i] /= lower_[i * n + i];
  }
}

void Regression::factorize() {
  const std::size_t n = observations_.size();
  lower_.assign(n * n, 0);
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j <= i; ++j) {
      double value = shared_[i * n + j] + (i == j ? variance_[i] : 0);
      for (std::size_t k = 0; k < j; ++k) value -= lower_[i * n + k] * lower_[j * n + k];
      // Rounding may leave a little less than the noise on the diagonal.
      lower_[i * n + j] = i == j ? std::sqrt(std::fmax(value, squared(belief_.noise) / 4))
                                 : value / lower_[j * n + j];
    }
  }
  weights_.resize(n);
  for (std::size_t i = 0; i < n; ++i) weights_[i] = seen_[i] - prior_mean(observations_[i].point);
  solve_lower(weights_);
  log_evidence_ = log_intervals_;
  for (std::size_t i = 0; i < n; ++i) {
    log_evidence_ -= 0.5 * (squared(weights_[i]) + std::log(kTwoPi)) + std::log(lower_[i * n + i]);
  }
}

// Expectation propagation, one interval after the other (algorithm 3.5 of the book).
void Regression::settle_intervals() {
  const std::size_t n = observations_.size();
  std::vector<double> mean(n), covariance(n * n);
  for (std::size_t i = 0; i < n; ++i) {
    mean[i] = prior_mean(observations_[i].point);
    std::vector<double> row = row_of(i);
    for (std::size_t k = 0; k < n; ++k) mean[i] += row[k] * weights_[k];
    for (std::size_t j = 0; j <= i; ++j) {
      const std::vector<double> other = row_of(j);
      double value = shared_[i * n + j];
      for (std::size_t k = 0; k < n; ++k) value -= row[k] * other[k];
      covariance[i * n + j] = covariance[j * n + i] = value;
    }
  }
  for (int round = 0; round < kRounds; ++round) {
    double farthest = 0;
    log_intervals_ = 0;
    for (std::size_t i = 0; i < n; ++i) {
      if (observations_[i].is_interval()) {
        farthest = std::fmax(farthest, settle(i, mean, covariance));
      }
    }
    if (farthest < kSettled) break;
  }
  factorize();
}

std::vector<double> Regression::row_of(std::size_t index) const {
  const std::size_t n = observations_.size();
  const auto begin = shared_.begin() + static_cast<std::ptrdiff_t>(index * n);
  std::vector<double> row(begin, begin + static_cast<std::ptrdiff_t>(n));
  solve_lower(row);
  return row;
}

double Regression::settle(std::size_t index, std::vector<double>& mean,
                          std::vector<double>& covariance) {
  const std::size_t n = observations_.size();
  const Observation& o = observations_[index];
  const double variance = std::fmax(covariance[index * n + index], 1e-14);
  // What the others say of it, without its own stand-in.
  const double rest_precision =
      std::fmax(1 / variance - 1 / variance_[index], kLeastPrecision / variance);
  const double rest = (mean[index] / variance - seen_[index] / variance_[index]) / rest_precision;
  const Truncated inside = truncated(rest, 1 / rest_precision, o.low, o.high);
  const double precision = std::fmax(1 / inside.variance - rest_precision, 1 / kSaysNothing);
  const double pull = inside.mean / inside.variance - rest * rest_precision;
  const double both = 1 / rest_precision + 1 / precision;
  const double stand_in = pull / precision;
  log_intervals_ +=
      inside.log_chance + 0.5 * std::log(kTwoPi * both) + squared(rest - stand_in) / (2 * both);
  const double more = precision - 1 / variance_[index];
  const double more_pull = pull - seen_[index] / variance_[index];
  const double gain = 1 / (1 + more * variance);
  const double move = gain * (more_pull - more * mean[index]);
  const std::vector<double> column(covariance.begin() + static_cast<std::ptrdiff_t>(index * n),
                                   covariance.begin() + static_cast<std::ptrdiff_t>(index * n + n));
  for (std::size_t i = 0; i < n; ++i) {
    mean[i] += column[i] * move;
    for (std::size_t j = 0; j < n; ++j) {
      covariance[i * n + j] -= gain * more * column[i] * column[j];
    }
  }
  seen_[index] = stand_in;
  variance_[index] = 1 / precision;
  return std::abs(column[index] * move) / std::sqrt(variance);
}

Expectation Regression::at(const Point& point) const {
  std::vector<double> shared;
  shared.reserve(observations_.size());
  for (const Observation& seen : observations_) shared.push_back(covariance(point, seen.point));
  solve_lower(shared);
  double mean = prior_mean(point);
  double variance = covariance(point, point) + squared(belief_.noise);
  for (std::size_t i = 0; i < shared.size(); ++i) {
    mean += shared[i] * weights_[i];
    variance -= squared(shared[i]);
  }
  return {mean, std::sqrt(std::fmax(variance, squared(belief_.noise)))};
}

double Regression::shared_doubt(const Point& a, const Point& b) const {
  std::vector<double> of_a, of_b;
  for (const Observation& seen : observations_) {
    of_a.push_back(covariance(a, seen.point));
    of_b.push_back(covariance(b, seen.point));
  }
  solve_lower(of_a);
  solve_lower(of_b);
  double both = covariance(a, b);
  double variance_a = covariance(a, a) + squared(belief_.noise);
  double variance_b = covariance(b, b) + squared(belief_.noise);
  for (std::size_t i = 0; i < of_a.size(); ++i) {
    both -= of_a[i] * of_b[i];
    variance_a -= squared(of_a[i]);
    variance_b -= squared(of_b[i]);
  }
  const double least = squared(belief_.noise);
  return squared(both) / (std::fmax(variance_a, least) * std::fmax(variance_b, least));
}

Regression fitted(const Belief& belief, const std::vector<Observation>& observations) {
  struct Factors {
    double rest, noise;
  };
  constexpr Factors kFactors[] = {{0.5, 0.5}, {1, 1}, {3, 1}, {10, 1}, {10, 3}, {40, 10}};
  std::optional<Regression> best;
  double best_score = 0;
  for (const auto& [rest, noise] : kFactors) {
    Belief scaled = belief;
    scaled.rest *= rest;
    scaled.noise *= noise;
    Regression regression(std::move(scaled), observations);
    const double surprise = squared(std::log(rest)) + squared(std::log(noise));
    const double score =
        regression.log_evidence() - surprise / (2 * squared(std::log(kFactorDeviation)));
    if (best && score <= best_score) continue;
    best = std::move(regression);
    best_score = score;
  }
  return *best;
}

}  // namespace loadline
