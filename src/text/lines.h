// The lines of a JSONL file, plain or compressed, one after the other, in bounded memory.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "text/byte_source.h"

namespace loadline {

// SHA-256 of a file's content in a form that can be computed while it is read: the hash of the
// hashes of its pieces of 1 MiB.
class ContentHash {
 public:
  static constexpr std::size_t kPiece = 1 << 20;
  // Each piece but the last has kPiece bytes.
  void add(std::string_view piece);
  [[nodiscard]] std::string hex() const;
  // Of a whole file, read piece by piece.
  static std::string of_file(const std::filesystem::path& path);

 private:
  std::string hashes_;
};

class LineReader {
 public:
  static constexpr std::size_t kLongestLine = std::size_t{64} << 20;

  // Throws Error(kBadInput) when the file cannot be read; what open_byte_source and its source
  // throw comes out of next() too.
  explicit LineReader(std::filesystem::path path);
  // The next line that is not blank, without its end (LF or CRLF) and without a BOM at the file's
  // beginning; valid until the next call. False at the end. Throws Error(kBadInput) "FILE:LINE:
  // ..." for a line above kLongestLine.
  bool next(std::string_view& line);
  // Of the line that next() gave last, counted from 1, blank lines included.
  [[nodiscard]] std::int64_t number() const { return number_; }
  // Of the whole file as it lies there; to be asked when next() has returned false.
  [[nodiscard]] std::string content_hash() const { return source_->content_hash(); }

 private:
  bool next_raw(std::string_view& line);
  bool read_piece();

  std::filesystem::path path_;
  std::unique_ptr<ByteSource> source_;
  std::string buffer_;
  std::size_t begin_ = 0;    // of the next line in buffer_
  std::size_t scanned_ = 0;  // no newline between begin_ and here
  std::int64_t number_ = 0;
};

}  // namespace loadline
