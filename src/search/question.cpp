#include "search/question.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace loadline {
namespace {

// From this many trials in a cell on, guesses have not helped: it is bisected.
constexpr std::ptrdiff_t kGuessesInACell = 4;
// A next larger batch that a confirmed plan puts this far over the budget is not tried.
constexpr double kFarOverBudget = 2.0;
// With the smallest configuration expected below this share of the budget, it need not be tried.
constexpr double kFarBelowBudget = 0.8;
// With this chance of fitting a trial is held under budget / (1 + margin) at once.
// A plan loses little by a trial that dies there; without one its peak would have been worth more.
constexpr double kLikelyByPlan = 0.5, kLikely = 0.75;
// And where it would be the new choice, and so would have to run there anyway.
constexpr double kWorthTrying = 0.2;
// Without a plan these many trials go where the gaps are widest.
constexpr std::size_t kFirstLooks = 3;
// An open batch whose answer seems clear still counts a little.
constexpr double kLeastOpen = 0.01;
// Below this a batch counts only as a cell's first open one.
constexpr double kHardlyOpen = 0.05;
// A batch is asked for where it is at least this uncertain, or the boundary is expected there.
constexpr double kWorthAsking = 0.05;

CellBounds with_plan(const CellBounds& proven, const Cell& cell, const Prediction& prediction,
                     std::int64_t max_batch) {
  CellBounds known = proven;
  if (!prediction.confirmed()) return known;
  const std::int64_t certain = std::min(prediction.certain_fit(cell), proven.fails - 1);
  const std::int64_t possible = std::max(prediction.possible_fit(cell), proven.fits);
  if (certain > proven.fits) {
    known.fits = certain;
    known.fits_basis = Basis::kPlanned;
  }
  if (possible < max_batch && possible + 1 < proven.fails) {
    known.fails = possible + 1;
    known.fails_basis = Basis::kPlanned;
    known.at_limit = false;
    known.unusable.reset();
  }
  return known;
}

// One look at the state of a search, from which the next question follows.
class Inquiry {
 public:
  Inquiry(const SearchSpace& space, const SearchLimits& limits, Estimates& estimates,
          const std::vector<RunTrial>& trials)
      : space_(space),
        limits_(limits),
        trials_(trials),
        prediction_(estimates, space, limits, trials),
        states_(states_of(space, trials, prediction_)) {}

  [[nodiscard]] std::optional<Question> next() const {
    const auto open = next_configuration();
    if (!open) return confirmation();
    return Question{.configuration = *open,
                    .under_margin = is_likely_to_fit(*open),
                    .for_speed = trial_of(*open, trials_).has_value()};
  }

 private:
  [[nodiscard]] std::optional<Configuration> next_configuration() const {
    if (const auto first = smallest()) return first;
    if (const auto probe = calibration()) return probe;
    if (!prediction_.confirmed()) {
      const bool knows_little = prediction_.uses_plan() || trials_.size() < kFirstLooks;
      if (const auto open = knows_little ? widest_cell() : most_telling_guess()) return open;
    }
    if (const auto largest = unmeasured_largest()) return largest;
    if (const auto fastest = boundary_of(smallest_that_fits())) return fastest;
    if (const auto yardstick = doubtful_yardstick()) return yardstick;
    if (limits_.objective == Objective::kBalanced) {
      if (const auto speed = next_speed_question(states_, trials_)) return speed;
    }
    if (const auto proof = proof_of_choice()) return proof;
    return most_settling();
  }

  // Then its trial may as well prove the margin: nothing is lost by a cap that should not be met.
  [[nodiscard]] bool is_likely_to_fit(const Configuration& c) const {
    const bool calibrated = prediction_.uses_plan() && prediction_.cells_near_budget() > 0;
    if (is_first_and_may_be_chosen()) return load_of(c) <= 1;
    if (!calibrated && !prediction_.confirmed()) return false;
    if (!prediction_.uses_plan()) return chance_of(c) >= kLikely;
    return chance_of(c) >= (would_be_chosen(c) ? kWorthTrying : kLikelyByPlan);
  }

  // For `balanced` the largest cell's boundary comes first. By a plan that is right or too high, as
  // ours is, its trial fits, and is then often the choice. One that is a few percent too low costs
  // its peak.
  [[nodiscard]] bool is_first_and_may_be_chosen() const {
    return trials_.empty() && prediction_.uses_plan() && limits_.objective == Objective::kBalanced;
  }

  [[nodiscard]] bool would_be_chosen(const Configuration& c) const {
    const auto chosen = choose(trials_, limits_.objective);
    if (!chosen || size_of(c) <= size_of(trials_[*chosen].configuration)) return false;
    return limits_.objective == Objective::kLargest ||
           (limits_.objective == Objective::kBalanced && is_likely_fast(c, states_, trials_));
  }

  // The choice once more, under budget / (1 + margin), where its trial had more room.
  [[nodiscard]] std::optional<Question> confirmation() const {
    const auto chosen = choose(trials_, limits_.objective);
    if (!chosen || trials_[*chosen].under_margin) return std::nullopt;
    return Question{.configuration = trials_[*chosen].configuration, .under_margin = true};
  }

