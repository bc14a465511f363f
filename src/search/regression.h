// What a few measurements let one expect of the rest: a linear model with normal beliefs about its
// coefficients, and beside it a rest that neighbours share, for the steps and cliffs that no line
// follows. (Gaussian process regression: Rasmussen and Williams, 2006, chapter 2.)
#pragma once

#include <array>
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

struct Observation {
  Point point;
  double value = 0;
  double noise = 0;  // on top of the belief's
};

struct Expectation {
  double mean = 0;
  double deviation = 0;  // of a new measurement there, its noise included
  // The chance that it is at most `limit`.
  [[nodiscard]] double chance_below(double limit) const;
};

class Regression {
 public:
  // belief.noise must be positive; every point needs as many features as the belief has.
  Regression(Belief belief, std::vector<Observation> observations);

  [[nodiscard]] Expectation at(const Point& point) const;
  // How well the belief foresaw the observations: for comparing beliefs about the same ones.
  [[nodiscard]] double log_evidence() const { return log_evidence_; }

 private:
  [[nodiscard]] double covariance(const Point& a, const Point& b) const;
  [[nodiscard]] double prior_mean(const Point& point) const;
  void factorize();
  // Solves lower x = right in place.
  void solve_lower(std::vector<double>& right) const;

  Belief belief_;
  std::vector<Observation> observations_;
  std::vector<double> lower_;    // (n, n), Cholesky factor
  std::vector<double> weights_;  // (n)
  double log_evidence_ = 0;
};

// The regression whose rest and noise suit the observations best: the belief's are multiplied by
// factors on a grid, 1 being what is expected before anything is known.
Regression fitted(const Belief& belief, const std::vector<Observation>& observations);

}  // namespace loadline
