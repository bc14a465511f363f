// Whether an adapter belongs to the model that it is put on.
#pragma once

#include <filesystem>
#include <string>

#include "checkpoint/adapter.h"
#include "checkpoint/config.h"

namespace loadline {

// As its configuration has it: a path, ORG/NAME or ORG/NAME@REVISION; "" where it does not say.
std::string base_named_by(const AnyAdapter& adapter);

// A line for stderr that names both where `base_model`, of base_named_by(), is another model
// than that of `folder`; else empty. A name may be ORG/NAME of the Hub or a path, and
// paths move: what counts is its last part, and the folder itself where it is still there, or the
// Hub's cache has it.
std::string other_base_warning(const std::string& base_model, const std::filesystem::path& folder,
                               const ModelConfig& model);

}  // namespace loadline
