// What a search is known by.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/json_fwd.h"
#include "commands/find_session.h"

namespace loadline {

// What a journal belongs to: the same question goes on where it stopped, another one has a folder
// of its own. Model and rows stand in it by their fingerprints, not by where they lie.
Json question_document(const FindQuestion& question, const Workload& workload,
                       const MachineFacts& machine, const std::optional<std::string>& limit);

// The numbers of --ranks and --layers-grid; without the latter the default grid within the model.
// Throws Error(kUsage) naming the flag and the number that cannot be.
std::vector<std::int64_t> ranks_in(const std::string& text);
std::vector<std::int64_t> layers_in(const std::optional<std::string>& text,
                                    const ModelConfig& model);

}  // namespace loadline
