// What a search is known by.
#pragma once

#include <optional>
#include <string>

#include "base/json_fwd.h"
#include "commands/find_session.h"

namespace loadline {

// What a journal belongs to: the same question goes on where it stopped, another one has a folder
// of its own. Model and rows stand in it by their fingerprints, not by where they lie.
Json question_document(const FindQuestion& question, const Workload& workload,
                       const MachineFacts& machine, const std::optional<std::string>& limit);

}  // namespace loadline
