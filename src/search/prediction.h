// What the trials so far let one expect of a configuration's memory, and how far that may be
// trusted: the estimate, corrected by what was measured, where there is a good one; else a model
// that is fitted to the trials alone.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <vector>

#include "search/evidence.h"
#include "search/regression.h"

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

// Loads are adjusted peaks over the budget: what fits has a load of at most 1.
class Prediction {
 public:
  // Beyond this many deviations from the budget a boundary is left to the prediction.
  static constexpr double kTrustInPlan = 2.8, kTrustInShape = 3.0;

  // Refers to all of its arguments; trials must not change during its life.
  Prediction(Estimates& estimates, const SearchSpace& space, const SearchLimits& limits,
             const std::vector<RunTrial>& trials);

  // The estimate answers, and grows from the smallest configuration to the largest.
  [[nodiscard]] bool has_plan() const { return has_plan_; }
  // The estimate explains the trials at least as well as a model without it.
  [[nodiscard]] bool uses_plan() const { return uses_plan_; }
  // Enough was measured near the budget, and no trial contradicts it: it may settle a cell.
  [[nodiscard]] bool confirmed() const { return confirmed_; }
  // A complete peak near the budget was measured in this cell.
  [[nodiscard]] bool measured_near_budget(const Cell& cell) const;
  [[nodiscard]] std::size_t cells_near_budget() const { return near_.size(); }

  // Nothing where the estimate has a hole.
  [[nodiscard]] std::optional<Expectation> load(const Configuration& configuration) const;
  // The expected peak in bytes.
  [[nodiscard]] std::optional<double> peak(const Configuration& configuration) const;

  // The largest batch, up to --max-batch, expected to fit; 0 for none.
  [[nodiscard]] std::int64_t expected_fit(const Cell& cell) const;
  // The largest batch that is likely to run through, fitting or not: its peak will be known.
  [[nodiscard]] std::int64_t careful_guess(const Cell& cell) const;
  // What fits, and what may fit, as far as the prediction is trusted. Need confirmed().
  [[nodiscard]] std::int64_t certain_fit(const Cell& cell) const;
  [[nodiscard]] std::int64_t possible_fit(const Cell& cell) const;

 private:
  void choose_model();
  [[nodiscard]] std::vector<Observation> observations(bool with_plan) const;
  [[nodiscard]] Regression model_of_plan() const;
  [[nodiscard]] Regression model_of_shape() const;
  [[nodiscard]] Regression model_of(const Belief& belief, bool with_plan) const;
  void add_out_of_memory(const Regression& model, bool with_plan,
                         std::vector<Observation>& seen) const;
  [[nodiscard]] std::optional<Point> point_of(const Configuration& c, bool with_plan) const;
  [[nodiscard]] double room() const;
  [[nodiscard]] double trust() const { return uses_plan_ ? kTrustInPlan : kTrustInShape; }
  [[nodiscard]] bool is_contradicted() const;
  // The largest batch whose mean and `times` deviations are within `limit`; where the estimate has
  // a hole, `unknown` decides.
  [[nodiscard]] std::int64_t largest_within(const Cell& cell, double limit, double times,
                                            bool unknown) const;

  Estimates* estimates_;
  const SearchSpace* space_;
  const SearchLimits* limits_;
  const std::vector<RunTrial>* trials_;
  std::vector<Cell> near_;
  std::optional<Regression> model_;
  bool has_plan_ = false;
  bool uses_plan_ = false;
  bool confirmed_ = false;
};

}  // namespace loadline
