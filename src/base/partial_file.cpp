#include "base/partial_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>
#include <vector>

#include "base/error.h"

namespace loadline {
namespace {

constexpr std::size_t kPiece = std::size_t{1} << 20;

}  // namespace

PartialFile::PartialFile(std::filesystem::path path) : path_(std::move(path)) {
  fd_ = FileDescriptor(
      ::open(path_.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK, 0644));
  struct stat status {};
  if (!fd_.is_open() || ::fstat(fd_.get(), &status) != 0) {
    throw environment_error("{}: cannot be opened: {}", path_.string(), system_reason());
  }
  if (!S_ISREG(status.st_mode)) {
    throw environment_error("{}: is not a regular file. Remove it.", path_.string());
  }
  size_ = static_cast<std::uint64_t>(status.st_size);
}

void PartialFile::append(std::span<const std::byte> piece) {
  write_fully(fd_, piece, path_);
  size_ += piece.size();
}

void PartialFile::read(const std::function<void(std::span<const std::byte>)>& take) const {
  std::vector<std::byte> buffer(kPiece);
  for (std::uint64_t offset = 0; offset < size_;) {
    const std::size_t wanted = std::min<std::uint64_t>(kPiece, size_ - offset);
    const ssize_t n = ::pread(fd_.get(), buffer.data(), wanted, static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      throw environment_error("{}: cannot be read: {}", path_.string(),
                              n == 0 ? "another program made it shorter" : system_reason());
    }
    take(std::span(buffer).first(static_cast<std::size_t>(n)));
    offset += static_cast<std::uint64_t>(n);
  }
}

void PartialFile::clear() {
  if (::ftruncate(fd_.get(), 0) != 0) {
    throw environment_error("{}: cannot be emptied: {}", path_.string(), system_reason());
  }
  size_ = 0;
}

void PartialFile::move_to(const std::filesystem::path& place) {
  if (::fsync(fd_.get()) != 0 || ::rename(path_.c_str(), place.c_str()) != 0) {
    throw environment_error("{}: cannot be written: {}", place.string(), system_reason());
  }
  fd_.close();
}

}  // namespace loadline
