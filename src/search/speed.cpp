// Which speeds the balanced objective needs. Speed falls with rank and layers, so a cell that is
// too slow, and was not slowed by others, rules out all cells above it; of the others a regression
// says how likely they are to be fast enough: seconds a token as linear in layers, in rank x layers
// and in one over the batch.
#include <algorithm>
#include <cmath>

#include "search/question.h"
#include "search/token_time.h"

namespace loadline {
namespace {

// What is less than this much larger than the best so far is not worth a trial.
constexpr double kWorthwhile = 1.03;
// Below this chance of being fast enough a configuration is not asked for.
double unlikely(std::size_t spent) {
  constexpr double kLeast = 0.02, kMost = 0.5, kGrowth = 1.8;
  constexpr double kFourth = 0.25;  // after so many trials
  return std::clamp(kFourth * std::pow(kGrowth, static_cast<double>(spent) - 4), kLeast, kMost);
}

struct Candidate {
  Configuration configuration;
  double size = 0;
  std::optional<Speed> speed;  // where it was measured
  bool again = false;          // it may be measured once more
  [[nodiscard]] bool is_fast(double enough) const {
    return speed && speed->tokens_per_second >= enough;
  }
  // As far as is known: a speed that others slowed says nothing of it.
  [[nodiscard]] bool is_slow(double enough) const {
    return speed && !speed->is_least && !is_fast(enough);
  }
};

std::vector<Candidate> candidates_of(const std::vector<CellState>& states,
                                     const std::vector<RunTrial>& trials) {
  std::vector<Candidate> candidates;
  for (const CellState& state : states) {
    if (state.known.fits == 0) continue;
    const Configuration best = state.best();
    candidates.push_back({.configuration = best,
                          .size = size_of(best),
                          .speed = speed_of(best, trials),
                          .again = is_worth_repeating(best, trials)});
  }
  return candidates;
}

// The candidates larger than the best balanced one that nothing rules out yet.
std::vector<Candidate> open_candidates(const std::vector<Candidate>& candidates, double enough) {
  double best = 0;
  for (const Candidate& c : candidates) {
    if (c.is_fast(enough)) best = std::max(best, c.size);
  }
  std::vector<Candidate> open;
  for (const Candidate& c : candidates) {
    const bool ruled_out =
        std::any_of(candidates.begin(), candidates.end(), [&](const Candidate& slow) {
          return slow.is_slow(enough) &&
                 lies_within(cell_of(slow.configuration), cell_of(c.configuration)) &&
                 c.configuration.batch_size <= slow.configuration.batch_size;
        });
    const bool is_known = c.speed && (!c.again || c.is_fast(enough));
    if (!is_known && c.size > kWorthwhile * best && !ruled_out) open.push_back(c);
  }
  std::sort(open.begin(), open.end(),
            [](const Candidate& a, const Candidate& b) { return a.size > b.size; });
  return open;
}

// 0 where no candidate was measured.
double enough_for_balanced(const std::vector<Candidate>& candidates) {
  double fastest = 0;
  for (const Candidate& c : candidates) {
    if (c.speed) fastest = std::max(fastest, c.speed->tokens_per_second);
  }
  return kBalancedSpeed * fastest;
}

}  // namespace

bool is_likely_fast(const Configuration& configuration, const std::vector<CellState>& states,
                    const std::vector<RunTrial>& trials) {
  const double enough = enough_for_balanced(candidates_of(states, trials));
  return enough > 0 && TokenTime(trials).chance(configuration, enough) >= 0.5;
}

std::optional<Configuration> next_speed_question(const std::vector<CellState>& states,
                                                 const std::vector<RunTrial>& trials) {
  const std::vector<Candidate> candidates = candidates_of(states, trials);
  const double enough = enough_for_balanced(candidates);
  std::vector<Candidate> open = open_candidates(candidates, enough);
  if (open.empty() || !(enough > 0)) return std::nullopt;
  const TokenTime time(trials);
  std::erase_if(open, [&](const Candidate& c) {
    return time.is_sure() && time.chance(c.configuration, enough) < unlikely(trials.size());
  });
  if (open.empty()) return std::nullopt;
  for (const Candidate& c : open) {
    if (time.chance(c.configuration, enough) >= 0.5) return c.configuration;
  }
  const auto likeliest =
      std::max_element(open.begin(), open.end(), [&](const Candidate& a, const Candidate& b) {
        return time.chance(a.configuration, enough) < time.chance(b.configuration, enough);
      });
  return likeliest->configuration;
}

}  // namespace loadline
