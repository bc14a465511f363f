// A file that is filled piece by piece, over several runs of the program if need be, and is put in
// its place when it is whole.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>

#include "base/file.h"

namespace loadline {

class PartialFile {
 public:
  // Opens the file, or makes it; keeps what is in it. Throws Error(kEnvironment) with the reason.
  explicit PartialFile(std::filesystem::path path);

  [[nodiscard]] std::uint64_t size() const { return size_; }
  // Throws Error(kEnvironment) when the disk refuses, for example when it is full; what was written
  // until then counts when the file is opened again.
  void append(std::span<const std::byte> piece);
  // Gives what is in the file to `take`, a MiB at a time.
  void read(const std::function<void(std::span<const std::byte>)>& take) const;
  void clear();
  // Flushes the file to the disk and renames it over `place`.
  void move_to(const std::filesystem::path& place);

 private:
  std::filesystem::path path_;
  FileDescriptor fd_;
  std::uint64_t size_ = 0;
};

}  // namespace loadline
