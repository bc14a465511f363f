// What --model names.
#pragma once

#include <filesystem>
#include <string>

namespace loadline {

// The folder that `model` names: a folder itself. Throws Error(kBadInput) with the way out when it
// is none.
std::filesystem::path resolve_model(const std::string& model);

// Its tokenizer.json; throws Error(kBadInput) when it has none.
std::filesystem::path tokenizer_file(const std::filesystem::path& model_folder);

}  // namespace loadline
