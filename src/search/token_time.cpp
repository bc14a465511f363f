#include "search/token_time.h"

#include <algorithm>
#include <utility>

#include "search/evidence.h"

namespace loadline {
namespace {

// A model of fewer speeds than this rules nothing out.
constexpr std::size_t kEnoughSpeeds = 3;
// Others slow a trial by up to this factor, as was seen; its time is known within it.
constexpr double kSlowed = 5;

double share(std::int64_t part, std::int64_t of) {
  return static_cast<double>(part) / static_cast<double>(std::max<std::int64_t>(of, 1));
}

}  // namespace

TokenTime::TokenTime(const std::vector<RunTrial>& trials) {
  const std::optional<Reference> pace = common_pace(trials);
  for (const RunTrial& trial : trials) {
    const Configuration& c = trial.configuration;
    most_.batch_size = std::max(most_.batch_size, c.batch_size);
    most_.lora_rank = std::max(most_.lora_rank, c.lora_rank);
    most_.lora_layers = std::max(most_.lora_layers, c.lora_layers);
    most_.sequence = std::max(most_.sequence, c.sequence);
    fastest_ = std::max(fastest_, speed_at(pace, trial.outcome));
  }
  std::vector<Observation> seen;
  for (const RunTrial& trial : trials) {
    const double speed = speed_at(pace, trial.outcome);
    if (!(speed > 0)) continue;
    Observation one{.point = point_of(trial.configuration), .value = fastest_ / speed};
    if (trial.outcome.noise.slows()) {
      one.low = one.value / kSlowed;
      one.high = one.value;
    }
    seen.push_back(std::move(one));
  }
  measured_ = seen.size();
  // In units of the fastest: a part that all share, layers, rank x layers, the small batch's loss,
  // longer rows, recomputing.
  const Belief belief{.mean = {0.7, 0.3, 0.05, 0.1, 0.1, 0.2},
                      .deviation = {1, 1, 0.3, 0.3, 0.5, 0.5},
                      .rest = 0.003,
                      .noise = 0.006};
  model_ = fitted(belief, seen);
}

bool TokenTime::is_sure() const { return measured_ >= kEnoughSpeeds; }

double TokenTime::chance(const Configuration& configuration, double enough) const {
  return model_->at(point_of(configuration)).chance_below(fastest_ / enough);
}

Expectation TokenTime::seconds(const Configuration& configuration) const {
  const Expectation relative = model_->at(point_of(configuration));
  return {relative.mean / fastest_, relative.deviation / fastest_};
}

Point TokenTime::point_of(const Configuration& c) const {
  const double batch = share(c.batch_size, most_.batch_size);
  const double rank = share(c.lora_rank, most_.lora_rank);
  const double layers = share(c.lora_layers, most_.lora_layers);
  return {.features = {1, layers, rank * layers, share(1, c.batch_size),
                       share(c.sequence, most_.sequence), c.checkpointing == 1 ? 1.0 : 0.0},
          .place = {batch, layers}};
}

}  // namespace loadline
