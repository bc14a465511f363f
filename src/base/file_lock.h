// A file that one process at a time may hold.
#pragma once

#include <filesystem>
#include <optional>

#include "base/file.h"

namespace loadline {

// Opens (or makes) the file and locks it as long as the descriptor lives, kill -9 included.
// Nothing when another process holds it. Throws Error(kEnvironment) naming the file and the reason
// when it cannot be opened or the file system has no locks.
std::optional<FileDescriptor> lock_file(const std::filesystem::path& path);

}  // namespace loadline
