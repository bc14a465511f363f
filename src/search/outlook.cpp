#include "search/outlook.h"

#include <array>
#include <cmath>
#include <utility>

#include "search/question.h"
#include "search/token_time.h"

namespace loadline {
namespace {

// As the trials have it; with fewer than tell, a token goes forward through all layers and back, at
// twice the cost, through those that are trained.
double imagined_speed(const Configuration& c, const SearchSpace& space,
                      const std::vector<RunTrial>& trials) {
  const TokenTime time(trials);
  if (time.is_sure()) return 1 / std::fmax(time.seconds(c).mean, 1e-12);
  const auto work = [&](const Configuration& of) {
    return static_cast<double>(space.layers.back() + 2 * of.lora_layers);
  };
  const std::optional<Reference> pace = common_pace(trials);
  double speed = 0;
  for (const RunTrial& trial : trials) {
    const double seen = speed_at(pace, trial.outcome);
    if (seen > 0) speed = seen * work(trial.configuration) / work(c);
  }
  return speed;
}

// By how many deviations a cell's peaks lie above what is expected of them, on one of the ways: for
// the ways after the first each cell's are the middles of as many equally likely ranges, in an
// order of its own.
double deviations(const Cell& cell, std::int64_t way) {
  constexpr std::array<double, kWays> kQuantiles = {-1.465, -0.792, -0.366, 0, 0.366, 0.792, 1.465};
  if (way == 0) return 0;
  std::uint64_t mixed = static_cast<std::uint64_t>(cell.lora_rank) * 0x9e3779b97f4a7c15U +
                        static_cast<std::uint64_t>(cell.lora_layers) * 0xbf58476d1ce4e5b9U +
                        static_cast<std::uint64_t>(cell.sequence) * 0x94d049bb133111ebU;
  mixed ^= mixed >> 31;
  return kQuantiles.at((mixed + static_cast<std::uint64_t>(way)) % kWays);
}

// An answer as the prediction would have it on one of the ways; without one, as if each boundary
// lay in the middle.
RunTrial imagined(const Question& question, const SearchSpace& space, const SearchLimits& limits,
                  Estimates& estimates, const std::vector<RunTrial>& trials, std::int64_t way) {
  const Prediction prediction(estimates, space, limits, trials);
  RunTrial trial;
  trial.configuration = question.configuration;
  trial.under_margin = question.under_margin;
  const Cell cell = cell_of(question.configuration);
  Verdict verdict = Verdict::kFits;
  if (const auto peak = prediction.peak(question.configuration)) {
    const Expectation load = *prediction.load(question.configuration);
    const double given = std::fmax(load.mean + deviations(cell, way) * load.deviation, 1e-6);
    trial.outcome.peak =
        MeasuredBytes{Bytes{static_cast<std::uint64_t>(*peak * given / load.mean)}};
    // A load of 1 is budget / (1 + margin): the cap of a trial under the margin.
    const double cap = question.under_margin ? 1 : 1 + limits.margin;
    if (given > 1) verdict = given > cap ? Verdict::kOutOfMemory : Verdict::kExceedsBudget;
  } else {
    const CellBounds bounds = bounds_of(cell, trials, space.max_batch);
    if (question.configuration.batch_size > (bounds.fits + bounds.fails) / 2) {
      verdict = Verdict::kExceedsBudget;
    }
  }
  trial.outcome.verdict = verdict;
  trial.outcome.tokens_per_second = imagined_speed(question.configuration, space, trials);
  if (const auto pace = common_pace(trials)) {
    trial.outcome.pace = {.reference = *pace,
                          .tokens_per_reference = trial.outcome.tokens_per_second * pace->seconds};
  }
  return trial;
}

}  // namespace

std::optional<std::vector<ExpectedTrial>> trials_ahead(const SearchSpace& space,
                                                       const SearchLimits& limits,
                                                       Estimates& estimates,
                                                       std::vector<RunTrial> trials,
                                                       std::int64_t way, std::size_t limit,
                                                       const std::function<bool()>& looks_further) {
  std::vector<ExpectedTrial> ahead;
  while (ahead.size() < limit) {
    if (looks_further && !looks_further()) return std::nullopt;
    const auto question = next_question(space, limits, estimates, trials);
    if (!question) break;
    trials.push_back(imagined(*question, space, limits, estimates, trials, way));
    ahead.push_back({.configuration = question->configuration,
                     .dies = trials.back().outcome.verdict == Verdict::kOutOfMemory,
                     .under_margin = question->under_margin});
  }
  return ahead;
}

}  // namespace loadline
