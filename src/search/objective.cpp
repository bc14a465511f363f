// The three objectives, and the choice among measured trials.
#include <algorithm>
#include <cmath>
#include <tuple>

#include "base/error.h"
#include "search/evidence.h"

namespace loadline {
namespace {

struct ObjectiveName {
  Objective objective;
  std::string_view name;
};
constexpr ObjectiveName kNames[] = {{Objective::kBalanced, "balanced"},
                                    {Objective::kLargest, "largest"},
                                    {Objective::kFastest, "fastest"}};

double speed_of(const RunTrial& trial) {
  const double speed = trial.outcome.tokens_per_second;
  return std::isfinite(speed) ? speed : 0;
}

// Whether a larger batch of the same (rank, layers) was measured to fit, and no later run of it
// says otherwise.
bool is_outgrown(const RunTrial& trial, const std::vector<RunTrial>& trials) {
  for (std::size_t i = 0; i < trials.size(); ++i) {
    const Configuration& other = trials[i].configuration;
    if (trials[i].outcome.fits() && cell_of(other) == cell_of(trial.configuration) &&
        other.batch_size > trial.configuration.batch_size && is_current(i, trials)) {
      return true;
    }
  }
  return false;
}

// The best of `among` by `rank`, a function to an ordered value; the first of equals.
template <typename Rank>
std::optional<std::size_t> best_of(const std::vector<RunTrial>& trials,
                                   const std::vector<std::size_t>& among, Rank rank) {
  const auto best = std::max_element(among.begin(), among.end(), [&](std::size_t a, std::size_t b) {
    return rank(trials[a]) < rank(trials[b]);
  });
  if (best == among.end()) return std::nullopt;
  return *best;
}

std::tuple<double, double> by_size(const RunTrial& t) {
  return {size_of(t.configuration), speed_of(t)};
}
std::tuple<double, double> by_speed(const RunTrial& t) {
  return {speed_of(t), size_of(t.configuration)};
}

}  // namespace

std::string_view name_of(Objective objective) {
  for (const auto& [value, name] : kNames) {
    if (value == objective) return name;
  }
  return "balanced";
}

Objective objective_from(std::string_view name) {
  for (const auto& [value, known] : kNames) {
    if (known == name) return value;
  }
  throw usage_error("--objective '{}' is not one of balanced, largest, fastest.", name);
}

std::optional<std::size_t> choose(const std::vector<RunTrial>& trials, Objective objective) {
  std::vector<std::size_t> fitting;
  for (std::size_t i = 0; i < trials.size(); ++i) {
    if (!trials[i].outcome.fits() || !is_current(i, trials)) continue;
    if (objective == Objective::kBalanced && is_outgrown(trials[i], trials)) continue;
    fitting.push_back(i);
  }
  if (objective == Objective::kLargest) return best_of(trials, fitting, by_size);
  const auto fastest = best_of(trials, fitting, by_speed);
  if (objective == Objective::kFastest || !fastest) return fastest;
  const double enough = kBalancedSpeed * speed_of(trials[*fastest]);
  std::erase_if(fitting, [&](std::size_t i) { return speed_of(trials[i]) < enough; });
  return best_of(trials, fitting, by_size);
}

std::vector<std::size_t> pareto_front(const std::vector<RunTrial>& trials) {
  std::vector<std::size_t> fitting;
  for (std::size_t i = 0; i < trials.size(); ++i) {
    if (trials[i].outcome.fits() && trials[i].outcome.peak && is_current(i, trials)) {
      fitting.push_back(i);
    }
  }
  std::stable_sort(fitting.begin(), fitting.end(), [&](std::size_t a, std::size_t b) {
    const auto key = [&](std::size_t i) {
      return std::tuple(trials[i].outcome.peak->bytes, -speed_of(trials[i]));
    };
    return key(a) < key(b);
  });
  std::vector<std::size_t> front;
  for (const std::size_t i : fitting) {
    if (front.empty() || speed_of(trials[i]) > speed_of(trials[front.back()])) front.push_back(i);
  }
  return front;
}

}  // namespace loadline
