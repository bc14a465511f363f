// What can be known to be wrong with a run before memory is taken.
#pragma once

#include <filesystem>
#include <string_view>

#include "base/dtype.h"
#include "checkpoint/config.h"
#include "model/memory_plan.h"
#include "text/packed.h"
#include "training/settings.h"

namespace loadline {

// Each throws Error(kUsage) or Error(kBadInput) naming the thing, both values and the way out.
void require_positions(const ModelConfig& model, const StepShape& shape);
// Rows that would teach or tell nothing; `path` is what the error names. Ends at the first row with
// a target.
void require_targets(const PackedRows& rows, const std::filesystem::path& path,
                     std::int64_t max_seq_length);
void require_vocabulary(const PackedRows& rows, const std::filesystem::path& path,
                        const ModelConfig& model);
// --resume needs a checkpoint, and none but a finished run's is not enough where another was begun
// to replace that; without it neither an unfinished run nor an adapter that is not of a
// finished run may be overwritten.
void require_run_to_resume(const TrainingSettings& settings);
// An adapter's folder is none of a model's: the adapter's files would lie among its own.
void require_no_model_folder(const std::filesystem::path& folder,
                             std::string_view flag = "--adapter-path");

}  // namespace loadline
