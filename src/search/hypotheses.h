// The ways in which memory may behave, each fitted to the trials and weighed by how well it foresaw
// them: it follows the caller's estimate, or a line of its own; from some batch or layers on it may
// stand higher (a cliff), and it may be taken in blocks.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "search/blocks.h"
#include "search/regression.h"
#include "search/search.h"

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

// What hypotheses are about. Loads are adjusted peaks over the budget: what fits has one of at most
// 1.
struct Grounds {
  Estimates& estimates;
  const SearchSpace& space;
  const SearchLimits& limits;
  const std::vector<RunTrial>& trials;
  // The bytes that are a load of 1.
  [[nodiscard]] double room() const {
    return static_cast<double>(limits.budget.count) / (1 + limits.margin);
  }
};

struct Hypothesis {
  std::shared_ptr<const Regression> model;  // of loads
  bool follows_plan = false;
  Blocks blocks;                  // of loads
  std::int64_t batch_cliff = 0;   // memory stands higher from this batch on; 0: nowhere
  std::int64_t layers_cliff = 0;  // from these layers on; 0: nowhere
  double log_weight = 0;
  double weight = 0;  // among all; together 1
};

// What a hypothesis lets one expect of a configuration's load, and the chance that it fits.
struct Foreseen {
  Expectation load;
  double chance = 0;
};

// Only a trial that ran to its end has a peak that means its configuration.
[[nodiscard]] bool has_whole_peak(const RunTrial& trial);

std::vector<Hypothesis> hypotheses_of_plan(const Grounds& grounds);
// Without an estimate; `simple`: one line, neither cliffs nor blocks.
std::vector<Hypothesis> hypotheses_of_shape(const Grounds& grounds, bool simple);

// The logarithm of their weights' sum, for comparing sets of hypotheses about the same trials.
double total_of(const std::vector<Hypothesis>& hypotheses);
// Forgets the unlikely ones and makes the weights of the others add up to 1.
void weigh(std::vector<Hypothesis>& hypotheses);

// Nothing where the estimate has a hole.
std::optional<Point> point_of(const Configuration& configuration, const Hypothesis& hypothesis,
                              const Grounds& grounds);
Foreseen foreseen(const Point& point, const Hypothesis& hypothesis);

}  // namespace loadline
