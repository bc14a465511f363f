#include "search/prediction.h"

#include <algorithm>
#include <cmath>
#include <exception>

namespace loadline {
namespace {

// "Near the budget": the adjusted peak is this share of it.
constexpr double kNearLow = 0.6, kNearHigh = 1.7;
// A plan has one coefficient and one offset; a shape has five coefficients.
constexpr std::size_t kEnoughWithPlan = 2, kEnoughWithoutPlan = 5;
// A careful guess stays this many deviations below what would end in an out of memory.
constexpr double kCare = 0.4;
// How vaguely an out of memory says what would have been needed, in budgets.
constexpr double kVague = 0.1;

// Only a trial that ran to its end has a peak that means its configuration.
bool has_whole_peak(const RunTrial& trial) {
  const Verdict verdict = trial.outcome.verdict;
  return (verdict == Verdict::kFits || verdict == Verdict::kExceedsBudget) &&
         trial.outcome.peak.has_value() && trial.outcome.peak->bytes.count > 0;
}

double share(std::int64_t value, std::int64_t of) {
  return static_cast<double>(value) / static_cast<double>(of);
}

}  // namespace

std::optional<double> Estimates::of(const Configuration& configuration) {
  const auto known = answers_.find(configuration);
  if (known != answers_.end()) return known->second;
  std::optional<double> answer;
  try {
    const PredictedBytes predicted = estimate_ ? estimate_(configuration) : PredictedBytes{};
    if (predicted.bytes.count > 0) answer = static_cast<double>(predicted.bytes.count);
  } catch (const std::exception&) {
    answer = std::nullopt;  // no estimate is a slower search, not a failed one
  }
  answers_.emplace(configuration, answer);
  return answer;
}

Prediction::Prediction(Estimates& estimates, const SearchSpace& space, const SearchLimits& limits,
                       const std::vector<RunTrial>& trials)
    : estimates_(&estimates), space_(&space), limits_(&limits), trials_(&trials) {
  const std::vector<Cell> cells = cells_of(space);
  const auto least = estimates.of(cells.front().at(1));
  const auto most = estimates.of(
      Cell{space.ranks.back(), space.layers.back(), space.sequences.back(), cells[0].checkpointing}
          .at(space.max_batch));
  has_plan_ = least && most && *most > *least;
  choose_model();
}

double Prediction::room() const {
  return static_cast<double>(limits_->budget.count) / (1 + limits_->margin);
}

std::optional<Point> Prediction::point_of(const Configuration& c, bool with_plan) const {
  const double sequence =
      space_->sequences.back() > 0 ? share(c.sequence, space_->sequences.back()) : 1;
  const double batch = share(c.batch_size, space_->max_batch);
  const double tokens = batch * sequence;
  const double rank = share(c.lora_rank, space_->ranks.back());
  const double layers = share(c.lora_layers, space_->layers.back());
  Point point{.features = {}, .place = {batch, layers}};
  if (with_plan) {
    const auto estimated = estimates_->of(c);
    if (!estimated) return std::nullopt;
    point.features = {*estimated / room(), 1};
  } else {
    const double recomputes = c.checkpointing == 1 ? 1 : 0;
    point.features = {1,
                      tokens,
                      tokens * layers,
                      rank * layers,
                      layers,
                      recomputes * tokens,
                      recomputes * tokens * layers};
  }
  return point;
}

std::vector<Observation> Prediction::observations(bool with_plan) const {
  std::vector<Observation> seen;
  for (const RunTrial& trial : *trials_) {
    if (!has_whole_peak(trial)) continue;
    auto point = point_of(trial.configuration, with_plan);
    if (!point) continue;
    const double load = static_cast<double>(trial.outcome.peak->bytes.count) / room();
    seen.push_back({.point = std::move(*point), .value = load, .noise = 0});
  }
  return seen;
}

// A trial that ran out of memory says at least that it needed more than there was. It is told to
// the model only where the model would not have thought so.
void Prediction::add_out_of_memory(const Regression& model, bool with_plan,
                                   std::vector<Observation>& seen) const {
  for (const RunTrial& trial : *trials_) {
    if (trial.outcome.verdict != Verdict::kOutOfMemory) continue;
    const double cap = trial.under_margin ? 1 : 1 + limits_->margin;
    const auto point = point_of(trial.configuration, with_plan);
    if (point && model.at(*point).mean < cap) {
      seen.push_back({.point = *point, .value = cap + 2 * kVague, .noise = kVague});
    }
  }
}

Regression Prediction::model_of(const Belief& belief, bool with_plan) const {
  std::vector<Observation> seen = observations(with_plan);
  const std::size_t peaks = seen.size();
  Regression model = fitted(belief, seen);
  add_out_of_memory(model, with_plan, seen);
  return seen.size() == peaks ? model : fitted(belief, seen);
}

// In budgets: the plan is right within a fifth and an offset of a twentieth, and then to about a
// thousandth.
Regression Prediction::model_of_plan() const {
  const Belief belief{.mean = {1, 0}, .deviation = {0.2, 0.05}, .rest = 0.001, .noise = 0.0012};
  return model_of(belief, true);
}

// Affine in tokens, in tokens x layers, in rank x layers and in layers, each as a share of the
// largest that is asked for; how steep each is stays open over a wide range. Checkpointing lowers
// what tokens need.
Regression Prediction::model_of_shape() const {
  const Belief belief{.mean = {0.3, 0.7, 0.7, 0.3, 0.2, 0, -0.3},
                      .deviation = {0.5, 3, 3, 1, 0.5, 1, 1},
                      .rest = 0.003,
                      .noise = 0.001};
  return model_of(belief, false);
}

void Prediction::choose_model() {
  const double budget = static_cast<double>(limits_->budget.count);
  std::size_t peaks = 0;
  for (const RunTrial& trial : *trials_) {
    if (!has_whole_peak(trial)) continue;
    ++peaks;
    const double load =
        static_cast<double>(trial.outcome.peak->bytes.count) * (1 + limits_->margin) / budget;
    const Cell cell = cell_of(trial.configuration);
    if (load >= kNearLow && load <= kNearHigh && !measured_near_budget(cell)) near_.push_back(cell);
  }
  model_ = model_of_shape();
  if (has_plan_) {
    Regression plan = model_of_plan();
    uses_plan_ = plan.log_evidence() >= model_->log_evidence();
    if (uses_plan_) model_ = std::move(plan);
  }
  confirmed_ = near_.size() >= 2 && peaks >= (uses_plan_ ? kEnoughWithPlan : kEnoughWithoutPlan) &&
               !is_contradicted();
}

// A memory verdict on the wrong side of what is held for certain.
bool Prediction::is_contradicted() const {
  return std::any_of(trials_->begin(), trials_->end(), [&](const RunTrial& trial) {
    const auto expected = load(trial.configuration);
    if (!expected) return false;
    const bool surely_fits = expected->mean + trust() * expected->deviation <= 1;
    const bool surely_fails = expected->mean - trust() * expected->deviation > 1;
    return (is_memory_failure(trial.outcome.verdict) && surely_fits) ||
           (trial.outcome.fits() && surely_fails);
  });
}

bool Prediction::measured_near_budget(const Cell& cell) const {
  return std::find(near_.begin(), near_.end(), cell) != near_.end();
}

std::optional<Expectation> Prediction::load(const Configuration& configuration) const {
  const auto point = point_of(configuration, uses_plan_);
  if (!point) return std::nullopt;
  return model_->at(*point);
}

std::optional<double> Prediction::peak(const Configuration& configuration) const {
  const auto expected = load(configuration);
  if (!expected) return std::nullopt;
  return std::fmax(expected->mean, 0) * room();
}

// Bisects: the prediction is taken to rise with the batch; where it does not, any boundary will do
// for a guess.
std::int64_t Prediction::largest_within(const Cell& cell, double limit, double times,
                                        bool unknown) const {
  std::int64_t fits = 0;
  std::int64_t fails = space_->max_batch + 1;
  while (fails - fits > 1) {
    const std::int64_t middle = fits + (fails - fits) / 2;
    const auto expected = load(cell.at(middle));
    const bool fit = expected ? expected->mean + times * expected->deviation <= limit : unknown;
    (fit ? fits : fails) = middle;
  }
  return fits;
}

std::int64_t Prediction::expected_fit(const Cell& cell) const {
  return largest_within(cell, 1, 0, false);
}
std::int64_t Prediction::careful_guess(const Cell& cell) const {
  return largest_within(cell, 1 + 0.8 * limits_->margin, kCare, false);
}
std::int64_t Prediction::certain_fit(const Cell& cell) const {
  return largest_within(cell, 1, trust(), false);
}
std::int64_t Prediction::possible_fit(const Cell& cell) const {
  return largest_within(cell, 1, -trust(), true);
}

}  // namespace loadline
