#include "search/prediction.h"

#include <algorithm>
#include <cmath>
#include <tuple>

namespace loadline {
namespace {

// "Near the budget": the adjusted peak is this share of it.
constexpr double kNearLow = 0.6, kNearHigh = 1.7;
// A plan has one coefficient and one offset; a shape has five coefficients.
constexpr std::size_t kEnoughWithPlan = 2, kEnoughWithoutPlan = 5;
// A plan is given up only for a model that is this much likelier (logarithm).
constexpr double kLoyalty = 3;
// A careful guess stays this many deviations below what would end in an out of memory.
constexpr double kCare = 0.4;

// Doubt: 2.8 and 3.0 deviations of a normal error, until the trials that a search should need are
// nearly spent.
struct Doubt {
  double least, most;
  double trials;  // after these it is the most
  double growth;  // by each trial before them
  [[nodiscard]] double after(double spent) const {
    return std::clamp(most * std::pow(growth, spent - trials), least, most);
  }
};
constexpr Doubt kDoubtOfPlan{.least = 0.0026, .most = 0.25, .trials = 6, .growth = 1.8};
constexpr Doubt kDoubtOfShape{.least = 0.00135, .most = 0.49, .trials = 14, .growth = 1.45};

}  // namespace

Prediction::Prediction(Estimates& estimates, const SearchSpace& space, const SearchLimits& limits,
                       const std::vector<RunTrial>& trials)
    : grounds_{estimates, space, limits, trials} {
  const std::vector<Cell> cells = cells_of(space);
  const auto least = estimates.of(cells.front().at(1));
  const auto most = estimates.of(
      Cell{space.ranks.back(), space.layers.back(), space.sequences.back(), cells[0].checkpointing}
          .at(space.max_batch));
  has_plan_ = least && most && *most > *least;
  note_near_budget();
  choose_hypotheses();
  const auto peaks = static_cast<std::size_t>(
      std::count_if(trials.begin(), trials.end(), [](const auto& t) { return has_whole_peak(t); }));
  confirmed_ = near_.size() >= 2 && peaks >= (uses_plan_ ? kEnoughWithPlan : kEnoughWithoutPlan) &&
               !is_contradicted();
}

void Prediction::note_near_budget() {
  for (const RunTrial& trial : grounds_.trials) {
    if (!has_whole_peak(trial)) continue;
    const double load = static_cast<double>(trial.outcome.peak->bytes.count) / grounds_.room();
    const Cell cell = cell_of(trial.configuration);
    if (load >= kNearLow && load <= kNearHigh && !measured_near_budget(cell)) near_.push_back(cell);
  }
}

void Prediction::choose_hypotheses() {
  if (has_plan_) {
    hypotheses_ = hypotheses_of_plan(grounds_);
    uses_plan_ = total_of(hypotheses_) + kLoyalty >= total_of(hypotheses_of_shape(grounds_, true));
  }
  if (!uses_plan_) hypotheses_ = hypotheses_of_shape(grounds_, false);
  weigh(hypotheses_);
}

double Prediction::least_doubt() const {
  return uses_plan_ ? kDoubtOfPlan.least : kDoubtOfShape.least;
}

double Prediction::doubt() const {
  // A choice that still has to run under its margin costs one more.
  const auto chosen = choose(grounds_.trials, grounds_.limits.objective);
  const bool pending = chosen && !grounds_.trials[*chosen].under_margin;
  const auto spent = static_cast<double>(grounds_.trials.size() + (pending ? 1 : 0));
  return uses_plan_ ? kDoubtOfPlan.after(spent) : kDoubtOfShape.after(spent);
}

// A memory verdict on the wrong side of what is held for certain.
bool Prediction::is_contradicted() const {
  return std::any_of(grounds_.trials.begin(), grounds_.trials.end(), [&](const RunTrial& trial) {
    const auto fit = chance(trial.configuration);
    if (!fit) return false;
    return (is_memory_failure(trial.outcome.verdict) && *fit >= 1 - least_doubt()) ||
           (trial.outcome.fits() && *fit <= least_doubt());
  });
}

bool Prediction::measured_near_budget(const Cell& cell) const {
  return std::find(near_.begin(), near_.end(), cell) != near_.end();
}

std::optional<Foreseen> Prediction::foresee(const Configuration& c) const {
  const auto known = foreseen_.find(c);
  if (known != foreseen_.end()) return known->second;
  return foreseen_.emplace(c, sum_of_hypotheses(c)).first->second;
}

std::optional<Foreseen> Prediction::sum_of_hypotheses(const Configuration& c) const {
  // Many hypotheses differ only in where a cliff lies, and say the same here.
  using Kind = std::tuple<const Regression*, double, std::vector<double>>;
  std::map<Kind, Foreseen> alike;
  Foreseen sum;
  double squares = 0;
  for (const Hypothesis& one : hypotheses_) {
    const auto point = point_of(c, one, grounds_);
    if (!point) return std::nullopt;
    const auto [place, is_new] =
        alike.try_emplace(Kind{one.model.get(), one.blocks.size, point->features});
    if (is_new) place->second = foreseen(*point, one);
    const auto& [load, chance] = place->second;
    sum.load.mean += one.weight * load.mean;
    squares += one.weight * (load.mean * load.mean + load.deviation * load.deviation);
    sum.chance += one.weight * chance;
  }
  sum.load.deviation = std::sqrt(std::fmax(squares - sum.load.mean * sum.load.mean, 1e-12));
  return sum;
}

std::optional<Expectation> Prediction::load(const Configuration& configuration) const {
  const auto answer = foresee(configuration);
  if (!answer) return std::nullopt;
  return answer->load;
}

std::optional<double> Prediction::chance(const Configuration& configuration) const {
  const auto answer = foresee(configuration);
  if (!answer) return std::nullopt;
  return answer->chance;
}

std::optional<double> Prediction::peak(const Configuration& configuration) const {
  const auto expected = load(configuration);
  if (!expected) return std::nullopt;
  return std::fmax(expected->mean, 0) * grounds_.room();
}

double Prediction::shared_doubt(const Configuration& a, const Configuration& b) const {
  const auto likeliest = std::max_element(
      hypotheses_.begin(), hypotheses_.end(),
      [](const Hypothesis& one, const Hypothesis& other) { return one.weight < other.weight; });
  const auto at_a = point_of(a, *likeliest, grounds_);
  const auto at_b = point_of(b, *likeliest, grounds_);
  return at_a && at_b ? likeliest->model->shared_doubt(*at_a, *at_b) : 0;
}

// Bisects: the prediction is taken to rise with the batch; where it does not, any boundary will do
// for a guess.
std::int64_t Prediction::largest_that(
    const Cell& cell, const std::function<bool(const Configuration&)>& holds) const {
  std::int64_t fits = 0;
  std::int64_t fails = grounds_.space.max_batch + 1;
  while (fails - fits > 1) {
    const std::int64_t middle = fits + (fails - fits) / 2;
    (holds(cell.at(middle)) ? fits : fails) = middle;
  }
  return fits;
}

std::int64_t Prediction::expected_fit(const Cell& cell) const {
  return largest_that(cell, [&](const Configuration& c) { return chance(c).value_or(0) >= 0.5; });
}
std::int64_t Prediction::careful_guess(const Cell& cell) const {
  const double limit = 1 + 0.8 * grounds_.limits.margin;
  return largest_that(cell, [&](const Configuration& c) {
    const auto expected = load(c);
    return expected && expected->mean + kCare * expected->deviation <= limit;
  });
}
std::int64_t Prediction::certain_fit(const Cell& cell) const {
  const double enough = 1 - doubt();
  return largest_that(cell,
                      [&](const Configuration& c) { return chance(c).value_or(0) >= enough; });
}
std::int64_t Prediction::possible_fit(const Cell& cell) const {
  const double enough = doubt();
  return largest_that(cell, [&](const Configuration& c) { return chance(c).value_or(1) > enough; });
}

}  // namespace loadline
