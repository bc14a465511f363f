// Questions answered from trials that were run: what an untried configuration should need, and how
// far that may be trusted.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>
#include <vector>

#include "search/prediction.h"
#include "search/token_time.h"

namespace loadline {

// kMeasured: this very configuration was run. kInterpolated: each part of it lies between those of
// trials. kExtrapolated: a part lies outside.
enum class Support : std::uint8_t { kMeasured, kInterpolated, kExtrapolated };
std::string_view name_of(Support support);

struct Answer {
  double value = 0;
  double low = 0, high = 0;  // as far as it may be trusted; measured values are themselves
  Support support = Support::kExtrapolated;
  bool slowed_by_others = false;  // a measured speed that is no more than a lower bound
};

enum class Part : std::uint8_t { kBatch, kRank, kLayers, kSequence };

class Answers {
 public:
  // Refers to `estimates` and `trials`. `tokens` says how many a configuration's largest batch has;
  // the estimate must know what a sequence means that no trial had. The trials must have at least
  // one that ran to its end: throws Error(kBadInput) otherwise.
  Answers(Estimates& estimates, const SearchLimits& limits, const std::vector<RunTrial>& trials,
          std::function<double(const Configuration&)> tokens);

  Answers(const Answers&) = delete;
  Answers& operator=(const Answers&) = delete;

  [[nodiscard]] Support support_of(const Configuration& configuration) const;
  // Peak bytes: between what trials of smaller configurations held and those of larger ones needed.
  [[nodiscard]] Answer peak(const Configuration& configuration) const;
  // Useful tokens a second, never faster than what was measured of less work, nor slower than that
  // of more; nothing where no trial had a speed, or none this sequence, or the trials lead to none.
  [[nodiscard]] std::optional<Answer> speed(const Configuration& configuration) const;
  // Seconds a token as the model of all trials has it, also where it was measured: for comparing
  // configurations without the noise of single trials. Nothing where no trial had a speed.
  [[nodiscard]] std::optional<double> smooth_seconds(const Configuration& configuration) const;
  // A trial of it, or of one that needs no less, fits; or it is expected to with all the doubt that
  // there is.
  [[nodiscard]] bool fits(const Configuration& configuration) const;
  // A trial of it, or of one that needs no more, needed more memory than there is.
  [[nodiscard]] bool fails(const Configuration& configuration) const;
  // The largest value of `part`, up to `limit`, at which `holds`; 0 for none. Doubles from the
  // largest at which a trial fits, then bisects.
  [[nodiscard]] std::int64_t largest(const Configuration& base, Part part, std::int64_t limit,
                                     const std::function<bool(const Configuration&)>& holds) const;
  // The smallest rank that was run.
  [[nodiscard]] std::int64_t least_rank() const { return space_.ranks.front(); }
  // A plan stands behind the answers: they may be asked about other sequences.
  [[nodiscard]] bool uses_plan() const { return prediction_->uses_plan(); }

 private:
  [[nodiscard]] double room() const;
  // Only then does the order of the trials say something: another sequence means other rows.
  [[nodiscard]] bool has_known_sequence(const Configuration& configuration) const;
  [[nodiscard]] bool is_proven(const Configuration& configuration) const;
  [[nodiscard]] Answer within_measured(const Configuration& configuration, Answer expected) const;
  [[nodiscard]] double least_seconds(const Configuration& configuration) const;
  [[nodiscard]] double most_seconds(const Configuration& configuration) const;

  SearchLimits limits_;
  const std::vector<RunTrial>& trials_;
  std::function<double(const Configuration&)> tokens_;
  SearchSpace space_;
  std::optional<Prediction> prediction_;
  TokenTime time_;
};

// The configuration with one part set to `value`.
Configuration with_part(Configuration base, Part part, std::int64_t value);

}  // namespace loadline
