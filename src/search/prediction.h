// What the trials so far let one expect of a configuration's memory, and how far that may be
// trusted: the sum of all hypotheses about it.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <vector>

#include "search/evidence.h"
#include "search/hypotheses.h"

namespace loadline {

class Prediction {
 public:
  // Refers to all of its arguments; trials must not change during its life.
  Prediction(Estimates& estimates, const SearchSpace& space, const SearchLimits& limits,
             const std::vector<RunTrial>& trials);

  // The estimate answers, and grows from the smallest configuration to the largest.
  [[nodiscard]] bool has_plan() const { return has_plan_; }
  // The estimate explains the trials at least about as well as a model without it.
  [[nodiscard]] bool uses_plan() const { return uses_plan_; }
  // Enough was measured near the budget, and no trial contradicts it: it may settle a cell.
  [[nodiscard]] bool confirmed() const { return confirmed_; }
  // A complete peak near the budget was measured in this cell.
  [[nodiscard]] bool measured_near_budget(const Cell& cell) const;
  [[nodiscard]] std::size_t cells_near_budget() const { return near_.size(); }

  // Nothing where the estimate has a hole.
  [[nodiscard]] std::optional<Expectation> load(const Configuration& configuration) const;
  // The chance that it fits; nothing where the estimate has a hole.
  [[nodiscard]] std::optional<double> chance(const Configuration& configuration) const;
  // The expected peak in bytes.
  [[nodiscard]] std::optional<double> peak(const Configuration& configuration) const;
  // How much of the doubt about one a measured peak of the other would take away: 0 to 1.
  [[nodiscard]] double shared_doubt(const Configuration& a, const Configuration& b) const;

  // A boundary is left to the prediction where the chance of an error is at most this. It rises
  // with the trials that were spent: a boundary within the noise is not worth the tenth trial.
  [[nodiscard]] double doubt() const;

  // The largest batch, up to --max-batch, expected to fit; 0 for none.
  [[nodiscard]] std::int64_t expected_fit(const Cell& cell) const;
  // The largest batch that is likely to run through, fitting or not: its peak will be known.
  [[nodiscard]] std::int64_t careful_guess(const Cell& cell) const;
  // What fits, and what may fit, but for the doubt. Need confirmed().
  [[nodiscard]] std::int64_t certain_fit(const Cell& cell) const;
  [[nodiscard]] std::int64_t possible_fit(const Cell& cell) const;

 private:
  [[nodiscard]] std::optional<Foreseen> foresee(const Configuration& configuration) const;
  [[nodiscard]] std::optional<Foreseen> sum_of_hypotheses(const Configuration& configuration) const;
  void choose_hypotheses();
  void note_near_budget();
  [[nodiscard]] double least_doubt() const;
  [[nodiscard]] bool is_contradicted() const;
  // The largest batch for which `holds`, which should be monotone.
  [[nodiscard]] std::int64_t largest_that(
      const Cell& cell, const std::function<bool(const Configuration&)>& holds) const;

  Grounds grounds_;
  std::vector<Cell> near_;
  std::vector<Hypothesis> hypotheses_;
  mutable std::map<Configuration, std::optional<Foreseen>> foreseen_;
  bool has_plan_ = false;
  bool uses_plan_ = false;
  bool confirmed_ = false;
};

}  // namespace loadline
