// What --model names.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "hub/pull.h"

namespace loadline {

// The folder that `model` names: a folder itself, or ORG/NAME[@REVISION] of the Hugging Face Hub.
// Where its cache has all of `parts` the Hub is not asked; what is missing is downloaded, unless
// HF_HUB_OFFLINE is set. Progress goes to stderr. Throws Error with the way out when there is no
// such model.
std::filesystem::path resolve_model(const std::string& model, ModelParts parts);

// The model of the Hub that `model` names; none where a folder of that name is there, which comes
// first, or where it is no such name.
std::optional<HubModel> named_on_hub(const std::string& model);

// Its snapshot where the Hub's cache has one, whole or not. The Hub is not asked.
std::optional<std::filesystem::path> cached_snapshot(const HubModel& model);

// Asks the Hub for the revision and downloads what is missing; with HF_HUB_OFFLINE, looks only
// whether the cache has it. Ctrl-C stops it (Error(kInterrupted)) and keeps what came.
PullReport pull_from_hub(const HubModel& model, ModelParts parts);

// Its tokenizer.json; throws Error(kBadInput) when it has none.
std::filesystem::path tokenizer_file(const std::filesystem::path& model_folder);

}  // namespace loadline
