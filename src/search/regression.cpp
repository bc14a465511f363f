#include "search/regression.h"

#include <cmath>
#include <cstddef>
#include <optional>
#include <utility>

namespace loadline {
namespace {

// Neighbours at this distance (1 is the whole grid) share about a third of an axis's rest.
constexpr double kReach = 0.3;
// How much evidence another factor than 1 needs: one deviation is this factor.
constexpr double kFactorDeviation = 4.0;
constexpr double kTwoPi = 6.283185307179586;

double squared(double x) { return x * x; }

}  // namespace

double Expectation::chance_below(double limit) const {
  if (!(deviation > 0)) return mean <= limit ? 1 : 0;
  return 0.5 * std::erfc((mean - limit) / (deviation * std::sqrt(2.0)));
}

Regression::Regression(Belief belief, std::vector<Observation> observations)
    : belief_(std::move(belief)), observations_(std::move(observations)) {
  factorize();
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
      double value = covariance(observations_[i].point, observations_[j].point);
      if (i == j) value += squared(belief_.noise) + squared(observations_[i].noise);
      for (std::size_t k = 0; k < j; ++k) value -= lower_[i * n + k] * lower_[j * n + k];
      // Rounding may leave a little less than the noise on the diagonal.
      lower_[i * n + j] = i == j ? std::sqrt(std::fmax(value, squared(belief_.noise) / 4))
                                 : value / lower_[j * n + j];
    }
  }
  weights_.resize(n);
  for (std::size_t i = 0; i < n; ++i) {
    weights_[i] = observations_[i].value - prior_mean(observations_[i].point);
  }
  solve_lower(weights_);
  log_evidence_ = 0;
  for (std::size_t i = 0; i < n; ++i) {
    log_evidence_ -= 0.5 * (squared(weights_[i]) + std::log(kTwoPi)) + std::log(lower_[i * n + i]);
  }
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

Regression fitted(const Belief& belief, const std::vector<Observation>& observations) {
  constexpr double kFactors[] = {0.5, 1, 3, 10, 40};
  std::optional<Regression> best;
  double best_score = 0;
  for (const double rest : kFactors) {
    for (const double noise : kFactors) {
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
  }
  return *best;
}

}  // namespace loadline
