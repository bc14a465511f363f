#include "search/answers.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "base/error.h"

namespace loadline {
namespace {

// Two deviations: about 95 of 100.
constexpr double kInterval = 2;

// The grid that the trials span. Of at least two batches, between which an estimate is seen to
// grow.
SearchSpace space_of(const std::vector<RunTrial>& trials) {
  std::set<std::int64_t> ranks, layers, sequences;
  std::int64_t batch = 2;
  for (const RunTrial& trial : trials) {
    if (!has_whole_peak(trial)) continue;
    ranks.insert(trial.configuration.lora_rank);
    layers.insert(trial.configuration.lora_layers);
    sequences.insert(trial.configuration.sequence);
    batch = std::max(batch, trial.configuration.batch_size);
  }
  if (ranks.empty()) {
    throw bad_input("no trial of this run has come to its end, so there is nothing to answer from");
  }
  return {.ranks = {ranks.begin(), ranks.end()},
          .layers = {layers.begin(), layers.end()},
          .max_batch = batch,
          .sequences = {sequences.begin(), sequences.end()}};
}

std::int64_t& part_of(Configuration& c, Part part) {
  switch (part) {
    case Part::kBatch:
      return c.batch_size;
    case Part::kRank:
      return c.lora_rank;
    case Part::kLayers:
      return c.lora_layers;
    case Part::kSequence:
      break;
  }
  return c.sequence;
}

}  // namespace

std::string_view name_of(Support support) {
  switch (support) {
    case Support::kMeasured:
      return "measured";
    case Support::kInterpolated:
      return "interpolated";
    case Support::kExtrapolated:
      break;
  }
  return "extrapolated";
}

Configuration with_part(Configuration base, Part part, std::int64_t value) {
  part_of(base, part) = value;
  return base;
}

Answers::Answers(Estimates& estimates, const SearchLimits& limits,
                 const std::vector<RunTrial>& trials,
                 std::function<double(const Configuration&)> tokens)
    : limits_(limits),
      trials_(trials),
      tokens_(std::move(tokens)),
      space_(space_of(trials)),
      time_(trials) {
  prediction_.emplace(estimates, space_, limits_, trials_);
}

double Answers::room() const {
  return static_cast<double>(limits_.budget.count) / (1 + limits_.margin);
}

Support Answers::support_of(const Configuration& c) const {
  const auto trial = trial_of(c, trials_);
  if (trial && has_whole_peak(trials_[*trial])) return Support::kMeasured;
  const auto within = [](const std::vector<std::int64_t>& values, std::int64_t value) {
    return value >= values.front() && value <= values.back();
  };
  bool fewer = false;
  bool more = false;
  for (const RunTrial& other : trials_) {
    if (!has_whole_peak(other)) continue;
    fewer = fewer || tokens_(other.configuration) <= tokens_(c);
    more = more || tokens_(other.configuration) >= tokens_(c);
  }
  const bool inside =
      within(space_.ranks, c.lora_rank) && within(space_.layers, c.lora_layers) && fewer && more;
  return inside ? Support::kInterpolated : Support::kExtrapolated;
}

Answer Answers::peak(const Configuration& c) const {
  const Support support = support_of(c);
  if (support == Support::kMeasured) {
    const auto bytes =
        static_cast<double>(trials_[*trial_of(c, trials_)].outcome.peak->bytes.count);
    return {bytes, bytes, bytes, support};
  }
  const Expectation load = prediction_->load(c).value_or(Expectation{0, 1});
  const double doubt = kInterval * load.deviation;
  const auto bytes = [&](double share) { return std::fmax(0, share) * room(); };
  return within_measured(
      c, {bytes(load.mean), bytes(load.mean - doubt), bytes(load.mean + doubt), support});
}

// No more than what needs no less, and no less than what needs no more. A trial that died held at
// least what its peak says.
Answer Answers::within_measured(const Configuration& c, Answer expected) const {
  if (!has_known_sequence(c)) return expected;
  double least = 0;
  double most = std::numeric_limits<double>::infinity();
  for (std::size_t i = 0; i < trials_.size(); ++i) {
    const RunTrial& trial = trials_[i];
    if (!trial.outcome.peak || !is_current(i, trials_)) continue;
    const auto bytes = static_cast<double>(trial.outcome.peak->bytes.count);
    if (is_dominated_by(trial.configuration, c)) least = std::fmax(least, bytes);
    if (has_whole_peak(trial) && is_dominated_by(c, trial.configuration)) {
      most = std::fmin(most, bytes);
    }
  }
  least = std::fmin(least, most);
  for (double* bytes : {&expected.value, &expected.low, &expected.high}) {
    *bytes = std::clamp(*bytes, least, most);
  }
  return expected;
}

bool Answers::has_known_sequence(const Configuration& c) const {
  const auto& known = space_.sequences;
  return std::find(known.begin(), known.end(), c.sequence) != known.end();
}

std::optional<Answer> Answers::speed(const Configuration& c) const {
  if (!time_.known() || !has_known_sequence(c)) return std::nullopt;
  const Support support = support_of(c);
  const auto measured = speed_of(c, trials_);
  if (support == Support::kMeasured && measured) {
    const double speed = measured->tokens_per_second;
    return Answer{speed, speed, speed, support, measured->is_least};
  }
  const Expectation line = time_.seconds(c);
  const double least = least_seconds(c);
  const double most = std::fmax(most_seconds(c), least);
  const double seconds = std::clamp(line.mean, least, most);
  if (!(seconds > 0)) return std::nullopt;
  const double doubt = kInterval * line.deviation;
  const double fastest = std::fmax(std::fmax(seconds - doubt, seconds / 10), least);
  return Answer{1 / seconds, 1 / std::fmin(seconds + doubt, most), 1 / fastest, support};
}

// Of what takes no more time a token: no larger in rank and layers, and no smaller a batch. The
// line through a few speeds does not know that beyond them. 0 where nothing says so.
double Answers::least_seconds(const Configuration& c) const {
  double least = 0;
  for (const RunTrial& trial : trials_) {
    const Configuration& quicker = trial.configuration;
    if (quicker.sequence != c.sequence || quicker.batch_size < c.batch_size) continue;
    if (!lies_within(cell_of(quicker), cell_of(c))) continue;
    const auto measured = speed_of(quicker, trials_);
    if (measured && !measured->is_least) {
      least = std::fmax(least, 1 / measured->tokens_per_second);
    }
  }
  return least;
}

// Of what takes no less time a token; where others slowed it, it takes less still. Endless where
// nothing says so.
double Answers::most_seconds(const Configuration& c) const {
  double most = std::numeric_limits<double>::infinity();
  for (const RunTrial& trial : trials_) {
    const Configuration& slower = trial.configuration;
    if (slower.sequence != c.sequence || slower.batch_size > c.batch_size) continue;
    if (!lies_within(cell_of(c), cell_of(slower))) continue;
    const auto measured = speed_of(slower, trials_);
    if (measured) most = std::fmin(most, 1 / measured->tokens_per_second);
  }
  return most;
}

std::optional<double> Answers::smooth_seconds(const Configuration& c) const {
  if (!time_.known()) return std::nullopt;
  return time_.seconds(c).mean;
}

bool Answers::is_proven(const Configuration& c) const {
  if (const auto trial = trial_of(c, trials_)) return trials_[*trial].outcome.fits();
  return has_known_sequence(c) &&
         c.batch_size <= bounds_of(cell_of(c), trials_, space_.max_batch).fits;
}

bool Answers::fits(const Configuration& c) const {
  if (is_proven(c)) return true;
  return !trial_of(c, trials_) && !fails(c) && peak(c).high <= room();
}

bool Answers::fails(const Configuration& c) const {
  if (const auto trial = trial_of(c, trials_)) {
    return is_memory_failure(trials_[*trial].outcome.verdict);
  }
  if (!has_known_sequence(c) || is_proven(c)) return false;
  for (std::size_t i = 0; i < trials_.size(); ++i) {
    const RunTrial& trial = trials_[i];
    if (is_memory_failure(trial.outcome.verdict) && is_dominated_by(trial.configuration, c) &&
        is_current(i, trials_)) {
      return true;
    }
  }
  return false;
}

std::int64_t Answers::largest(const Configuration& base, Part part, std::int64_t limit,
                              const std::function<bool(const Configuration&)>& holds) const {
  const auto at = [&](std::int64_t value) { return holds(with_part(base, part, value)); };
  std::int64_t good = 0;
  for (const RunTrial& trial : trials_) {
    Configuration tried = trial.configuration;
    const std::int64_t value = part_of(tried, part);
    if (trial.outcome.fits() && value > good && value <= limit && at(value)) good = value;
  }
  std::int64_t bad = std::max<std::int64_t>(2 * good, 1);
  while (bad <= limit && at(bad)) {
    good = bad;
    bad *= 2;
  }
  bad = std::min(bad, limit + 1);
  while (bad - good > 1) {
    const std::int64_t middle = good + (bad - good) / 2;
    (at(middle) ? good : bad) = middle;
  }
  return good;
}

}  // namespace loadline
