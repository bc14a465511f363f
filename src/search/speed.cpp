// Which speeds the balanced objective needs. Speed falls with rank and layers, so a cell that is
// too slow rules out all cells above it; the time of a token is taken as linear in layers between
// measurements, to choose what to measure and for nothing else.
#include <algorithm>
#include <map>

#include "search/question.h"

namespace loadline {
namespace {

struct Candidate {
  Configuration configuration;
  double size = 0;
  std::optional<double> speed;  // where it was measured
};

double size_of(const Configuration& c) {
  return static_cast<double>(c.batch_size) * static_cast<double>(c.lora_rank) *
         static_cast<double>(c.lora_layers);
}

std::vector<Candidate> candidates_of(const std::vector<CellState>& states,
                                     const std::vector<RunTrial>& trials) {
  std::vector<Candidate> candidates;
  for (const CellState& state : states) {
    if (state.known.fits == 0) continue;
    Candidate candidate{state.best(), size_of(state.best()), std::nullopt};
    const auto trial = trial_of(candidate.configuration, trials);
    if (trial) candidate.speed = trials[*trial].outcome.tokens_per_second;
    candidates.push_back(candidate);
  }
  return candidates;
}

// Seconds a token by layers, piecewise linear through the measured means, level outside.
class TokenTime {
 public:
  explicit TokenTime(const std::vector<Candidate>& candidates) {
    std::map<std::int64_t, std::pair<double, int>> sums;
    for (const Candidate& c : candidates) {
      if (!c.speed || !(*c.speed > 0)) continue;
      auto& [sum, count] = sums[c.configuration.lora_layers];
      sum += 1 / *c.speed;
      ++count;
    }
    for (const auto& [layers, sum] : sums) seconds_[layers] = sum.first / sum.second;
  }

  [[nodiscard]] bool known() const { return seconds_.size() >= 2; }

  [[nodiscard]] double speed(std::int64_t layers) const {
    const auto above = seconds_.lower_bound(layers);
    if (above == seconds_.end()) return 1 / seconds_.rbegin()->second;
    if (above->first == layers || above == seconds_.begin()) return 1 / above->second;
    const auto below = std::prev(above);
    const double share = static_cast<double>(layers - below->first) /
                         static_cast<double>(above->first - below->first);
    return 1 / (below->second + share * (above->second - below->second));
  }

 private:
  std::map<std::int64_t, double> seconds_;
};

bool lies_above(const Configuration& c, const Configuration& floor) {
  return c.lora_rank >= floor.lora_rank && c.lora_layers >= floor.lora_layers;
}

// The candidates larger than the best balanced one that nothing rules out yet.
std::vector<Candidate> open_candidates(const std::vector<Candidate>& candidates, double enough) {
  double best = 0;
  for (const Candidate& c : candidates) {
    if (c.speed && *c.speed >= enough) best = std::max(best, c.size);
  }
  std::vector<Candidate> open;
  for (const Candidate& c : candidates) {
    const bool ruled_out =
        std::any_of(candidates.begin(), candidates.end(), [&](const Candidate& slow) {
          return slow.speed && *slow.speed < enough &&
                 lies_above(c.configuration, slow.configuration) &&
                 c.configuration.batch_size <= slow.configuration.batch_size;
        });
    if (!c.speed && c.size > best && !ruled_out) open.push_back(c);
  }
  std::sort(open.begin(), open.end(),
            [](const Candidate& a, const Candidate& b) { return a.size > b.size; });
  return open;
}

// Of the unmeasured candidates that should be too slow, the one whose slowness rules out most.
const Candidate& best_eliminator(const std::vector<Candidate>& candidates,
                                 const std::vector<Candidate>& open, const TokenTime& time,
                                 double enough) {
  const Candidate* best = &open.front();
  std::ptrdiff_t most = 0;
  for (const Candidate& c : candidates) {
    if (c.speed || time.speed(c.configuration.lora_layers) >= enough) continue;
    const auto ruled_out = std::count_if(open.begin(), open.end(), [&](const Candidate& o) {
      return lies_above(o.configuration, c.configuration);
    });
    if (ruled_out > most) {
      most = ruled_out;
      best = &c;
    }
  }
  return *best;
}

}  // namespace

std::optional<Configuration> next_speed_question(const std::vector<CellState>& states,
                                                 const std::vector<RunTrial>& trials) {
  const std::vector<Candidate> candidates = candidates_of(states, trials);
  double fastest = 0;
  for (const Candidate& c : candidates) fastest = std::max(fastest, c.speed.value_or(0));
  const double enough = kBalancedSpeed * fastest;
  const std::vector<Candidate> open = open_candidates(candidates, enough);
  if (open.empty()) return std::nullopt;
  const TokenTime time(candidates);
  if (!time.known()) return open[open.size() / 2].configuration;
  for (const Candidate& c : open) {
    if (time.speed(c.configuration.lora_layers) >= enough) return c.configuration;
  }
  return best_eliminator(candidates, open, time, enough).configuration;
}

}  // namespace loadline
