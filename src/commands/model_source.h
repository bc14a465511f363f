// What --model names.
#pragma once

#include <filesystem>
#include <string>

#include "checkpoint/hub_cache.h"

namespace loadline {

// The folder that `model` names: a folder itself, or ORG/NAME[@REVISION] of the Hugging Face Hub,
// which is looked for in its cache. Throws Error(kBadInput) with the way out when there is neither.
std::filesystem::path resolve_model(const std::string& model, ModelParts parts);

// Its tokenizer.json; throws Error(kBadInput) when it has none.
std::filesystem::path tokenizer_file(const std::filesystem::path& model_folder);

}  // namespace loadline
