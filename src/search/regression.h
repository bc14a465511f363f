// What a few measurements let one expect of the rest: a linear model with normal beliefs about its
// coefficients, and beside it a rest that neighbours share, for the steps and cliffs that no line
// follows. (Gaussian process regression: Rasmussen and Williams, 2006, chapter 2.)
#pragma once

#include <array>
#include <limits>
#include <vector>

namespace loadline {

struct Belief {
  std::vector<double> mean, deviation;  // of each coefficient, before anything is measured
  double rest = 0;                      // deviation of what the line misses and neighbours share
  double noise = 0;                     // deviation of what each measurement has for itself
};

struct Point {
  std::vector<double> features;
  std::array<double, 2> place{};  // in [0, 1]: the axes along which a rest may change
};

// A value, or only the bounds between which it lies: a peak that was rounded up, or one that was
// never seen since memory ran out first.
struct Observation {
  Point point;
  double value = 0;
  double low = kUnbounded, high = -kUnbounded;  // value does not count where low < high
  static constexpr double kUnbounded = std::numeric_limits<double>::infinity();
  [[nodiscard]] bool is_interval() const { return low < high; }
};

struct Expectation {
  double mean = 0;
  double deviation = 0;  // of a new measurement there, its noise included
  // The chance that it is at most `limit`.
  [[nodiscard]] double chance_below(double limit) const;
};

class Regression {
 public:
  // belief.noise must be positive; every point needs as many features as the belief has. Intervals
  // are turned into normal observations by expectation propagation (the same book, chapter 3.6).
  Regression(Belief belief, std::vector<Observation> observations);

  [[nodiscard]] Expectation at(const Point& point) const;
  // How much of what is uncertain about one a measurement of the other would take away: 0 to 1.
  [[nodiscard]] double shared_doubt(const Point& a, const Point& b) const;
  // How well the belief foresaw the observations: for comparing beliefs about the same ones.
  [[nodiscard]] double log_evidence() const { return log_evidence_; }

 private:
  [[nodiscard]] double covariance(const Point& a, const Point& b) const;
  [[nodiscard]] double prior_mean(const Point& point) const;
  void factorize();
  void settle_intervals();
  // Finds what the interval stands for, given the rest; how far it moved, in deviations.
  double settle(std::size_t index, std::vector<double>& mean, std::vector<double>& covariance);
  // Of the shared covariance, solved by the factor.
  [[nodiscard]] std::vector<double> row_of(std::size_t index) const;
  // Solves lower x = right in place.
  void solve_lower(std::vector<double>& right) const;

  Belief belief_;
  std::vector<Observation> observations_;
  std::vector<double> shared_;    // (n, n), covariance with the belief's noise
  std::vector<double> seen_;      // (n), values, or what intervals stand for
  std::vector<double> variance_;  // (n), of what stands for an interval
  std::vector<double> lower_;     // (n, n), Cholesky factor
  std::vector<double> weights_;   // (n)
  double log_intervals_ = 0;      // what intervals add to the evidence of their normal stand-ins
  double log_evidence_ = 0;
};

// The regression whose rest and noise suit the observations best: the belief's are multiplied by
// factors on a grid, 1 being what is expected before anything is known.
Regression fitted(const Belief& belief, const std::vector<Observation>& observations);

}  // namespace loadline
