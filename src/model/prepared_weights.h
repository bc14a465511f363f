// Quantized weights as they lie in the arena, kept on disk so that the next process reads them at
// the disk's speed: docs/prepared-weights.md. A convenience: without the file all works, slower.
#pragma once

#include <filesystem>
#include <string>

#include "checkpoint/weights.h"
#include "model/step_plan.h"
#include "model/workspace.h"

namespace loadline {

// Everything that the bytes depend on, for the file's name and its first lines. `weights` is
// WeightFiles::cache_key().
[[nodiscard]] std::string prepared_key(const std::string& weights, const StepShape& shape);
[[nodiscard]] std::filesystem::path prepared_file(const std::filesystem::path& folder,
                                                  const std::string& key);

// Reads all frozen weights from `path`. Returns false where there is no such file, or where it was
// made for another key or plan, or its checksum is wrong; then the weights are undefined.
[[nodiscard]] bool read_prepared(const std::filesystem::path& path, const std::string& key,
                                 const StepPlan& plan, const Workspace& memory);

// read_prepared(), and where that fails the files themselves and then, where that is possible,
// write_prepared(). Removes what killed processes left half written beside it.
void load_prepared_weights(const WeightFiles& files, const std::filesystem::path& prepared,
                           const ModelConfig& model, const StepShape& shape, const StepPlan& plan,
                           const Workspace& memory);

// Writes them, atomically. Throws Error(kEnvironment) and leaves nothing behind on failure.
void write_prepared(const std::filesystem::path& path, const std::string& key, const StepPlan& plan,
                    const Workspace& memory);

}  // namespace loadline
