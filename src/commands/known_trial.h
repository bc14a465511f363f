// What a journal says today.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <vector>

#include "search/search.h"
#include "trial/journal.h"

namespace loadline {

// The trial of an entry under the limits of today, which may be others than its own day's. Nothing
// where it gives no answer: it has none, was interrupted, or ran out of memory where more may be
// used now.
std::optional<RunTrial> known_trial(const JournalEntry& entry, const Configuration& configuration,
                                    const SearchLimits& limits);

// What a trial tested, sequence and checkpointing included: its worker's settings have both. Throws
// Error(kBadInput) where they do not.
Configuration tested_by(const TrialSpec& spec);

// The same as its search knows it.
using ConfigurationOf = std::function<Configuration(const TrialSpec&)>;

// Trials that somebody killed, which is no evidence against them: a search that goes on asks them
// again, once. A second kill of the same configuration stands.
std::vector<const JournalEntry*> asked_once_more(const std::vector<JournalEntry>& entries,
                                                 const ConfigurationOf& configuration_of);
// Whether one of them has been: a later trial of its configuration counts today.
bool is_answered_later(const JournalEntry& killed, const std::vector<JournalEntry>& entries,
                       const ConfigurationOf& configuration_of, const SearchLimits& limits);

// How long a step of a configuration may take by the trials so far, never too little by much: the
// longest of their steps, for as many more rows, layers and tokens as it has; 0 without any. It
// only tells a slow step from one that has no end.
std::chrono::milliseconds predicted_step(const Configuration& configuration,
                                         const std::vector<JournalEntry>& entries,
                                         const ConfigurationOf& configuration_of);

}  // namespace loadline
