#include "text/lines.h"

#include <algorithm>
#include <span>
#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "text/file_format.h"

namespace loadline {
namespace {

constexpr std::string_view kBom = "\xEF\xBB\xBF";
constexpr std::size_t kLongestShown = 4096;  // enough to tell the format of a file

bool is_blank(std::string_view line) {
  return line.find_first_not_of(" \t\r") == std::string_view::npos;
}

}  // namespace

void ContentHash::add(std::string_view piece) { hashes_ += sha256_hex(piece); }

std::string ContentHash::hex() const { return sha256_hex(hashes_); }

std::string ContentHash::of_file(const std::filesystem::path& path) {
  ContentHash hash;
  const std::uint64_t size = regular_size(path);
  std::string piece;
  for (std::uint64_t offset = 0; offset < size; offset += piece.size()) {
    piece.resize(std::min<std::uint64_t>(kPiece, size - offset));
    read_at(path, offset, std::as_writable_bytes(std::span(piece)));
    hash.add(piece);
  }
  return hash.hex();
}

LineReader::LineReader(std::filesystem::path path)
    : path_(std::move(path)), source_(open_byte_source(path_)) {}

bool LineReader::read_piece() {
  buffer_.erase(0, begin_);
  scanned_ -= begin_;
  begin_ = 0;
  return source_->append_to(buffer_);
}

bool LineReader::next_raw(std::string_view& line) {
  std::size_t end = buffer_.find('\n', scanned_);
  while (end == std::string::npos) {
    scanned_ = buffer_.size();
    if (scanned_ - begin_ > kLongestLine) {
      const std::string other = text_format_advice(
          std::string_view(buffer_).substr(begin_, kLongestShown), path_.string());
      if (number_ == 0 && !other.empty()) throw bad_input("{}", other);
      throw bad_input("{}:{}: a line of more than {} MiB. Is this JSONL, one object on each line?",
                      path_.string(), number_ + 1, kLongestLine >> 20);
    }
    if (!read_piece()) break;
    end = buffer_.find('\n', scanned_);
  }
  if (end == std::string::npos && begin_ == buffer_.size()) return false;
  const std::size_t stop = std::min(end, buffer_.size());
  line = std::string_view(buffer_).substr(begin_, stop - begin_);
  begin_ = scanned_ = std::min(stop + 1, buffer_.size());
  ++number_;
  return true;
}

bool LineReader::next(std::string_view& line) {
  while (next_raw(line)) {
    if (number_ == 1 && line.starts_with(kBom)) line.remove_prefix(kBom.size());
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (!is_blank(line)) return true;
  }
  return false;
}

}  // namespace loadline
