// How long a token takes, from the trials: linear in layers, in rank x layers and in one over the
// batch; with its uncertainty.
#pragma once

#include <optional>
#include <vector>

#include "search/regression.h"
#include "search/search.h"

namespace loadline {

class TokenTime {
 public:
  // Takes every trial that ran to its end, whether it fits or not.
  explicit TokenTime(const std::vector<RunTrial>& trials);

  [[nodiscard]] bool known() const { return fastest_ > 0; }
  // Enough was measured to rule something out.
  [[nodiscard]] bool is_sure() const;
  // Needs known(). The chance that its speed is at least `enough` tokens a second.
  [[nodiscard]] double chance(const Configuration& configuration, double enough) const;
  // Needs known(). Seconds a token.
  [[nodiscard]] Expectation seconds(const Configuration& configuration) const;

 private:
  [[nodiscard]] Point point_of(const Configuration& configuration) const;

  Configuration most_;  // the largest of each part
  double fastest_ = 0;  // tokens a second; the model's unit
  std::size_t measured_ = 0;
  std::optional<Regression> model_;
};

}  // namespace loadline
