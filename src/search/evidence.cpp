#include "search/evidence.h"

#include <algorithm>
#include <cmath>

#include "trial/statistics.h"

namespace loadline {
namespace {

// The largest batch that was measured to fit in this very cell; 0 for none.
std::int64_t largest_measured_fit(const Cell& cell, const std::vector<RunTrial>& trials) {
  std::int64_t batch = 0;
  for (std::size_t i = 0; i < trials.size(); ++i) {
    const RunTrial& trial = trials[i];
    if (cell_of(trial.configuration) == cell && trial.outcome.fits() && is_current(i, trials)) {
      batch = std::max(batch, trial.configuration.batch_size);
    }
  }
  return batch;
}

// The first run of this configuration that others slowed.
std::optional<std::size_t> slowed_run(const Configuration& configuration,
                                      const std::vector<RunTrial>& trials) {
  for (std::size_t i = 0; i < trials.size(); ++i) {
    const TrialOutcome& outcome = trials[i].outcome;
    if (trials[i].configuration == configuration && outcome.ran_through() &&
        outcome.noise.slows()) {
      return i;
    }
  }
  return std::nullopt;
}

bool repeats_a_slowed_one(std::size_t index, const std::vector<RunTrial>& trials) {
  const auto slowed = slowed_run(trials[index].configuration, trials);
  return slowed && *slowed < index && !ends_search(trials[index].outcome.verdict);
}

bool has_speed(const TrialOutcome& outcome) {
  const double speed = outcome.tokens_per_second;
  return outcome.ran_through() && speed > 0 && std::isfinite(speed);
}

struct References {
  std::int64_t tokens = 0;
  std::vector<double> seconds;
};
// Of the trials with a speed that others did not slow; none where one lacks it or did other work.
References common_references(const std::vector<RunTrial>& trials) {
  References all;
  for (const RunTrial& trial : trials) {
    if (!has_speed(trial.outcome) || trial.outcome.noise.slows()) continue;
    const std::optional<Pace>& pace = trial.outcome.pace;
    if (!pace || (all.tokens > 0 && pace->reference.tokens != all.tokens)) return {};
    all.tokens = pace->reference.tokens;
    all.seconds.push_back(pace->reference.seconds);
  }
  return all;
}

// The smallest batch of this cell that a memory failure, here or below, disproves.
void lower_by_failures(const Cell& cell, const std::vector<RunTrial>& trials, std::int64_t measured,
                       CellBounds& bounds) {
  for (std::size_t i = 0; i < trials.size(); ++i) {
    const Configuration& c = trials[i].configuration;
    if (!is_memory_failure(trials[i].outcome.verdict) || !is_current(i, trials)) continue;
    if (!lies_within(cell_of(c), cell)) continue;
    const std::int64_t from = std::max(c.batch_size, measured + 1);
    const bool here = cell_of(c) == cell && from == c.batch_size;
    if (from < bounds.fails || (from == bounds.fails && (here || bounds.at_limit))) {
      bounds.fails = from;
      bounds.fails_basis = here ? Basis::kMeasured : Basis::kDominated;
      bounds.at_limit = false;
    }
  }
}

// A trial that was killed, timed out ... closes its own cell from its batch on, and no other.
void lower_by_unusable(const Cell& cell, const std::vector<RunTrial>& trials, std::int64_t measured,
                       CellBounds& bounds) {
  for (std::size_t i = 0; i < trials.size(); ++i) {
    const Configuration& c = trials[i].configuration;
    if (cell_of(c) != cell || !is_unusable(trials[i].outcome.verdict)) continue;
    if (c.batch_size <= measured || c.batch_size >= bounds.fails) continue;
    if (!is_current(i, trials)) continue;
    bounds.fails = c.batch_size;
    bounds.fails_basis = Basis::kMeasured;
    bounds.at_limit = false;
    bounds.unusable = i;
  }
}

// The largest batch of this cell that a fitting trial above proves.
std::int64_t largest_implied_fit(const Cell& cell, const std::vector<RunTrial>& trials) {
  std::int64_t batch = 0;
  for (std::size_t i = 0; i < trials.size(); ++i) {
    const Configuration& c = trials[i].configuration;
    if (trials[i].outcome.fits() && lies_within(cell, cell_of(c)) && is_current(i, trials)) {
      batch = std::max(batch, c.batch_size);
    }
  }
  return batch;
}

}  // namespace

std::vector<Cell> cells_of(const SearchSpace& space) {
  std::vector<Cell> cells;
  for (const int checkpointing : space.checkpointing) {
    for (const std::int64_t sequence : space.sequences) {
      for (const std::int64_t rank : space.ranks) {
        for (const std::int64_t layers : space.layers) {
          cells.push_back({rank, layers, sequence, checkpointing});
        }
      }
    }
  }
  return cells;
}

bool is_unusable(Verdict verdict) {
  switch (verdict) {
    case Verdict::kKilled:
    case Verdict::kTimedOut:
    case Verdict::kStalled:
    case Verdict::kDiverged:
    case Verdict::kCrashed:
      return true;
    default:
      return false;
  }
}

bool ends_search(Verdict verdict) {
  return verdict == Verdict::kInterrupted || verdict == Verdict::kRefused ||
         verdict == Verdict::kBadInput;
}

CellBounds bounds_of(const Cell& cell, const std::vector<RunTrial>& trials,
                     std::int64_t max_batch) {
  CellBounds bounds{.fits = 0, .fails = max_batch + 1, .at_limit = true, .unusable = {}};
  const std::int64_t measured = std::min(largest_measured_fit(cell, trials), max_batch);
  lower_by_failures(cell, trials, measured, bounds);
  lower_by_unusable(cell, trials, measured, bounds);
  const std::int64_t implied = std::min(largest_implied_fit(cell, trials), bounds.fails - 1);
  bounds.fits = std::max(measured, implied);
  bounds.fits_basis = bounds.fits == measured ? Basis::kMeasured : Basis::kDominated;
  return bounds;
}

bool is_current(std::size_t index, const std::vector<RunTrial>& trials) {
  return trial_of(trials[index].configuration, trials) == index;
}

std::optional<Reference> common_pace(const std::vector<RunTrial>& trials) {
  const References references = common_references(trials);
  if (references.seconds.size() < 2) return std::nullopt;
  return Reference{.tokens = references.tokens, .seconds = quantile(references.seconds, 0.5)};
}

double pace_drift(const std::vector<RunTrial>& trials) {
  const std::vector<double> seconds = common_references(trials).seconds;
  if (seconds.empty()) return 0;
  const auto [quickest, slowest] = std::minmax_element(seconds.begin(), seconds.end());
  return *slowest / *quickest - 1;
}

double speed_at(const std::optional<Reference>& pace, const TrialOutcome& outcome) {
  if (!has_speed(outcome)) return 0;
  if (!pace || !outcome.pace || outcome.pace->reference.tokens != pace->tokens) {
    return outcome.tokens_per_second;
  }
  const double at_pace = outcome.pace->tokens_per_reference / pace->seconds;
  // Others may have slowed the reference more than the steps, or less: a bound is the lower one.
  return outcome.noise.slows() ? std::min(at_pace, outcome.tokens_per_second) : at_pace;
}

std::optional<Speed> speed_of(const Configuration& configuration,
                              const std::vector<RunTrial>& trials) {
  const std::optional<Reference> pace = common_pace(trials);
  std::optional<Speed> speed;
  for (const RunTrial& trial : trials) {
    if (trial.configuration != configuration) continue;
    const double seen = speed_at(pace, trial.outcome);
    if (!(seen > 0)) continue;
    const bool slowed = trial.outcome.noise.slows();
    if (speed && (slowed != speed->is_least ? slowed : seen <= speed->tokens_per_second)) continue;
    speed =
        Speed{.tokens_per_second = seen,
              .step_seconds = trial.outcome.step_seconds * (trial.outcome.tokens_per_second / seen),
              .is_least = slowed};
  }
  return speed;
}

bool is_worth_repeating(const Configuration& configuration, const std::vector<RunTrial>& trials) {
  constexpr std::size_t kMostRepeats = 2;
  const auto speed = speed_of(configuration, trials);
  if (!speed || !speed->is_least) return false;
  std::size_t repeats = 0;
  for (std::size_t i = 0; i < trials.size(); ++i) {
    if (!repeats_a_slowed_one(i, trials)) continue;
    if (trials[i].configuration == configuration) return false;
    ++repeats;
  }
  return repeats < kMostRepeats;
}

std::optional<std::size_t> trial_of(const Configuration& configuration,
                                    const std::vector<RunTrial>& trials) {
  std::optional<std::size_t> unusable;
  for (std::size_t i = trials.size(); i-- > 0;) {
    const RunTrial& trial = trials[i];
    if (trial.configuration != configuration || ends_search(trial.outcome.verdict)) continue;
    if (!is_unusable(trial.outcome.verdict)) {
      const bool claimed_more = unusable && trials[*unusable].under_margin && !trial.under_margin;
      return claimed_more ? *unusable : i;
    }
    if (!unusable || trial.under_margin) unusable = i;
  }
  return unusable;
}

}  // namespace loadline