  // Batch 1 of the smallest cell: what fails here fails everywhere. A plan that sees it far below
  // the budget spares it.
  [[nodiscard]] std::optional<Configuration> smallest() const {
    const CellState& first = states_.front();
    if (first.proven.fits > 0 || first.proven.fails == 1) return std::nullopt;
    const Configuration least = first.cell.at(1);
    const auto load = prediction_.load(least);
    if (prediction_.uses_plan() && load && load->mean < kFarBelowBudget) return std::nullopt;
    return least;
  }

  // Boundary trials in two cells that differ as much as they can: the largest and the smallest.
  [[nodiscard]] std::optional<Configuration> calibration() const {
    if (!prediction_.uses_plan() || prediction_.cells_near_budget() >= 2) return std::nullopt;
    const auto largest = std::max_element(states_.begin(), states_.end(),
                                          [&](const CellState& a, const CellState& b) {
                                            return expected_size(a) < expected_size(b);
                                          });
    // The one that the objective is likely to choose comes second: calibrated by the other, its
    // trial can prove the margin at once.
    const CellState* first = &*largest;
    const CellState* second = &smallest_that_fits();
    if (limits_.objective == Objective::kLargest) std::swap(first, second);
    for (const CellState* state : {first, second, widest(&CellState::proven)}) {
      if (state == nullptr || state->proven.settled()) continue;
      if (prediction_.measured_near_budget(state->cell)) continue;
      return guess(*state, state->proven);
    }
    return std::nullopt;
  }

  [[nodiscard]] std::optional<Configuration> widest_cell() const {
    const CellState* state = widest(&CellState::known);
    if (state == nullptr) return std::nullopt;
    return guess(*state, state->known);
  }

  // Of the cells' expected boundaries, the one whose peak should tell most.
  [[nodiscard]] std::optional<Configuration> most_telling_guess() const {
    std::optional<Configuration> best;
    double most = -1;
    for (const CellState& state : states_) {
      if (state.known.settled()) continue;
      const Configuration c = guess(state, state.known);
      const double settles = expected_settling(c);
      if (settles <= most || trial_of(c, trials_)) continue;
      most = settles;
      best = c;
    }
    return best;
  }

  // Of all open batches, the one whose answer should settle most of what is uncertain.
  [[nodiscard]] std::optional<Configuration> most_settling() const {
    std::optional<Configuration> best;
    double most = -1;
    for (const CellState& state : states_) {
      if (state.known.settled()) continue;
      for (std::int64_t batch = state.known.fits + 1; batch < state.known.fails; ++batch) {
        const Configuration c = state.cell.at(batch);
        if (trial_of(c, trials_)) continue;
        const double chance = chance_of(c);
        const bool likely_boundary = chance >= 0.5 && chance_of(state.cell.at(batch + 1)) < 0.5;
        if (!likely_boundary && chance * (1 - chance) < kWorthAsking &&
            batch != state.known.fits + 1) {
          continue;
        }
        const double settles = expected_settling(c);
        if (settles <= most) continue;
        most = settles;
        best = c;
      }
    }
    return best;
  }

  [[nodiscard]] double chance_of(const Configuration& c) const {
    return prediction_.chance(c).value_or(0.5);
  }

  // Of the boundaries that are open, how much an answer should settle: what a fit would prove and a
  // failure disprove, and how much its peak would tell of the others.
  [[nodiscard]] double expected_settling(const Configuration& question) const {
    const double fits = chance_of(question);
    double peak_seen = 1;
    if (const auto load = prediction_.load(question)) {
      peak_seen = load->chance_below(1 + limits_.margin);
    }
    double settled = 0;
    for (const CellState& state : states_) {
      for (std::int64_t batch = state.known.fits + 1; batch < state.known.fails; ++batch) {
        const Configuration c = state.cell.at(batch);
        const double chance = chance_of(c);
        const double open = 4 * chance * (1 - chance) + kLeastOpen;
        if (open < kHardlyOpen && batch != state.known.fits + 1) continue;
        double implied = 0;
        if (is_dominated_by(c, question)) implied += fits;
        if (is_dominated_by(question, c)) implied += 1 - fits;
        const double told = peak_seen * prediction_.shared_doubt(c, question);
        settled += open * std::fmax(implied, told);
      }
    }
    return settled;
  }

  // The largest known fit of the whole frontier must itself have been run.
  [[nodiscard]] std::optional<Configuration> unmeasured_largest() const {
    const auto largest = std::max_element(states_.begin(), states_.end(),
                                          [](const CellState& a, const CellState& b) {
                                            return size_of(a.best()) < size_of(b.best());
                                          });
    return boundary_of(*largest);
  }

