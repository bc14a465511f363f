#include "text/byte_source.h"

#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <array>
#include <new>
#include <span>
#include <string_view>
#include <system_error>
#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "base/lfs_pointer.h"
#include "text/file_format.h"
#include "text/lines.h"

namespace loadline {
namespace fs = std::filesystem;
namespace {

constexpr std::size_t kPiece = ContentHash::kPiece;
constexpr std::uint64_t kAlwaysAllowed = std::uint64_t{1} << 30;
constexpr std::uint64_t kMostTimes = 4000;
constexpr int kLargestWindow = 27;  // its binary logarithm; what the zstd program takes by default

class PlainSource final : public ByteSource {
 public:
  explicit PlainSource(fs::path path) : path_(std::move(path)), size_(regular_size(path_)) {}

  bool append_to(std::string& to) override {
    if (read_ == size_) return false;
    const auto bytes = std::min<std::uint64_t>(kPiece, size_ - read_);
    const std::size_t before = to.size();
    to.resize(before + bytes);
    read_at(path_, read_, std::as_writable_bytes(std::span(to).subspan(before)));
    hash_.add(std::string_view(to).substr(before));
    read_ += bytes;
    return true;
  }
  [[nodiscard]] std::string content_hash() const override { return hash_.hex(); }
  [[nodiscard]] const fs::path& path() const { return path_; }
  [[nodiscard]] std::uint64_t size() const { return size_; }

 private:
  fs::path path_;
  std::uint64_t size_;
  std::uint64_t read_ = 0;
  ContentHash hash_;
};

// What both kinds of compression share: the compressed bytes, and how much came of them.
class CompressedSource : public ByteSource {
 public:
  explicit CompressedSource(const fs::path& path) : file_(path) {}
  [[nodiscard]] std::string content_hash() const override { return file_.content_hash(); }

  bool append_to(std::string& to) override {
    const std::size_t before = to.size();
    to.resize(before + kPiece);
    std::size_t produced = 0;
    for (bool more = true; produced == 0 && more;) {
      more = at_ < input_.size() || refill();
      // Without input too: it may hold back what did not fit the last time.
      if (more || !at_frame_end()) produced = decompress(std::span(to).subspan(before));
    }
    to.resize(before + produced);
    produced_ += produced;
    require_likely();
    if (produced == 0 && !at_frame_end()) throw damaged("ends in the middle. Is it complete?");
    return produced > 0;
  }

 protected:
  // Takes some of rest(), by took(), and gives some bytes; 0 when it needs more input.
  virtual std::size_t decompress(std::span<char> to) = 0;
  [[nodiscard]] virtual bool at_frame_end() const = 0;

  [[nodiscard]] std::span<const char> rest() const { return std::span(input_).subspan(at_); }
  void took(std::size_t bytes) { at_ += bytes; }
  [[nodiscard]] Error damaged(const std::string& how) const {
    return bad_input("{}: the compressed data {}", file_.path().string(), how);
  }

 private:
  bool refill() {
    input_.clear();
    at_ = 0;
    return file_.append_to(input_);
  }
  void require_likely() const {
    if (produced_ <= kAlwaysAllowed || produced_ / kMostTimes <= file_.size()) return;
    throw bad_input(
        "{}: has {} and grew to more than {}. If these really are rows, decompress the file and "
        "give what comes out",
        file_.path().string(), to_string(Bytes{file_.size()}), to_string(Bytes{produced_}));
  }

  PlainSource file_;
  std::string input_;
  std::size_t at_ = 0;
  std::uint64_t produced_ = 0;
};

// RFC 1952; several members, one behind the other, are one text. Zeros behind the last one, with
// which tapes fill their blocks, are passed over as gzip(1) does.
class GzipSource final : public CompressedSource {
 public:
  explicit GzipSource(const fs::path& path) : CompressedSource(path) {
    constexpr int kGzipOnly = 15 + 16;
    if (inflateInit2(&stream_, kGzipOnly) != Z_OK) throw std::bad_alloc();
  }
  ~GzipSource() override { inflateEnd(&stream_); }

