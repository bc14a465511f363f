#include "commands/known_trial.h"

#include <algorithm>
#include <map>
#include <string>

#include "base/error.h"
#include "base/json.h"
#include "search/evidence.h"
#include "trial/left_running.h"
#include "trial/observation.h"
#include "trial/statistics.h"

namespace loadline {
namespace {

// Under a machine that went down it may have been the trial that took it down.
bool was_killed_from_outside(const JournalEntry& entry) {
  return entry.outcome && entry.outcome->verdict == Verdict::kKilled &&
         !was_left_running(*entry.outcome);
}

// A plain fit leaves open whether the margin would have been proven.
bool is_answer_to(const JournalEntry& killed, const JournalEntry& later,
                  const SearchLimits& limits) {
  const auto answer = known_trial(later, {}, limits);
  if (!answer || ends_search(answer->outcome.verdict)) return false;
  return answer->under_margin || !proves_margin(killed.spec, limits.budget) ||
         !answer->outcome.fits();
}

// Not below 1, as a smaller batch may have the longest rows too; 1 where neither is compared.
double times_more(std::int64_t from, std::int64_t to) {
  return from > 0 ? std::max(static_cast<double>(to) / static_cast<double>(from), 1.0) : 1;
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

bool is_answered_later(const JournalEntry& killed, const std::vector<JournalEntry>& entries,
                       const ConfigurationOf& configuration_of, const SearchLimits& limits) {
  const Configuration asked = configuration_of(killed.spec);
  return std::any_of(entries.begin(), entries.end(), [&](const JournalEntry& later) {
    return later.spec.id > killed.spec.id && configuration_of(later.spec) == asked &&
           is_answer_to(killed, later, limits);
  });
}

std::chrono::milliseconds predicted_step(const Configuration& configuration,
                                         const std::vector<JournalEntry>& entries,
                                         const ConfigurationOf& configuration_of) {
  double seconds = 0;
  for (const JournalEntry& entry : entries) {
    if (!entry.outcome) continue;
    const Configuration known = configuration_of(entry.spec);
    seconds = std::max(seconds, longest_step(entry.outcome->steps) *
                                    times_more(known.batch_size, configuration.batch_size) *
                                    times_more(known.lora_layers, configuration.lora_layers) *
                                    times_more(known.sequence, configuration.sequence));
  }
  return std::chrono::milliseconds(static_cast<std::int64_t>(std::min(seconds, 1e6) * 1000));
}

}  // namespace loadline
