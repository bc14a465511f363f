// What a search is known by.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "commands/find_session.h"

namespace loadline {

// What a journal belongs to: the same question goes on where it stopped, another one has a folder
// of its own. Model and rows stand in it by their fingerprints, not by where they lie.
Json question_document(const FindQuestion& question, const Workload& workload,
                       const MachineFacts& machine, const std::optional<std::string>& limit);

// What --memory-limit says, however it is spelled: to the byte, in the largest unit that has no
// fraction. "20GiB", "1536MiB", "17B".
std::string limit_text(const std::string& typed);

// Where a search has its folder, and what it is known by there.
struct SearchPlace {
  Json question;
  std::filesystem::path folder;
  std::string note = {};  // for people: where auto would stand for something else today
};
// The place of the search, and in `workload` what --grad-checkpoint auto stands for in all of its
// trials, so that they compare: off where one row of the largest rank and layers is planned to fit
// without, else on. A search that goes on keeps what it began with, whatever the budget is today.
SearchPlace place_of_search(Workload& workload, const FindQuestion& question,
                            const MachineFacts& machine, const std::optional<std::string>& limit,
                            const std::optional<std::string>& run_dir, bool restart);

// The numbers of --ranks and --layers-grid; without the latter the default grid within the model.
// Throws Error(kUsage) naming the flag and the number that cannot be.
std::vector<std::int64_t> ranks_in(const std::string& text);
std::vector<std::int64_t> layers_in(const std::optional<std::string>& text,
                                    const ModelConfig& model);

}  // namespace loadline
