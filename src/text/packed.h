// The packed token file: a data set tokenized once, read by every trial and by training.
// docs/packed-tokens.md.
#pragma once

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/file.h"
#include "text/rows.h"

namespace loadline {

struct PackedRow {
  std::span<const std::int32_t> ids;
  std::span<const std::uint8_t> in_loss;  // 0 or 1 for each id
  bool has_provenance = false;
  Provenance provenance;
};

// So many rows have this length.
struct LengthCount {
  std::int64_t length = 0, rows = 0;
};

// A packed file, mapped and checked. Rows keep the order of the data; each has at least 2 ids.
// Opening reads the header and the offsets (8 bytes a row) and checks them against the file's size;
// a row's own content is checked when it is asked for, so that opening touches no page of it.
class PackedRows {
 public:
  // Throws Error(kBadInput) when the file is damaged.
  explicit PackedRows(const std::filesystem::path& path);
  // The same rows, of the same mapping, without those whose tokens to predict all lie beyond
  // `max_seq_length`: cut there, they would teach nothing. Where none is left, all are; it is for
  // the caller to refuse them. Looks at the marks of the rows that are cut, and at those only where
  // some token is masked.
  [[nodiscard]] PackedRows within(std::int64_t max_seq_length) const;
  [[nodiscard]] std::int64_t size() const {
    return kept_.empty() ? rows_ : static_cast<std::int64_t>(kept_.size());
  }
  // The spans point into the mapping: they live as long as this object. Allocates nothing. Throws
  // Error(kBadInput) when the row is damaged: an id outside [0, largest_id()], a loss mark that is
  // neither 0 nor 1, a provenance out of its range.
  [[nodiscard]] PackedRow row(std::int64_t index) const;
  [[nodiscard]] std::int64_t length(std::int64_t index) const;
  // The lengths that rows have, the longest first: no page is touched.
  [[nodiscard]] std::span<const LengthCount> lengths() const { return lengths_; }
  // Tells the length of each row in order. Holds a bounded part of the file.
  void for_each_length(
      const std::function<void(std::int64_t index, std::int64_t length)>& take) const;
  // What the list of those that within() has left takes: nothing where it left all.
  [[nodiscard]] Bytes list_bytes() const { return {kept_.capacity() * sizeof(kept_[0])}; }
  // What PassingRows has mapped at a time, at most, beyond a small file: Linux 6.18 maps large
  // pieces of a cached one.
  [[nodiscard]] Bytes passing_bytes() const {
    const Bytes file{file_->bytes().size()};
    return std::min(file, 3_MiB) - std::min(file, 1_MiB);
  }
  // Lets go of the pages that were read: they stay in the system's cache, and no longer count in
  // this process, which would else grow with every row that it has ever looked at.
  void forget_pages() const;
  // The sum of all lengths.
  [[nodiscard]] std::int64_t tokens() const { return tokens_; }
  // No id in the file is larger: compare it with the model's vocabulary before a lookup.
  [[nodiscard]] std::int32_t largest_id() const { return largest_id_; }
  // As the file's header says, less what within() left out: no row is touched.
  [[nodiscard]] std::int64_t in_loss() const { return in_loss_; }
  [[nodiscard]] std::int64_t with_provenance() const { return with_provenance_; }
  // Lines of the data that are no rows here: without a token to predict, and bad ones.
  [[nodiscard]] std::int64_t too_short() const { return too_short_; }
  [[nodiscard]] std::int64_t bad() const { return bad_; }
  // Rows of messages none of which is the assistant's, left out or not.
  [[nodiscard]] std::int64_t without_assistant() const { return without_assistant_; }
  // Rows that within() left out.
  [[nodiscard]] std::int64_t cut_away() const { return cut_away_; }
  // in_loss() of the rows cut to `max_seq_length`. Looks at the marks that are cut.
  [[nodiscard]] std::int64_t in_loss_within(std::int64_t max_seq_length) const;
  // SHA-256 of what was packed: the data's bytes, the tokenizer, the options.
  [[nodiscard]] const std::string& fingerprint() const { return fingerprint_; }

 private:
  // Rows of the file are counted as they lie there, whatever within() left out.
  [[nodiscard]] std::uint64_t offset(std::int64_t file_row) const;
  [[nodiscard]] std::int64_t file_row(std::int64_t index) const;
  [[nodiscard]] std::span<const std::uint8_t> marks(std::int64_t index) const;
  void check_offsets();
  void forget_table_at(std::int64_t row) const;

  std::shared_ptr<const MappedFile> file_;
  std::vector<std::int64_t> kept_;    // rows of the file; empty: all of them
  std::vector<LengthCount> lengths_;  // of those
  std::string fingerprint_;
  std::int64_t rows_ = 0;
  std::int64_t tokens_ = 0;
  std::int64_t in_loss_ = 0;
  std::int64_t with_provenance_ = 0;
  std::int64_t too_short_ = 0;
  std::int64_t bad_ = 0;
  std::int64_t without_assistant_ = 0;
  std::int64_t cut_away_ = 0;
  std::int32_t largest_id_ = 0;
  std::uint64_t table_ = 0;  // where the offsets begin
};

// Rows that are looked at once each, in any order: however many they are, little of their file is
// held.
class PassingRows {
 public:
  // `rows` must outlive this object.
  explicit PassingRows(const PackedRows& rows) : rows_(rows) {}
  PassingRows(const PassingRows&) = delete;
  PassingRows& operator=(const PassingRows&) = delete;
  ~PassingRows() { rows_.forget_pages(); }
  [[nodiscard]] PackedRow row(std::int64_t index);
  [[nodiscard]] std::int64_t length(std::int64_t index);