  // The chosen configuration is the largest of its cell, and one more does not fit.
  [[nodiscard]] std::optional<Configuration> proof_of_choice() const {
    const auto chosen = choose(trials_, limits_.objective);
    if (!chosen) return std::nullopt;
    const Configuration& c = trials_[*chosen].configuration;
    const auto state = std::find_if(states_.begin(), states_.end(),
                                    [&](const CellState& s) { return s.cell == cell_of(c); });
    if (state == states_.end()) return std::nullopt;
    if (c.batch_size < state->known.fits) {
      return limits_.objective == Objective::kFastest ? std::nullopt : unmeasured(*state);
    }
    const Configuration next = state->cell.at(c.batch_size + 1);
    if (next.batch_size > space_.max_batch || trial_of(next, trials_)) return std::nullopt;
    if (prediction_.confirmed() && load_of(next) > kFarOverBudget) {
      return std::nullopt;
    }
    return next;
  }

  // Without checkpointing, as far as anything fits: recomputing costs time.
  [[nodiscard]] const CellState& smallest_that_fits() const {
    const auto some_fit = [](const CellState& s) { return s.known.fits > 0 || !s.known.settled(); };
    const auto state = std::find_if(states_.begin(), states_.end(), some_fit);
    return state == states_.end() ? states_.front() : *state;
  }

  // The smallest cell's largest batch, where the fastest lies, if others slowed its trial.
  [[nodiscard]] std::optional<Configuration> doubtful_yardstick() const {
    if (limits_.objective == Objective::kLargest) return std::nullopt;
    const auto fitting = std::count_if(states_.begin(), states_.end(),
                                       [](const CellState& s) { return s.known.fits > 0; });
    const bool compares = fitting > 1 || limits_.objective == Objective::kFastest;
    if (!compares) return std::nullopt;
    const Configuration yardstick = smallest_that_fits().best();
    if (!is_worth_repeating(yardstick, trials_)) return std::nullopt;
    return yardstick;
  }

  [[nodiscard]] std::optional<Configuration> unmeasured(const CellState& state) const {
    const bool measured = state.known.fits == 0 || state.known.fits_basis == Basis::kMeasured;
    if (measured) return std::nullopt;
    return state.best();
  }

  // Its largest batch must be measured; while it is open, the search for it goes on.
  [[nodiscard]] std::optional<Configuration> boundary_of(const CellState& state) const {
    if (state.known.settled()) return unmeasured(state);
    return guess(state, state.known);
  }

  // The unsettled cell with the widest gap; of equals, the one nearest to the middle of the grid.
  [[nodiscard]] const CellState* widest(CellBounds CellState::*bounds) const {
    const CellState* best = nullptr;
    const auto middle = static_cast<std::ptrdiff_t>(states_.size() / 2);
    const auto key = [&](const CellState& state) {
      const std::ptrdiff_t place = &state - states_.data();
      return std::pair((state.*bounds).fails - (state.*bounds).fits, -std::abs(place - middle));
    };
    for (const CellState& state : states_) {
      if ((state.*bounds).settled()) continue;
      if (best == nullptr || key(state) > key(*best)) best = &state;
    }
    return best;
  }

  // A batch strictly between the bounds: where the prediction has its boundary, or the middle.
  [[nodiscard]] Configuration guess(const CellState& state, const CellBounds& bounds) const {
    const auto tried = std::count_if(trials_.begin(), trials_.end(), [&](const RunTrial& t) {
      return cell_of(t.configuration) == state.cell;
    });
    const std::int64_t middle = bounds.fits + (bounds.fails - bounds.fits) / 2;
    if (tried >= kGuessesInACell) return state.cell.at(middle);
    std::int64_t expected = prediction_.expected_fit(state.cell);
    if (!prediction_.uses_plan()) {
      expected = std::min(expected, prediction_.careful_guess(state.cell));
      if (expected >= bounds.fails && !bounds.at_limit) return state.cell.at(middle);
    }
    return state.cell.at(std::clamp(expected, bounds.fits + 1, bounds.fails - 1));
  }

  [[nodiscard]] double load_of(const Configuration& c) const {
    const auto load = prediction_.load(c);
    return load ? load->mean : 0;
  }

  [[nodiscard]] double expected_size(const CellState& state) const {
    return size_of(state.cell.at(std::clamp(prediction_.expected_fit(state.cell), state.proven.fits,
                                            state.proven.fails - 1)));
  }

  const SearchSpace& space_;
  const SearchLimits& limits_;
  const std::vector<RunTrial>& trials_;
  Prediction prediction_;
  std::vector<CellState> states_;
};

}  // namespace

std::vector<CellState> states_of(const SearchSpace& space, const std::vector<RunTrial>& trials,
                                 const Prediction& prediction) {
  std::vector<CellState> states;
  for (const Cell& cell : cells_of(space)) {
    const CellBounds proven = bounds_of(cell, trials, space.max_batch);
    states.push_back({cell, proven, with_plan(proven, cell, prediction, space.max_batch)});
  }
  return states;
}

std::optional<Question> next_question(const SearchSpace& space, const SearchLimits& limits,
                                      Estimates& estimates, const std::vector<RunTrial>& trials) {
  return Inquiry(space, limits, estimates, trials).next();
}

}  // namespace loadline
