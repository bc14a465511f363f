// The bytes of a text file, plain or compressed (gzip, Zstandard), in bounded memory.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

namespace loadline {

class ByteSource {
 public:
  ByteSource() = default;
  ByteSource(const ByteSource&) = delete;
  ByteSource& operator=(const ByteSource&) = delete;
  virtual ~ByteSource() = default;
  // Appends the next bytes, at most about a MiB. False at the end. Throws Error(kBadInput) naming
  // the file when it cannot be read, is damaged or ends too early.
  virtual bool append_to(std::string& to) = 0;
  // SHA-256 of the file as it lies there, as ContentHash has it; to be asked at the end.
  [[nodiscard]] virtual std::string content_hash() const = 0;
};

// The size of a file. Throws Error(kBadInput) when it is not there or is not a regular file (a pipe
// gives its bytes only once), and what is_there throws.
std::uint64_t regular_size(const std::filesystem::path& path);

// What the file begins with says what it is, whatever its name. Throws Error(kBadInput) when it
// cannot be read, is not a regular file, or is of a kind that has no lines (Parquet, zip, UTF-16).
// A compressed file that grows beyond all likelihood (more than 1 GiB and 4,000 times its size) is
// refused when that is seen; Zstandard windows above 128 MiB are refused.
std::unique_ptr<ByteSource> open_byte_source(const std::filesystem::path& path);

}  // namespace loadline
