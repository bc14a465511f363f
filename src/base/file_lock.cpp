#include "base/file_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>

#include "base/error.h"

namespace loadline {

std::optional<FileDescriptor> lock_file(const std::filesystem::path& path) {
  FileDescriptor fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  if (!fd.is_open())
    throw environment_error("{}: cannot be opened: {}", path.string(), system_reason());
  while (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EINTR) continue;
    if (errno == EWOULDBLOCK) return std::nullopt;
    throw environment_error("{}: cannot be locked: {}", path.string(), system_reason());
  }
  return fd;
}

void reserve_room(const FileDescriptor& file, Bytes more, const std::filesystem::path& path) {
  const off_t end = ::lseek(file.get(), 0, SEEK_END);
  if (end < 0) return;
  const auto bytes = static_cast<off_t>(more.count);
  if (::fallocate(file.get(), FALLOC_FL_KEEP_SIZE, end, bytes) == 0) return;
  if (errno != ENOSPC && errno != EDQUOT && errno != EFBIG) return;
  throw environment_error("{}: {} more cannot be written there: {}", path.string(), to_string(more),
                          system_reason());
}

}  // namespace loadline
