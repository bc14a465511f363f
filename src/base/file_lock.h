// A file that one process at a time may hold, and room behind its end.
#pragma once

#include <filesystem>
#include <optional>

#include "base/bytes.h"
#include "base/file.h"

namespace loadline {

// Opens (or makes) the file and locks it as long as the descriptor lives, kill -9 included.
// Nothing when another process holds it. Throws Error(kEnvironment) naming the file and the reason
// when it cannot be opened or the file system has no locks.
std::optional<FileDescriptor> lock_file(const std::filesystem::path& path);

// Keeps room on the disk for `more` bytes behind the file's end, which stays where it is. Throws
// Error(kEnvironment) naming the file when there is none; a file system that cannot promise room is
// left alone.
void reserve_room(const FileDescriptor& file, Bytes more, const std::filesystem::path& path);

}  // namespace loadline