 private:
  std::size_t decompress(std::span<char> to) override {
    if (ended_ && !next_member()) return 0;
    const std::span<const char> input = rest();
    // zlib reads only, but its type does not say so.
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(input.data()));
    stream_.avail_in = static_cast<uInt>(input.size());
    stream_.next_out = reinterpret_cast<Bytef*>(to.data());
    stream_.avail_out = static_cast<uInt>(to.size());
    const int answer = inflate(&stream_, Z_NO_FLUSH);
    took(input.size() - stream_.avail_in);
    ended_ = answer == Z_STREAM_END;
    if (answer != Z_OK && answer != Z_STREAM_END && answer != Z_BUF_ERROR) {
      throw damaged(fmt::format("cannot be decompressed ({})",
                                stream_.msg == nullptr ? "it is damaged" : stream_.msg));
    }
    return to.size() - stream_.avail_out;
  }

  // False when there are only zeros so far.
  bool next_member() {
    const std::span<const char> input = rest();
    const auto zeros = std::find_if(input.begin(), input.end(), [](char c) { return c != 0; });
    padded_ = padded_ || zeros != input.begin();
    took(static_cast<std::size_t>(zeros - input.begin()));
    if (rest().empty()) return false;
    if (padded_) throw damaged("goes on behind the zeros that fill it up");
    inflateReset(&stream_);
    ended_ = false;
    return true;
  }
  [[nodiscard]] bool at_frame_end() const override { return ended_; }

  z_stream stream_{};
  bool ended_ = false;
  bool padded_ = false;
};

// RFC 8878; several frames, one behind the other, are one text.
class ZstdSource final : public CompressedSource {
 public:
  explicit ZstdSource(const fs::path& path)
      : CompressedSource(path), stream_(ZSTD_createDStream()) {
    if (stream_ == nullptr) throw std::bad_alloc();
    ZSTD_DCtx_setParameter(stream_, ZSTD_d_windowLogMax, kLargestWindow);
  }
  ~ZstdSource() override { ZSTD_freeDStream(stream_); }

 private:
  std::size_t decompress(std::span<char> to) override {
    const std::span<const char> input = rest();
    ZSTD_inBuffer in{input.data(), input.size(), 0};
    ZSTD_outBuffer out{to.data(), to.size(), 0};
    const std::size_t answer = ZSTD_decompressStream(stream_, &out, &in);
    if (ZSTD_isError(answer) != 0) {
      throw damaged(fmt::format("cannot be decompressed ({})", ZSTD_getErrorName(answer)));
    }
    took(in.pos);
    ended_ = answer == 0;
    return out.pos;
  }
  [[nodiscard]] bool at_frame_end() const override { return ended_; }

  ZSTD_DStream* stream_;
  bool ended_ = false;
};

std::string head_of(const fs::path& path, std::uint64_t size) {
  constexpr std::uint64_t kTelling = 64;
  std::string head(std::min(kTelling, size), '\0');
  read_at(path, 0, std::as_writable_bytes(std::span(head)));
  return head;
}

// A frame, or one to be skipped, with which pzstd begins.
bool is_zstd(std::string_view head) {
  const bool skippable =
      head.size() >= 4 && (head[0] & 0xf0) == 0x50 && head.substr(1, 3) == "\x2a\x4d\x18";
  return skippable || head.starts_with("\x28\xb5\x2f\xfd");
}

}  // namespace

std::uint64_t regular_size(const fs::path& path) {
  if (!is_there(path)) throw bad_input("{}: there is no such file", path.string());
  std::error_code error;
  if (!fs::is_regular_file(path, error)) {
    throw bad_input(
        "{}: is not a regular file, and rows are read more than once. Put them into one",
        path.string());
  }
  const std::uint64_t size = fs::file_size(path, error);
  if (error) throw bad_input("{}: {}", path.string(), error.message());
  return size;
}

std::unique_ptr<ByteSource> open_byte_source(const fs::path& path) {
  const std::string head = head_of(path, regular_size(path));
  if (head.starts_with("\x1f\x8b")) return std::make_unique<GzipSource>(path);
  if (is_zstd(head)) return std::make_unique<ZstdSource>(path);
  refuse_lfs_pointer(head, path);
  if (const std::string other = binary_format_advice(head, path.string()); !other.empty()) {
    throw bad_input("{}", other);
  }
  return std::make_unique<PlainSource>(path);
}

}  // namespace loadline
