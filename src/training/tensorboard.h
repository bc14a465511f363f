// TensorBoard's event files: docs/metrics.md. A file of TFRecords (length, masked crc32c, data,
// masked crc32c), each a protobuf message `Event`, written by hand.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/data_file.h"
#include "training/trainer.h"

namespace loadline {

// CRC-32C (Castagnoli), and the form in which TFRecord keeps it.
std::uint32_t crc32c(std::string_view data);
std::uint32_t masked_crc32c(std::string_view data);

// The event files in `folder`/tensorboard.
std::vector<std::filesystem::path> event_files(const std::filesystem::path& folder);
// Removes them, and that where nothing else is in it.
void remove_event_files(const std::filesystem::path& folder);

class TensorBoard {
 public:
  // A new file in `folder`/tensorboard. With `last_step` 0 the files of earlier runs there are
  // removed; else this one tells TensorBoard to drop what came after that step.
  TensorBoard(const std::filesystem::path& folder, std::int64_t last_step);

  void add(const StepReport& report);
  void add(const EvaluationReport& report);

 private:
  struct Scalar {
    std::string_view tag;
    double value = 0;
  };
  void write_scalars(std::int64_t step, std::span<const Scalar> scalars);
  void write_record(std::string_view event);

  DataFile file_;
  std::uint64_t end_ = 0;
};

}  // namespace loadline
