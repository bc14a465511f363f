#include "hub/blob.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <string_view>
#include <system_error>

#include "base/digest.h"
#include "base/error.h"
#include "base/file.h"
#include "base/file_lock.h"
#include "base/partial_file.h"

namespace loadline {
namespace fs = std::filesystem;
namespace {

constexpr int kMostRestarts = 3;
constexpr std::chrono::milliseconds kLockPause{100};

fs::path incomplete(const fs::path& blob) {
  fs::path path = blob;
  path += ".incomplete";
  return path;
}

std::uint64_t size_if_there(const fs::path& path) {
  std::error_code error;
  const std::uint64_t size = fs::file_size(path, error);
  return error ? 0 : size;
}

// What was damaged since it came, mostly by a full disk or a copy that was cut, has another size.
bool is_in_cache(const HubCache& cache, const HubModel& model, const std::string& commit,
                 const HubFile& file) {
  const fs::path content = cache.content(model, commit, file.name, file.etag);
  return is_there(content) && size_if_there(content) == file.size;
}

FileDescriptor wait_for_lock(const HubClient& client, const fs::path& path) {
  for (bool first = true;; first = false) {
    if (auto lock = lock_file(path)) return std::move(*lock);
    if (first) {
      client.note(fmt::format("{}: another process downloads this file; waiting for it",
                              path.filename().string()));
    }
    client.pause(kLockPause);
  }
}

// N of "bytes N-M/SIZE".
std::optional<std::uint64_t> range_begin(std::string_view text) {
  if (!text.starts_with("bytes ")) return std::nullopt;
  std::uint64_t begin = 0;
  const auto [end, error] = std::from_chars(text.data() + 6, text.data() + text.size(), begin);
  if (error != std::errc{} || end == text.data() + text.size() || *end != '-') return std::nullopt;
  return begin;
}

class BlobDownload {
 public:
  BlobDownload(HubClient& client, const HubModel& model, const std::string& commit,
               const HubFile& file, const fs::path& partial, PullCounters& counters)
      : client_(client),
        model_(model),
        commit_(commit),
        file_(file),
        counters_(counters),
        partial_(partial),
        digest_(new_digest()) {
    take_up();
  }

  void run(const fs::path& blob) {
    for (fill(); !is_whole(); fill()) {
      client_.note(fmt::format("{}: the content is not what the Hub says; from the beginning again",
                               file_.name));
      restart();
    }
    partial_.move_to(blob);
  }

 private:
  // What Git hashes is the content behind a header.
  [[nodiscard]] Digest new_digest() const {
    const bool git = file_.sha256.empty();
    Digest digest(git ? Digest::Kind::kSha1 : Digest::Kind::kSha256);
    if (git) digest.add(fmt::format("blob {}", file_.size) + '\0');
    return digest;
  }

  void take_up() {
    if (partial_.size() > file_.size) partial_.clear();
    partial_.read([&](std::span<const std::byte> piece) { digest_.add(piece); });
    counters_.done += partial_.size();
  }

  void restart() {
    if (++restarts_ > kMostRestarts) {
      throw bad_input("{}: {}: what came is not what the Hub says ({} bytes, {}), {} times",
                      model_.text(), file_.name, file_.size,
                      file_.sha256.empty() ? fmt::format("Git object {}", file_.git_object)
                                           : fmt::format("SHA-256 {}", file_.sha256),
                      restarts_);
    }
    counters_.done -= partial_.size();
    partial_.clear();
    digest_ = new_digest();
  }

  void fill() {
    while (partial_.size() < file_.size) {
      const auto from = [&] {
        at_begin_ = true;
        return partial_.size();
      };
      const HttpAnswer answer = client_.content(
          model_, commit_, file_.name, from,
          [&](const HttpAnswer& head, std::span<const std::byte> piece) { take(head, piece); });
      // Too short although the answer was whole, or nothing from here on: this is another file.
      if (partial_.size() < file_.size) restart();
    }
  }

  void take(const HttpAnswer& answer, std::span<const std::byte> piece) {
    if (at_begin_) begin(answer);
    at_begin_ = false;
    if (piece.size() > file_.size - partial_.size()) {
      throw bad_input("{}: {}: more came than the {} bytes that the Hub says it has", model_.text(),
                      file_.name, file_.size);
    }
    partial_.append(piece);
    digest_.add(piece);
    counters_.done += piece.size();
    counters_.received += piece.size();
  }

  void begin(const HttpAnswer& answer) {
    if (answer.status == 200 && partial_.size() > 0) {
      // Not every server knows ranges.
      counters_.done -= partial_.size();
      partial_.clear();
      digest_ = new_digest();
    }
    if (answer.status == 206 && range_begin(answer.header("content-range")) != partial_.size()) {
      throw bad_input("{}: {}: the bytes from {} on were asked for, but '{:.60}' came",
                      model_.text(), file_.name, partial_.size(), answer.header("content-range"));
    }
  }

  [[nodiscard]] bool is_whole() {
    const std::string hex = digest_.hex();
    if (!file_.sha256.empty()) return hex == file_.sha256;
    return file_.git_object.empty() || hex == file_.git_object;
  }

  HubClient& client_;
  const HubModel& model_;
  const std::string& commit_;
  const HubFile& file_;
  PullCounters& counters_;
  PartialFile partial_;
  Digest digest_;
  bool at_begin_ = false;
  int restarts_ = 0;
};

}  // namespace

std::uint64_t bytes_to_fetch(const HubCache& cache, const HubModel& model,
                             const std::string& commit, const HubFile& file) {
  if (is_in_cache(cache, model, commit, file)) return 0;
  const fs::path partial = incomplete(cache.blob(model, file.etag));
  return file.size - std::min(file.size, size_if_there(partial));
}

void fetch_blob(HubClient& client, const HubCache& cache, const HubModel& model,
                const std::string& commit, const HubFile& file, PullCounters& counters) {
  const fs::path blob = cache.blob(model, file.etag);
  if (!is_in_cache(cache, model, commit, file)) {
    const fs::path lock_path = cache.lock(model, file.etag);
    make_folder(blob.parent_path());
    make_folder(lock_path.parent_path());
    const FileDescriptor lock = wait_for_lock(client, lock_path);
    // It may have come while another process held the lock.
    if (!is_in_cache(cache, model, commit, file)) {
      BlobDownload(client, model, commit, file, incomplete(blob), counters).run(blob);
      ++counters.files_done;
      return;
    }
  }
  counters.done += file.size;
  ++counters.files_done;
}

}  // namespace loadline
