// Whether an adapter belongs to the model that it is put on.
#pragma once

#include <filesystem>
#include <string>

#include "checkpoint/config.h"

namespace loadline {

// A line for stderr that names both where `base_model`, as the adapter's configuration has it, is
// another model than that of `folder`; else empty. A name may be ORG/NAME of the Hub or a path, and
// paths move: what counts is its last part, and the folder itself where it is still there, or the
// Hub's cache has it.
std::string other_base_warning(const std::string& base_model, const std::filesystem::path& folder,
                               const ModelConfig& model);

}  // namespace loadline
