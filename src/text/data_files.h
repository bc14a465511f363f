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

// A folder has train.jsonl, and valid.jsonl and test.jsonl if it likes, each plain or as .jsonl.gz
// or .jsonl.zst. A file is the training data; one called train.jsonl (.gz, .zst) has its valid and
// test beside it. Throws Error(kBadInput) when there is no such file, no train.jsonl in the folder,
// or two files of one split.
DataFiles resolve_data(const std::filesystem::path& path);

}  // namespace loadline
