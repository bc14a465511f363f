// A file that is read and written at places of the caller's choosing: caches and logs that this
// program made itself.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>

#include "base/bytes.h"
#include "base/file.h"

namespace loadline {

class DataFile {
 public:
  enum class Content { kKept, kDropped };

  DataFile() = default;
  // Opens `path`, made if missing. Throws Error(kEnvironment) naming it when that is not possible.
  DataFile(std::filesystem::path path, Content content);

  // False when the file ends before `into` is full, or cannot be read.
  [[nodiscard]] bool read_at(std::uint64_t offset, std::span<std::byte> into) const;
  // Throws Error(kEnvironment) naming file and reason when the disk refuses.
  void write_at(std::uint64_t offset, std::span<const std::byte> from);
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
  FileDescriptor fd_;
};

// What the file system of `folder` still has room for, for this user.
Bytes free_disk(const std::filesystem::path& folder);
// What the file takes of it, holes not counted; 0 where there is none.
Bytes disk_use(const std::filesystem::path& file);

}  // namespace loadline
