#include "base/data_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "base/error.h"

namespace loadline {

DataFile::DataFile(std::filesystem::path path, Content content) : path_(std::move(path)) {
  const int drop = content == Content::kDropped ? O_TRUNC : 0;
  fd_ = FileDescriptor(::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | drop, 0644));
  if (!fd_.is_open()) {
    throw environment_error("{}: cannot be opened: {}", path_.string(), system_reason());
  }
}

bool DataFile::read_at(std::uint64_t offset, std::span<std::byte> into) const {
  while (!into.empty()) {
    const ssize_t n = ::pread(fd_.get(), into.data(), into.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    into = into.subspan(static_cast<std::size_t>(n));
    offset += static_cast<std::uint64_t>(n);
  }
  return true;
}

void DataFile::write_at(std::uint64_t offset, std::span<const std::byte> from) {
  write_fully_at(fd_, offset, from, path_);
}

Bytes free_disk(const std::filesystem::path& folder) {
  std::error_code error;
  const std::filesystem::space_info space = std::filesystem::space(folder, error);
  if (error) {
    throw environment_error("{}: its free space cannot be read: {}", folder.string(),
                            error.message());
  }
  return Bytes{space.available};
}

Bytes disk_use(const std::filesystem::path& file) {
  constexpr std::uint64_t kBlock = 512;  // of st_blocks, whatever the file system's own
  struct stat facts {};
  if (::stat(file.c_str(), &facts) != 0) return {};
  return Bytes{static_cast<std::uint64_t>(facts.st_blocks) * kBlock};
}

}  // namespace loadline
