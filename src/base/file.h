// Files: read whole, replaced whole, appended durably, mapped. Only base opens and maps files.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "base/bytes.h"

namespace loadline {

// An open descriptor, closed at the end of its life. -1 is "none".
class FileDescriptor {
 public:
  FileDescriptor() = default;
  explicit FileDescriptor(int fd) : fd_(fd) {}
  FileDescriptor(FileDescriptor&& other) noexcept : fd_(other.release()) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept;
  ~FileDescriptor() { close(); }

  [[nodiscard]] int get() const { return fd_; }
  [[nodiscard]] bool is_open() const { return fd_ >= 0; }
  int release();
  void close();

 private:
  int fd_ = -1;
};

// What of a mode's bits the process's umask leaves: for what was made readable by nobody else.
unsigned as_umask_says(unsigned mode);

// Writes all of `piece`, where the file stands or at `offset`. Throws Error(kEnvironment) naming
// `path` when the disk refuses.
void write_fully(const FileDescriptor& fd, std::span<const std::byte> piece,
                 const std::filesystem::path& path);
void write_fully_at(const FileDescriptor& fd, std::uint64_t offset,
                    std::span<const std::byte> piece, const std::filesystem::path& path);

// Whether anything is there. Throws Error, as read_file does, for what cannot be looked at.
bool is_there(const std::filesystem::path& path);

// Absolute, without "." and a slash at its end: what stands beside it has its name and more.
std::filesystem::path normal_folder(const std::filesystem::path& folder);

// Whether the folder has nothing of this name: a link to nothing is something, and so is what
// cannot be looked at.
bool is_missing(const std::filesystem::path& path);

// The file's content. Throws Error(kBadInput) naming the file and the reason when it cannot be
// read, is not a regular file, is larger than `limit` or is a Git LFS pointer; Error(kEnvironment)
// where only the permission to read it is missing, as read_at() and MappedFile do.
std::string read_file(const std::filesystem::path& path, Bytes limit);

// What was made, renamed or removed in the folder is on the disk on return, where its file system
// can do that.
void sync_folder(const std::filesystem::path& folder);

// Writes `content` beside `path`, flushes it to the disk and renames it over `path`: a reader sees
// the old file or the new one, whole. Who may read it is as the umask says. Throws
// Error(kEnvironment) and leaves nothing behind on failure.
void replace_file(const std::filesystem::path& path, std::string_view content);

// The same for content that comes in pieces: write(), then commit(). Without commit() nothing is
// left.
class ReplacementFile {
 public:
  explicit ReplacementFile(std::filesystem::path path);
  ReplacementFile(const ReplacementFile&) = delete;
  ReplacementFile& operator=(const ReplacementFile&) = delete;
  ~ReplacementFile();

  void write(std::span<const std::byte> piece);
  void write(std::string_view piece) { write(std::as_bytes(std::span(piece))); }
  // Overwrites bytes that were already written (a header whose sums are known last).
  void write_at(std::uint64_t offset, std::span<const std::byte> piece);
  void commit();

 private:
  std::filesystem::path path_;
  std::filesystem::path temporary_;
  FileDescriptor fd_;
};

// Removes what a kill left of files of `folder` that were being replaced (NAME.loadline-XXXXXX),
// where nothing was written for `age`.
void remove_unfinished(const std::filesystem::path& folder, std::chrono::seconds age);

// A file that only grows, a line at a time.
class AppendFile {
 public:
  enum class Durability { kBuffered, kSynced };  // kSynced: each line is on the disk on return

  AppendFile() = default;
  AppendFile(std::filesystem::path path, Durability durability);
  // One write() call for line and newline, so that a crash tears at most the last line.
  void append_line(std::string_view line);

 private:
  std::filesystem::path path_;
  Durability durability_ = Durability::kBuffered;
  FileDescriptor fd_;
};

// A file's bytes, mapped read-only. An empty file maps to an empty span.
// Its pages count as RssFile of the process that touches them.
class MappedFile {
 public:
  MappedFile() = default;
  explicit MappedFile(const std::filesystem::path& path);
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  ~MappedFile();

  [[nodiscard]] std::span<const std::byte> bytes() const { return {data_, size_}; }
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

// The whole pages of `mapped`, which must be of a file and unchanged, leave the process and are
// read again when they are asked for.
void forget_pages(std::span<const std::byte> mapped);

// Reads exactly `into.size()` bytes at `offset` with pread (no mapping, nothing stays in the
// process). Throws Error(kBadInput) on a short file.
void read_at(const std::filesystem::path& path, std::uint64_t offset, std::span<std::byte> into);

// Makes the folder and its parents, each of which is on the disk on return; throws
// Error(kEnvironment) naming it when that is not possible.
void make_folder(const std::filesystem::path& path);

// Throws Error(kEnvironment) when no file can be created in `folder` (which is made if missing):
// called before hours of work whose result would be written there.
void require_writable_folder(const std::filesystem::path& folder);

// A folder under $TMPDIR (or /tmp) that is removed with all its content at the end of its life.
class TemporaryFolder {
 public:
  TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder();
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace loadline
