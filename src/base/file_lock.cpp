#include "base/file_lock.h"

#include <fcntl.h>
#include <sys/file.h>

#include <cerrno>
#include <system_error>

#include "base/error.h"

namespace loadline {

std::optional<FileDescriptor> lock_file(const std::filesystem::path& path) {
  const auto reason = [] { return std::generic_category().message(errno); };
  FileDescriptor fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  if (!fd.is_open()) throw environment_error("{}: cannot be opened: {}", path.string(), reason());
  while (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EINTR) continue;
    if (errno == EWOULDBLOCK) return std::nullopt;
    throw environment_error("{}: cannot be locked: {}", path.string(), reason());
  }
  return fd;
}

}  // namespace loadline
