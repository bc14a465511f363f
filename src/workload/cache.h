// The cache where it can be written, and what stands for it where it cannot.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "checkpoint/weights.h"
#include "model/memory_plan.h"

namespace loadline {

// cache_folder() / `name`, made. Where nothing can be written there, a temporary folder that lives
// as long as this process: said once on stderr.
std::filesystem::path writable_cache(const std::string& name);

// A kept file's time is that of its last use. In a cache that cannot be written it stays as it is.
void note_use(const std::filesystem::path& file);
// Removes the files of `folder` with this extension that nobody used for 30 days.
void remove_unused(const std::filesystem::path& folder, std::string_view extension);

// Where the quantized weights of a model are kept, or would be: docs/prepared-weights.md.
std::filesystem::path prepared_weights_of(const WeightFiles& files, const StepShape& shape);

}  // namespace loadline
