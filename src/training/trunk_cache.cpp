#include "training/trunk_cache.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <stdexcept>

#include "base/error.h"
#include "base/hash.h"

namespace loadline {
namespace fs = std::filesystem;
namespace {

constexpr std::size_t kIdentity = 64;
constexpr double kMostOfFree = 0.9;

std::uint64_t header_bytes(std::size_t rows) { return kIdentity + rows * sizeof(std::uint64_t); }

// Never 0, which means "not there".
std::uint64_t sum_of(std::span<const std::byte> bytes) {
  return std::max<std::uint64_t>(1, checksum64(bytes));
}

std::vector<std::int64_t> lengths_of(const TrainingSettings& settings, const PackedRows& train,
                                     const PackedRows* valid) {
  std::vector<std::int64_t> lengths;
  const auto append = [&](const PackedRows& rows) {
    rows.for_each_length([&](std::int64_t /*row*/, std::int64_t length) {
      lengths.push_back(std::min(length, settings.max_seq_length));
    });
  };
  append(train);
  if (valid != nullptr) append(*valid);
  return lengths;
}

std::uint64_t token_bytes(const TrainingSettings& settings, const ModelConfig& model) {
  return static_cast<std::uint64_t>(model.hidden_size) * size_of(settings.compute);
}

}  // namespace

Bytes trunk_cache_bytes(const TrainingSettings& settings, const ModelConfig& model,
                        const PackedRows& train, const PackedRows* valid) {
  const std::vector<std::int64_t> lengths = lengths_of(settings, train, valid);
  const auto tokens =
      static_cast<std::uint64_t>(std::accumulate(lengths.begin(), lengths.end(), std::int64_t{0}));
  return Bytes{header_bytes(lengths.size()) + tokens * token_bytes(settings, model)};
}

void require_room(Bytes needed, Bytes limit, Bytes free) {
  if (needed > limit) {
    throw usage_error("--trunk-cache on: needs {} on the disk, but --trunk-cache-limit is {}",
                      to_string(needed), to_string(limit));
  }
  if (needed > free.scaled(kMostOfFree)) {
    throw usage_error(
        "--trunk-cache on: needs {} on the disk, but only {} is free where --adapter-path is. "
        "Leave it out, or give another --adapter-path",
        to_string(needed), to_string(free));
  }
}

fs::path TrunkCache::path_in(const fs::path& folder) { return folder / "trunk_cache.bin"; }

TrunkCache::TrunkCache(const fs::path& path, const std::string& identity,
                       const std::vector<std::int64_t>& lengths, std::uint64_t bytes_per_token)
    : file_(path, DataFile::Content::kKept), bytes_per_token_(bytes_per_token) {
  std::uint64_t end = header_bytes(lengths.size());
  for (const std::int64_t length : lengths) {
    offsets_.push_back(end);
    end += static_cast<std::uint64_t>(length) * bytes_per_token_;
  }
  offsets_.push_back(end);
  sums_.resize(lengths.size());
  std::string found(kIdentity, '\0');
  const bool ours = file_.read_at(0, std::as_writable_bytes(std::span(found))) &&
                    found == identity &&
                    file_.read_at(kIdentity, std::as_writable_bytes(std::span(sums_)));
  if (!ours) begin_anew(identity);
}

// Sums first: a file with this identity has all of them.
void TrunkCache::begin_anew(const std::string& identity) {
  if (identity.size() != kIdentity) throw std::logic_error("a trunk cache's identity has 64 bytes");
  file_ = DataFile(file_.path(), DataFile::Content::kDropped);
  std::fill(sums_.begin(), sums_.end(), 0);
  file_.write_at(kIdentity, std::as_bytes(std::span(sums_)));
  file_.write_at(0, std::as_bytes(std::span(identity)));
}

template <typename Bytes_, typename Each>
bool TrunkCache::for_rows(const Batch& batch, Bytes_ tokens, Each each) const {
  for (std::size_t r = 0; r < batch.row_keys.size(); ++r) {
    const auto key = static_cast<std::size_t>(batch.row_keys[r]);
    const auto begin = static_cast<std::uint64_t>(batch.row_starts[r]) * bytes_per_token_;
    const auto end = static_cast<std::uint64_t>(batch.row_starts[r + 1]) * bytes_per_token_;
    if (key >= sums_.size() || end - begin != offsets_[key + 1] - offsets_[key]) {
      throw std::logic_error(fmt::format("row {} of the trunk cache has another length", key));
    }
    if (!each(key, tokens.subspan(begin, end - begin))) return false;
  }
  return true;
}

bool TrunkCache::load(const Batch& batch, std::span<std::byte> tokens) {
  if (!given_up_.empty()) {
    ++computed_;
    return false;
  }
  const auto known = [&](std::size_t key, std::span<std::byte> /*row*/) { return sums_[key] != 0; };
  const auto read = [&](std::size_t key, std::span<std::byte> row) {
    return file_.read_at(offsets_[key], row) && sum_of(row) == sums_[key];
  };
  const bool all = for_rows(batch, tokens, known) && for_rows(batch, tokens, read);
  ++(all ? read_ : computed_);
  return all;
}

// A run does not end for want of a convenience. The disk may be needed for its checkpoint.
void TrunkCache::store(const Batch& batch, std::span<const std::byte> tokens) {
  if (!given_up_.empty()) return;
  try {
    write_rows(batch, tokens);
  } catch (const Error& error) {
    given_up_ = error.what();
    std::error_code ignored;
    fs::resize_file(file_.path(), 0, ignored);
  }
}

// Known rows are written again: load() may have found them torn.
void TrunkCache::write_rows(const Batch& batch, std::span<const std::byte> tokens) {
  for_rows(batch, tokens, [&](std::size_t key, std::span<const std::byte> row) {
    file_.write_at(offsets_[key], row);
    sums_[key] = sum_of(row);
    file_.write_at(kIdentity + key * sizeof(std::uint64_t),
                   std::as_bytes(std::span(sums_).subspan(key, 1)));
    return true;
  });
}

void TrunkCache::remove_in(const fs::path& folder) {
  std::error_code ignored;
  fs::remove(path_in(folder), ignored);
}

TrunkCache open_trunk_cache(const fs::path& folder, const TrainingSettings& settings,
                            const ModelConfig& model, const std::string& weights,
                            const PackedRows& train, const PackedRows* valid) {
  const std::string all =
      fmt::format("2|{}|{}|{}|{}|{}|{}|{}|{}", weights, train.fingerprint(),
                  valid == nullptr ? "" : valid->fingerprint(), settings.max_seq_length,
                  model.layers - settings.lora.layers, name_of(settings.compute),
                  name_of(settings.quantize), settings.threads);
  return {TrunkCache::path_in(folder), sha256_hex(all), lengths_of(settings, train, valid),
          token_bytes(settings, model)};
}

}  // namespace loadline
