#include "commands/known_trial.h"

#include "trial/observation.h"

namespace loadline {

std::optional<RunTrial> known_trial(const JournalEntry& entry, const Configuration& configuration,
                                    const SearchLimits& limits) {
  if (!entry.outcome || entry.outcome->verdict == Verdict::kInterrupted) return std::nullopt;
  const auto outcome = under_budget(entry.spec, *entry.outcome, limits.budget);
  if (!outcome) return std::nullopt;
  return RunTrial{.configuration = configuration,
                  .trial = entry.spec.id,
                  .planned = entry.spec.planned,
                  .outcome = *outcome,
                  .under_margin = proves_margin(entry.spec, limits.budget),
                  .cap = entry.spec.cap};
}

}  // namespace loadline
