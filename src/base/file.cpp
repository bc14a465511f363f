#include "base/file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

#include "base/address_space.h"
#include "base/error.h"
#include "base/lfs_pointer.h"

namespace loadline {
namespace fs = std::filesystem;
namespace {

constexpr const char* kUnfinished = ".loadline-";  // then six characters

FileDescriptor open_for_reading(const fs::path& path) {
  // O_NONBLOCK, as opening a pipe would wait for its writer; regular files do not know it.
  FileDescriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (fd.is_open()) return fd;
  // The file may be as good as any other: who runs this may not read it.
  if (errno == EACCES || errno == EPERM) {
    throw environment_error("{}: cannot be opened: {}", path.string(), system_reason());
  }
  throw bad_input("{}: cannot be opened: {}", path.string(), system_reason());
}

std::uint64_t regular_size(const FileDescriptor& fd, const fs::path& path) {
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0) throw bad_input("{}: {}", path.string(), system_reason());
  if (!S_ISREG(status.st_mode)) throw bad_input("{}: is not a regular file", path.string());
  return static_cast<std::uint64_t>(status.st_size);
}

// Returns how many bytes were read: fewer than asked for only at the end of the file.
std::size_t read_fully(const FileDescriptor& fd, std::span<std::byte> into, std::uint64_t offset,
                       const fs::path& path) {
  // The kernel counts what a process has read as each call returns: so a watcher sees a slow disk.
  constexpr std::size_t kMostAtOnce = std::size_t{16} << 20;
  std::size_t done = 0;
  while (done < into.size()) {
    const ssize_t n =
        ::pread(fd.get(), into.data() + done, std::min(into.size() - done, kMostAtOnce),
                static_cast<off_t>(offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw bad_input("{}: cannot be read: {}", path.string(), system_reason());
    if (n == 0) break;
    done += static_cast<std::size_t>(n);
  }
  return done;
}

// What the kernel tells without a moment of another umask, in which another thread could make a
// file. Nothing where /proc is not there.
std::optional<unsigned> told_umask() {
  const FileDescriptor fd(::open("/proc/self/status", O_RDONLY | O_CLOEXEC));
  std::array<char, 4096> text{};
  const ssize_t size = fd.is_open() ? ::read(fd.get(), text.data(), text.size()) : 0;
  const std::string_view status(text.data(), static_cast<std::size_t>(std::max<ssize_t>(size, 0)));
  constexpr std::string_view kField = "\nUmask:\t";
  const std::size_t at = status.find(kField);
  if (at == std::string_view::npos) return std::nullopt;
  unsigned umask = 0;
  const char* const digits = status.data() + at + kField.size();
  const auto [end, error] = std::from_chars(digits, status.data() + status.size(), umask, 8);
  return error == std::errc{} ? std::optional(umask) : std::nullopt;
}

}  // namespace

void write_fully(const FileDescriptor& fd, std::span<const std::byte> piece, const fs::path& path) {
  while (!piece.empty()) {
    const ssize_t n = ::write(fd.get(), piece.data(), piece.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw environment_error("{}: cannot be written: {}", path.string(), system_reason());
    piece = piece.subspan(static_cast<std::size_t>(n));
  }
}

void write_fully_at(const FileDescriptor& fd, std::uint64_t offset,
                    std::span<const std::byte> piece, const fs::path& path) {
  while (!piece.empty()) {
    const ssize_t n = ::pwrite(fd.get(), piece.data(), piece.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw environment_error("{}: cannot be written: {}", path.string(), system_reason());
    piece = piece.subspan(static_cast<std::size_t>(n));
    offset += static_cast<std::uint64_t>(n);
  }
}

void sync_folder(const fs::path& folder) {
  const FileDescriptor fd(
      ::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  // Some file systems cannot sync a folder; the rename itself is done either way.
  if (fd.is_open()) ::fsync(fd.get());
}

unsigned as_umask_says(unsigned mode) {
  if (const auto forbidden = told_umask()) return mode & ~*forbidden;
  const mode_t forbidden = ::umask(0);
  ::umask(forbidden);
  return mode & ~forbidden;
}

fs::path normal_folder(const fs::path& folder) {
  const fs::path normal = fs::absolute(folder).lexically_normal();
  return normal.has_filename() ? normal : normal.parent_path();
}

bool is_there(const fs::path& path) {
  std::error_code error;
  const bool there = fs::exists(path, error);
  if (error == std::errc::permission_denied) {
    throw environment_error("{}: cannot be looked at: {}", path.string(), error.message());
  }
  if (error) throw bad_input("{}: cannot be looked at: {}", path.string(), error.message());
  return there;
}

bool is_missing(const fs::path& path) {
  std::error_code ignored;
  return fs::symlink_status(path, ignored).type() == fs::file_type::not_found;
}

FileDescriptor& FileDescriptor::operator=(FileDescriptor&& other) noexcept {
  if (this != &other) {
    close();
    fd_ = other.release();
  }
  return *this;
}

int FileDescriptor::release() { return std::exchange(fd_, -1); }

void FileDescriptor::close() {
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

std::string read_file(const fs::path& path, Bytes limit) {
  const FileDescriptor fd = open_for_reading(path);
  const std::uint64_t size = regular_size(fd, path);
  if (size > limit.count) {
    throw bad_input("{}: has {}, more than the {} that such a file may have", path.string(),
                    to_string(Bytes{size}), to_string(limit));
  }
  std::string content(size, '\0');
  content.resize(read_fully(fd, std::as_writable_bytes(std::span(content)), 0, path));
  refuse_lfs_pointer(content, path);
  return content;
}

void replace_file(const fs::path& path, std::string_view content) {
  ReplacementFile file(path);
  file.write(content);
  file.commit();
}

ReplacementFile::ReplacementFile(fs::path path) : path_(std::move(path)) {
  temporary_ = path_;
  temporary_ += kUnfinished;
  temporary_ += "XXXXXX";
  std::string name = temporary_.string();
  fd_ = FileDescriptor(::mkostemp(name.data(), O_CLOEXEC));
  if (!fd_.is_open())
    throw environment_error("{}: cannot be created: {}", path_.string(), system_reason());
  temporary_ = name;
  ::fchmod(fd_.get(), as_umask_says(0666));  // mkostemp() lets nobody else read
}

void remove_unfinished(const fs::path& folder, std::chrono::seconds age) {
  const auto youngest = fs::file_time_type::clock::now() - age;
  std::vector<fs::path> left;
  std::error_code ignored;
  for (fs::directory_iterator it(folder, ignored), end; !ignored && it != end;
       it.increment(ignored)) {
    const std::string extension = it->path().extension().string();
    std::error_code unknown;
    const bool is_one = extension.starts_with(kUnfinished) && it->is_regular_file(unknown);
    if (is_one && it->last_write_time(unknown) <= youngest && !unknown) left.push_back(it->path());
  }
  for (const fs::path& file : left) fs::remove(file, ignored);
}

ReplacementFile::~ReplacementFile() {
  if (fd_.is_open()) ::unlink(temporary_.c_str());
}

void ReplacementFile::write(std::span<const std::byte> piece) { write_fully(fd_, piece, path_); }

void ReplacementFile::write_at(std::uint64_t offset, std::span<const std::byte> piece) {
  write_fully_at(fd_, offset, piece, path_);
}

void ReplacementFile::commit() {
  if (::fsync(fd_.get()) != 0 || ::rename(temporary_.c_str(), path_.c_str()) != 0) {
    throw environment_error("{}: cannot be written: {}", path_.string(), system_reason());
  }
  fd_.close();
  sync_folder(path_.parent_path());
}

AppendFile::AppendFile(fs::path path, Durability durability)
    : path_(std::move(path)), durability_(durability) {
  fd_ = FileDescriptor(::open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
  if (!fd_.is_open())
    throw environment_error("{}: cannot be opened: {}", path_.string(), system_reason());
  // A power cut must not take the file's name away from lines that were flushed.
  if (durability_ == Durability::kSynced) sync_folder(path_.parent_path());
}

void AppendFile::append_line(std::string_view line) {
  std::string whole(line);
  whole += '\n';
  const off_t before = ::lseek(fd_.get(), 0, SEEK_END);
  try {
    write_fully(fd_, std::as_bytes(std::span(whole)), path_);
  } catch (const Error&) {
    // Half a line on a full disk would spoil the next one.
    if (before >= 0) (void)!::ftruncate(fd_.get(), before);
    throw;
  }
  if (durability_ == Durability::kSynced && ::fdatasync(fd_.get()) != 0) {
    throw environment_error("{}: cannot be flushed: {}", path_.string(), system_reason());
  }
}

MappedFile::MappedFile(const fs::path& path) : path_(path) {
  const FileDescriptor fd = open_for_reading(path);
  size_ = regular_size(fd, path);
  if (size_ == 0) return;
  void* address = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, fd.get(), 0);
  if (address == MAP_FAILED)
    throw environment_error("{}: cannot be mapped: {}{}", path.string(), system_reason(),
                            words_of_address_limit());
  data_ = static_cast<const std::byte*>(address);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : path_(std::move(other.path_)),
      data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

MappedFile::~MappedFile() {
  // munmap takes a non-const pointer although the mapping is read-only.
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
}

void forget_pages(std::span<const std::byte> mapped) {
  const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto address = reinterpret_cast<std::uintptr_t>(mapped.data());
  const std::uintptr_t begin = (address + page - 1) / page * page;
  const std::uintptr_t end = (address + mapped.size()) / page * page;
  if (begin < end) (void)::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
}

void read_at(const fs::path& path, std::uint64_t offset, std::span<std::byte> into) {
  const FileDescriptor fd = open_for_reading(path);
  const std::size_t done = read_fully(fd, into, offset, path);
  if (done < into.size()) {
    throw bad_input("{}: ends at byte {}, but {} bytes were expected from byte {}", path.string(),
                    offset + done, into.size(), offset);
  }
}

void make_folder(const fs::path& path) {
  std::error_code error;
  std::vector<fs::path> made;
  for (fs::path level = path; !level.empty() && !fs::exists(level, error);
       level = level.parent_path()) {
    made.push_back(level);
  }
  fs::create_directories(path, error);
  if (error)
    throw environment_error("{}: the folder cannot be made: {}", path.string(), error.message());
  // What is flushed inside would else lose its way from the root in a power cut.
  for (const fs::path& level : made) sync_folder(level.parent_path());
}

void require_writable_folder(const fs::path& folder) {
  make_folder(folder);
  std::string probe = (folder / "probe").string() + kUnfinished + "XXXXXX";
  const FileDescriptor fd(::mkostemp(probe.data(), O_CLOEXEC));
  if (!fd.is_open()) {
    throw environment_error("{}: no file can be written there: {}", folder.string(),
                            system_reason());
  }
  ::unlink(probe.c_str());
}

TemporaryFolder::TemporaryFolder() {
  const char* base = std::getenv("TMPDIR");
  std::string name =
      std::string(base != nullptr && *base != '\0' ? base : "/tmp") + "/loadline-XXXXXX";
  if (::mkdtemp(name.data()) == nullptr) {
    throw environment_error("{}: the folder cannot be made: {}", name, system_reason());
  }
  path_ = name;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

}  // namespace loadline
