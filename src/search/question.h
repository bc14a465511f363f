// The next configuration to try, as a function of the trials so far: a resumed search goes the same
// way as one that was never interrupted.
#pragma once

#include <optional>
#include <vector>

#include "search/prediction.h"

namespace loadline {

// A cell with what trials alone prove, and with what a confirmed plan adds to it.
struct CellState {
  Cell cell;
  CellBounds proven;
  CellBounds known;
  // The largest configuration of this cell that is known to fit; batch 0 for none.
  [[nodiscard]] Configuration best() const { return cell.at(known.fits); }
};

std::vector<CellState> states_of(const SearchSpace& space, const std::vector<RunTrial>& trials,
                                 const Prediction& prediction);

// Nothing when the search is done. A configuration that has an answer already is asked again only
// to confirm the choice under budget / (1 + margin), or once for_speed.
std::optional<Question> next_question(const SearchSpace& space, const SearchLimits& limits,
                                      Estimates& estimates, const std::vector<RunTrial>& trials);

// More likely than not within kBalancedSpeed of the fastest, as far as the trials tell.
bool is_likely_fast(const Configuration& configuration, const std::vector<CellState>& states,
                    const std::vector<RunTrial>& trials);

// What the balanced objective still wants measured: a cell's largest batch that could be larger
// than the best so far at 90 % of the fastest speed. Nothing when none could.
std::optional<Configuration> next_speed_question(const std::vector<CellState>& states,
                                                 const std::vector<RunTrial>& trials);

}  // namespace loadline
