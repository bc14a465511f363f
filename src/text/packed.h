// The packed token file: a data set tokenized once, read by every trial and by training.
// docs/packed-tokens.md.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "base/file.h"
#include "text/rows.h"

namespace loadline {

struct PackedRow {
  std::span<const std::int32_t> ids;
  std::span<const std::uint8_t> in_loss;  // 0 or 1 for each id
  bool has_provenance = false;
  Provenance provenance;
};

// A packed file, mapped and checked. Rows keep the order of the data; each has at least 2 ids.
class PackedRows {
 public:
  // Throws Error(kBadInput) when the file is damaged.
  explicit PackedRows(const std::filesystem::path& path);
  [[nodiscard]] std::int64_t size() const;
  [[nodiscard]] PackedRow row(std::int64_t index) const;
  [[nodiscard]] std::int64_t length(std::int64_t index) const;
  // SHA-256 of what was packed: the data's bytes, the tokenizer, the options.
  [[nodiscard]] const std::string& fingerprint() const;

 private:
  MappedFile file_;
  std::string fingerprint_;
  std::int64_t rows_ = 0;
};

struct PackReport {
  std::int64_t rows = 0;
  std::int64_t tokens = 0;
  std::int64_t longest = 0;
  std::int64_t with_provenance = 0;
  std::int64_t too_short = 0;  // rows of fewer than 2 tokens: nothing to predict, left out
};

// Tokenizes `jsonl` into `packed`, bounded in memory by one row, written atomically. Throws
// Error(kBadInput) "train.jsonl:17: ..." for a bad line, and when no row is left. Blank lines, CRLF
// and a BOM are accepted.
PackReport pack_rows(const std::filesystem::path& jsonl, const RowReader& reader,
                     const std::filesystem::path& packed,
                     const std::function<void(std::int64_t rows)>& progress);

// The lengths that decide what a batch can need.
class LengthHistogram {
 public:
  // Lengths after truncation to max_seq_length.
  LengthHistogram(const PackedRows& rows, std::int64_t max_seq_length);
  [[nodiscard]] std::int64_t rows() const { return static_cast<std::int64_t>(sorted_.size()); }
  [[nodiscard]] std::int64_t longest() const;
  [[nodiscard]] std::int64_t total_tokens() const;
  [[nodiscard]] std::int64_t truncated_rows() const { return truncated_; }
  // The tokens of the `batch` longest rows: no batch of this data can have more.
  [[nodiscard]] std::int64_t worst_batch_tokens(std::int64_t batch) const;
  // p in [0, 1]; nearest rank.
  [[nodiscard]] std::int64_t percentile(double p) const;
  [[nodiscard]] std::span<const std::int64_t> descending() const { return sorted_; }

 private:
  std::vector<std::int64_t> sorted_;  // descending
  std::int64_t truncated_ = 0;
};

}  // namespace loadline