 private:
  void look();

  const PackedRows& rows_;
  int held_ = 0;
};

// Writes a packed file row by row, atomically: without finish() nothing is left. Memory: one row,
// a buffer, and 8 bytes for each row written.
class PackedWriter {
 public:
  // `fingerprint`: at most 64 ASCII characters.
  PackedWriter(const std::filesystem::path& path, std::string_view fingerprint);
  // The row must have at least 2 ids, none negative, and as many loss marks as ids; throws
  // Error(kBadInput) otherwise.
  void add(const TokenizedRow& row);
  // For a fingerprint that is known last.
  void set_fingerprint(std::string_view fingerprint);
  // How many lines of the data were left out.
  void set_left_out(std::int64_t too_short, std::int64_t bad);
  // How many rows of messages, left out or not, have none of the assistant.
  void set_without_assistant(std::int64_t rows);
  // Throws Error(kBadInput) when no row was added, Error(kEnvironment) when the disk refuses.
  void finish();

 private:
  void flush();

  ReplacementFile file_;
  std::filesystem::path path_;
  std::string fingerprint_;
  std::string buffer_;
  std::vector<std::uint64_t> offsets_;
  std::uint64_t end_ = 0;
  std::int64_t tokens_ = 0;
  std::int64_t in_loss_ = 0;
  std::int64_t with_provenance_ = 0;
  std::int64_t too_short_ = 0;
  std::int64_t bad_ = 0;
  std::int64_t without_assistant_ = 0;
  std::int32_t largest_id_ = 0;
};

struct PackReport {
  std::int64_t rows = 0;
  std::int64_t tokens = 0;
  std::int64_t in_loss = 0;  // tokens that are to be predicted
  std::int64_t longest = 0;
  std::int64_t with_provenance = 0;
  // Rows without a token to predict (fewer than 2 tokens, or none of them in the loss): left out.
  std::int64_t too_short = 0;
  std::int64_t cut_away = 0;  // rows that PackedRows::within() left out
  std::int64_t bad = 0;       // lines that are no good row
  // Rows of messages none of which is the assistant's, left out or not, and the roles that the
  // first of them has ("human, gpt"), where the rows were read now.
  std::int64_t without_assistant = 0;
  std::string other_roles;
  std::vector<std::string> first_bad;  // "train.jsonl:17: ...", at most 5
};

// Of rows without a message of the assistant: how many, their roles, the way out.
std::string words_on_roles(const PackReport& report);

enum class BadRows { kRefuse, kSkip };

// What is said of a file without a good row.
struct RowsPurpose {
  std::string_view what = "to train on";
  std::string_view way_out;  // a sentence; may be empty
};

// Tokenizes `jsonl` into `packed`, bounded in memory by one row, written atomically. Blank lines,
// CRLF and a BOM are accepted. `progress`, if any, is called after each row. Throws
// Error(kBadInput) when no row is left, and for bad lines (unless they are to be skipped): all are
// counted, the first 5 named, "train.jsonl:17: ...". A row's mistakes are bad lines; a line above
// 64 MiB, and damage to a compressed file, end the reading in any case.
PackReport pack_rows(const std::filesystem::path& jsonl, const RowReader& reader,
                     const std::filesystem::path& packed,
                     const std::function<void(std::int64_t rows)>& progress,
                     BadRows bad_rows = BadRows::kRefuse, RowsPurpose purpose = {});

// What pack_rows reported of the rows that are there; first_bad is not kept.
PackReport report_of(const PackedRows& rows);

// The fingerprint that pack_rows writes for this data and this reader: when a packed file has it,
// there is nothing to do.
std::string packing_fingerprint(const std::filesystem::path& jsonl, const RowReader& reader);

// The lengths that decide what a batch can need.
class LengthHistogram {
 public:
  // Lengths after truncation to max_seq_length.
  LengthHistogram(const PackedRows& rows, std::int64_t max_seq_length);
  // Lengths as they are.
  explicit LengthHistogram(const PackedRows& rows);
  [[nodiscard]] std::int64_t rows() const { return static_cast<std::int64_t>(sorted_.size()); }
  [[nodiscard]] std::int64_t longest() const;
  [[nodiscard]] std::int64_t total_tokens() const;
  [[nodiscard]] std::int64_t truncated_rows() const { return truncated_; }
  // p in [0, 1]; nearest rank.
  [[nodiscard]] std::int64_t percentile(double p) const;
  [[nodiscard]] std::span<const std::int64_t> descending() const { return sorted_; }

 private:
  std::vector<std::int64_t> sorted_;  // descending
  std::int64_t truncated_ = 0;
};

// Rows whose lengths, after truncation, are in [from, to].
struct LengthClass {
  std::int64_t from = 0, to = 0, rows = 0;
};
// At most ten classes of equal width, from 1 to the longest row.
std::vector<LengthClass> length_classes(const LengthHistogram& lengths);

}  // namespace loadline
