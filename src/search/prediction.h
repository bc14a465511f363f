// The estimate, corrected by what trials measured, and how far it may be trusted.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <vector>

#include "search/evidence.h"

namespace loadline {

// The caller's estimate, asked at most once for a configuration. Never throws.
class Estimates {
 public:
  explicit Estimates(std::function<PredictedBytes(const Configuration&)> estimate)
      : estimate_(std::move(estimate)) {}
  // Predicted peak in bytes; nothing when the estimate threw or said 0.
  std::optional<double> of(const Configuration& configuration);

 private:
  std::function<PredictedBytes(const Configuration&)> estimate_;
  std::map<Configuration, std::optional<double>> answers_;
};

// Measured peaks divide by their estimates to ratios. Near the budget, where every boundary lies,
// these correct the estimate; their spread, and never less than kSlack, says how far it is trusted.
class Prediction {
 public:
  // A boundary is left to the plan only where it stays on its side within this and the spread.
  static constexpr double kSlack = 0.005;
  // Ratios in two cells that differ by more than this do not confirm the plan.
  static constexpr double kSpread = 0.05;

  // Refers to all of its arguments; trials must not change during its life.
  Prediction(Estimates& estimates, const SearchSpace& space, const SearchLimits& limits,
             const std::vector<RunTrial>& trials);

  // The estimate answers and grows from the smallest configuration to the largest.
  [[nodiscard]] bool useful() const { return useful_; }
  // Useful, measured near the budget in two cells with ratios that agree, contradicted by no trial.
  [[nodiscard]] bool confirmed() const { return confirmed_; }
  // A complete peak near the budget was measured in this cell.
  [[nodiscard]] bool measured_near_budget(const Cell& cell) const;
  [[nodiscard]] std::size_t cells_near_budget() const { return near_.size(); }

  // The expected peak; nothing when not useful.
  [[nodiscard]] std::optional<double> peak(const Configuration& configuration) const;
  // The largest batch, up to --max-batch, expected to fit; 0 for none. Needs useful().
  [[nodiscard]] std::int64_t expected_fit(const Cell& cell) const;
  // The same at the far ends of the trust. Need confirmed().
  [[nodiscard]] std::int64_t certain_fit(const Cell& cell) const;
  [[nodiscard]] std::int64_t possible_fit(const Cell& cell) const;
  // Expected adjusted peak over the budget: 2 is twice what there is.
  [[nodiscard]] std::optional<double> load(const Configuration& configuration) const;

 private:
  void calibrate();
  [[nodiscard]] bool is_contradicted() const;
  // Where the estimate has a hole, `unknown` decides.
  [[nodiscard]] std::int64_t largest_fit(const Cell& cell, double ratio, bool unknown_fits) const;

  Estimates* estimates_;
  const SearchSpace* space_;
  const SearchLimits* limits_;
  const std::vector<RunTrial>* trials_;
  std::vector<Cell> near_;
  double ratio_ = 1, lowest_ = 1, highest_ = 1;
  bool useful_ = false;
  bool confirmed_ = false;
};

}  // namespace loadline
