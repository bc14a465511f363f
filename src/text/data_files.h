// What --data names: one JSONL file, or a folder of them.
#pragma once

#include <filesystem>
#include <optional>

namespace loadline {

struct DataFiles {
  std::filesystem::path train;
  std::optional<std::filesystem::path> valid;
  std::optional<std::filesystem::path> test;
};

// A file is the training data; a folder has train.jsonl, and valid.jsonl and test.jsonl if it
// likes. Throws Error(kBadInput) when there is no such file or no train.jsonl in the folder.
DataFiles resolve_data(const std::filesystem::path& path);

}  // namespace loadline
