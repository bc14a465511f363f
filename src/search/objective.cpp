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

struct Fitting {
  std::size_t trial = 0;
  double size = 0;
  double speed = 0;
};
std::tuple<double, double> by_size(const Fitting& c) { return {c.size, c.speed}; }
std::tuple<double, double> by_speed(const Fitting& c) { return {c.speed, c.size}; }

Fitting fitting_of(std::size_t index, const std::vector<RunTrial>& trials) {
  const Configuration& c = trials[index].configuration;
  return {index, size_of(c), speed_of(c, trials).value_or(Speed{}).tokens_per_second};
}

// The best by `rank`, a function to an ordered value; the first of equals.
template <typename Rank>
std::optional<std::size_t> best_of(const std::vector<Fitting>& among, Rank rank) {
  const auto best =
      std::max_element(among.begin(), among.end(),
                       [&](const Fitting& a, const Fitting& b) { return rank(a) < rank(b); });
  if (best == among.end()) return std::nullopt;
  return best->trial;
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
  std::vector<Fitting> fitting;
  for (std::size_t i = 0; i < trials.size(); ++i) {
    if (!trials[i].outcome.fits() || !is_current(i, trials)) continue;
    if (objective == Objective::kBalanced && is_outgrown(trials[i], trials)) continue;
    fitting.push_back(fitting_of(i, trials));
  }
  if (objective == Objective::kLargest) return best_of(fitting, by_size);
  const auto fastest = best_of(fitting, by_speed);
  if (objective == Objective::kFastest || !fastest) return fastest;
  const double enough = kBalancedSpeed * fitting_of(*fastest, trials).speed;
  std::erase_if(fitting, [&](const Fitting& c) { return c.speed < enough; });
  return best_of(fitting, by_size);
}

std::vector<std::size_t> pareto_front(const std::vector<RunTrial>& trials) {
  std::vector<Fitting> fitting;
  for (std::size_t i = 0; i < trials.size(); ++i) {
    if (trials[i].outcome.fits() && trials[i].outcome.peak && is_current(i, trials)) {
      fitting.push_back(fitting_of(i, trials));
    }
  }
  const auto key = [&](const Fitting& c) {
    return std::tuple(trials[c.trial].outcome.peak->bytes, -c.speed);
  };
  std::stable_sort(fitting.begin(), fitting.end(),
                   [&](const Fitting& a, const Fitting& b) { return key(a) < key(b); });
  std::vector<std::size_t> front;
  double fastest = -1;
  for (const Fitting& c : fitting) {
    if (c.speed <= fastest) continue;
    fastest = c.speed;
    front.push_back(c.trial);
  }
  return front;
}

}  // namespace loadline
