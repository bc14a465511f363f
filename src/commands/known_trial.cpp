#include "commands/known_trial.h"

#include <map>
#include <string>

#include "base/error.h"
#include "base/json.h"
#include "trial/left_running.h"
#include "trial/observation.h"

namespace loadline {
namespace {

// Under a machine that went down it may have been the trial that took it down.
bool was_killed_from_outside(const JournalEntry& entry) {
  return entry.outcome && entry.outcome->verdict == Verdict::kKilled &&
         !was_left_running(*entry.outcome);
}

}  // namespace

Configuration tested_by(const TrialSpec& spec) {
  const std::string source = fmt::format("trial {}", spec.id);
  return {.batch_size = spec.batch_size,
          .lora_rank = spec.lora_rank,
          .lora_layers = spec.lora_layers,
          .sequence = json_int(spec.worker, "max_seq_length", source),
          .checkpointing = json_bool(spec.worker, "grad_checkpoint", source) ? 1 : 0};
}

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

std::vector<const JournalEntry*> asked_once_more(const std::vector<JournalEntry>& entries,
                                                 const ConfigurationOf& configuration_of) {
  std::map<Configuration, std::vector<const JournalEntry*>> killed;
  for (const JournalEntry& entry : entries) {
    if (was_killed_from_outside(entry)) killed[configuration_of(entry.spec)].push_back(&entry);
  }
  std::vector<const JournalEntry*> again;
  for (const auto& [configuration, times] : killed) {
    if (times.size() == 1) again.push_back(times.front());
  }
  return again;
}

}  // namespace loadline
