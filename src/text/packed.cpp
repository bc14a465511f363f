#include "text/packed.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <unordered_map>

#include "base/error.h"
#include "text/packed_layout.h"

namespace loadline {
namespace {

using packed::Header;
using packed::RowHead;

constexpr std::uint64_t kMostLines = std::uint64_t{1} << 48;
constexpr std::string_view kAdvice = "Remove it; it is made again from the data.";

// Everything in the header that can be checked without the row table.
Header checked_header(const MappedFile& file) {
  const auto bytes = file.bytes();
  const std::string name = file.path().string();
  if (bytes.size() < sizeof(Header)) {
    throw bad_input("{}: has {} bytes, fewer than the {} of a packed file's header. {}", name,
                    bytes.size(), sizeof(Header), kAdvice);
  }
  const auto header = packed::load<Header>(bytes, 0);
  if (!std::equal(std::begin(header.magic), std::end(header.magic), std::begin(packed::kMagic))) {
    throw bad_input("{}: is not a packed token file", name);
  }
  if (header.version != packed::kVersion || header.header_bytes != sizeof(Header)) {
    throw bad_input("{}: packed file version {} (header of {} bytes), but version {} is read. {}",
                    name, header.version, header.header_bytes, packed::kVersion, kAdvice);
  }
  if (header.file_bytes != bytes.size()) {
    throw bad_input("{}: says that it has {} bytes, but it has {}. {}", name, header.file_bytes,
                    bytes.size(), kAdvice);
  }
  const std::uint64_t most_rows = (bytes.size() - sizeof(Header)) / 8;
  const bool table_fits = header.rows >= 1 && header.rows < most_rows && header.table % 8 == 0 &&
                          header.table >= sizeof(Header) &&
                          header.table == bytes.size() - 8 * (header.rows + 1);
  if (!table_fits) {
    throw bad_input("{}: {} rows with a table at byte {} do not fit a file of {} bytes. {}", name,
                    header.rows, header.table, bytes.size(), kAdvice);
  }
  if (header.largest_id < 0) {
    throw bad_input("{}: its largest id is {}. {}", name, header.largest_id, kAdvice);
  }
  const bool counts_fit = header.in_loss <= header.tokens &&
                          header.with_provenance <= header.rows && header.too_short <= kMostLines &&
                          header.bad <= kMostLines &&
                          header.without_assistant <= header.rows + header.too_short;
  if (!counts_fit) {
    throw bad_input(
        "{}: its counts cannot be ({} rows with a provenance of {}, {} tokens in the loss of {}). "
        "{}",
        name, header.with_provenance, header.rows, header.in_loss, header.tokens, kAdvice);
  }
  return header;
}

std::string fingerprint_of(const Header& header) {
  const auto* end = std::find(std::begin(header.fingerprint), std::end(header.fingerprint), '\0');
  return {std::begin(header.fingerprint), end};
}

bool in_range(const Provenance& p) {
  return p.authority_weight >= 0 && p.authority_weight <= 0.99F && p.provenance_entropy >= 0 &&
         std::isfinite(p.provenance_entropy);
}

}  // namespace

PackedRows::PackedRows(const std::filesystem::path& path)
    : file_(std::make_shared<const MappedFile>(path)) {
  const Header header = checked_header(*file_);
  fingerprint_ = fingerprint_of(header);
  rows_ = static_cast<std::int64_t>(header.rows);
  tokens_ = static_cast<std::int64_t>(header.tokens);
  in_loss_ = static_cast<std::int64_t>(header.in_loss);
  with_provenance_ = static_cast<std::int64_t>(header.with_provenance);
  too_short_ = static_cast<std::int64_t>(header.too_short);
  bad_ = static_cast<std::int64_t>(header.bad);
  without_assistant_ = header.without_assistant;
  largest_id_ = header.largest_id;
  table_ = header.table;
  check_offsets();
}

PackedRows PackedRows::within(std::int64_t max_seq_length) const {
  if (in_loss_ == tokens_) return *this;
  PackedRows left = *this;
  left.kept_.clear();
  for (std::int64_t i = 0; i < size(); ++i) {
    const auto cut = static_cast<std::size_t>(std::min(length(i), max_seq_length));
    const auto all = marks(i);
    // The first token has nothing before it that could predict it.
    const auto targets = all.first(cut).subspan(std::min<std::size_t>(1, cut));
    const bool teaches = std::find(targets.begin(), targets.end(), 1) != targets.end();
    if (cut == all.size() || teaches) {
      left.kept_.push_back(file_row(i));
      continue;
    }
    ++left.cut_away_;
    --std::ranges::lower_bound(left.lengths_, length(i), std::ranges::greater(),
                               &LengthCount::length)
          ->rows;
    left.tokens_ -= length(i);
    left.in_loss_ -= std::count(all.begin(), all.end(), 1);
    left.with_provenance_ -= row(i).has_provenance ? 1 : 0;
  }
  forget_pages();
  std::erase_if(left.lengths_, [](const LengthCount& c) { return c.rows == 0; });
  const bool all_or_none = left.kept_.empty() || left.cut_away_ == cut_away_;
  return all_or_none ? *this : left;
}

std::int64_t PackedRows::in_loss_within(std::int64_t max_seq_length) const {
  std::int64_t in_loss = in_loss_;
  if (in_loss_ == tokens_) {
    for (const auto& [length, rows] : lengths_) {
      in_loss -= rows * std::max<std::int64_t>(0, length - max_seq_length);
    }
    return in_loss;
  }
  for (std::int64_t i = 0; i < size(); ++i) {
    const std::int64_t beyond = length(i) - max_seq_length;
    if (beyond <= 0) continue;
    const auto cut = marks(i).last(static_cast<std::size_t>(beyond));
    in_loss -= std::count(cut.begin(), cut.end(), 1);
  }
  forget_pages();
  return in_loss;
}

void PackedRows::check_offsets() {
  const std::string name = file_->path().string();
  std::uint64_t expected = sizeof(Header);
  std::int64_t tokens = 0;
  std::unordered_map<std::uint64_t, std::int64_t> counts;
  for (std::int64_t i = 0; i < rows_; ++i) {
    forget_table_at(i);
    const std::uint64_t begin = offset(i);
    const std::uint64_t end = offset(i + 1);
    const std::uint64_t ids = end > begin ? packed::ids_of_row_bytes(end - begin) : 0;
    if (begin != expected || end > table_ || ids < 2 || packed::row_bytes(ids) != end - begin ||
        ids > static_cast<std::uint64_t>(std::numeric_limits<std::int32_t>::max())) {
      throw bad_input("{}: row {} lies at bytes {} to {}, which cannot be. {}", name, i, begin, end,
                      kAdvice);
    }
    expected = end;
    tokens += static_cast<std::int64_t>(ids);
    ++counts[ids];
  }
  if (tokens != tokens_ || table_ - expected >= 8) {
    throw bad_input(
        "{}: its rows have {} tokens and end at byte {}, but the header says {} and {}."
        " {}",
        name, tokens, expected, tokens_, table_, kAdvice);
  }
  forget_pages();
  for (const auto& [ids, rows] : counts) {
    lengths_.push_back({static_cast<std::int64_t>(ids), rows});
  }
  std::ranges::sort(lengths_, std::ranges::greater(), &LengthCount::length);
}

// For those who read the table from row to row.
void PackedRows::forget_table_at(std::int64_t row) const {
  constexpr std::int64_t kRows = 1 << 16;  // half a MiB of it
  if (row % kRows == kRows - 1) forget_pages();
}

void PackedRows::for_each_length(
    const std::function<void(std::int64_t, std::int64_t)>& take) const {
  for (std::int64_t i = 0; i < size(); ++i) {
    forget_table_at(i);
    take(i, length(i));
  }
  forget_pages();
}

std::uint64_t PackedRows::offset(std::int64_t file_row) const {
  return packed::load<std::uint64_t>(file_->bytes(),
                                     table_ + 8 * static_cast<std::uint64_t>(file_row));
}

std::int64_t PackedRows::file_row(std::int64_t index) const {
  if (index < 0 || index >= size()) {
    throw bad_input("{}: row {} of {} rows was asked for", file_->path().string(), index, size());
  }
  return kept_.empty() ? index : kept_[static_cast<std::size_t>(index)];
}

std::int64_t PackedRows::length(std::int64_t index) const {
  const std::int64_t at = file_row(index);
  return static_cast<std::int64_t>(packed::ids_of_row_bytes(offset(at + 1) - offset(at)));
}

std::span<const std::uint8_t> PackedRows::marks(std::int64_t index) const {
  const auto ids = static_cast<std::size_t>(length(index));
  const auto* row = file_->bytes().data() + offset(file_row(index));
  return {reinterpret_cast<const std::uint8_t*>(row) + sizeof(RowHead) + ids * 4, ids};
}

PackedRow PackedRows::row(std::int64_t index) const {
  const auto ids = static_cast<std::size_t>(length(index));
  const std::uint64_t at = offset(file_row(index));
  const auto head = packed::load<RowHead>(file_->bytes(), at);
  const std::byte* first = file_->bytes().data() + at + sizeof(RowHead);
  const PackedRow row{
      .ids = {reinterpret_cast<const std::int32_t*>(first), ids},
      .in_loss = marks(index),
      .has_provenance = head.flags == packed::kHasProvenance,
      .provenance = {head.authority_weight, head.provenance_entropy},
  };
  const bool ids_good = std::all_of(row.ids.begin(), row.ids.end(),
                                    [&](std::int32_t id) { return id >= 0 && id <= largest_id_; });
  const bool marks_good = std::all_of(row.in_loss.begin(), row.in_loss.end(),
                                      [](std::uint8_t mark) { return mark <= 1; });
  if (!ids_good || !marks_good || head.flags > packed::kHasProvenance ||
      !in_range(row.provenance)) {
    throw bad_input("{}: row {} is damaged. {}", file_->path().string(), file_row(index), kAdvice);
  }
  return row;
}

void PackedRows::forget_pages() const { loadline::forget_pages(file_->bytes()); }

PackedRow PassingRows::row(std::int64_t index) {
  look();
  return rows_.row(index);
}

std::int64_t PassingRows::length(std::int64_t index) {
  look();
  return rows_.length(index);
}

void PassingRows::look() {
  // Linux maps up to 64 KiB around each page that is read: of the row, and of its table entry.
  constexpr int kMostHeld = 8;
  if (held_ == kMostHeld) {
    rows_.forget_pages();
    held_ = 0;
  }
  ++held_;
}

PackReport report_of(const PackedRows& rows) {
  PackReport report;
  report.rows = rows.size();
  report.tokens = rows.tokens();
  report.longest = rows.lengths().front().length;
  report.in_loss = rows.in_loss();
  report.with_provenance = rows.with_provenance();
  report.too_short = rows.too_short();
  report.cut_away = rows.cut_away();
  report.bad = rows.bad();
  report.without_assistant = rows.without_assistant();
  return report;
}

LengthHistogram::LengthHistogram(const PackedRows& rows, std::int64_t max_seq_length) {
  if (max_seq_length < 2) {
    throw usage_error("max-seq-length {} is too short: a row needs 2 tokens", max_seq_length);
  }
  sorted_.reserve(static_cast<std::size_t>(rows.size()));
  for (const auto& [length, count] : rows.lengths()) {
    truncated_ += length > max_seq_length ? count : 0;
    sorted_.insert(sorted_.end(), static_cast<std::size_t>(count),
                   std::min(length, max_seq_length));
  }
}

LengthHistogram::LengthHistogram(const PackedRows& rows)
    : LengthHistogram(rows, std::numeric_limits<std::int64_t>::max()) {}

std::int64_t LengthHistogram::longest() const { return sorted_.empty() ? 0 : sorted_.front(); }

std::int64_t LengthHistogram::total_tokens() const {
  return std::accumulate(sorted_.begin(), sorted_.end(), std::int64_t{0});
}

std::int64_t LengthHistogram::percentile(double p) const {
  if (!(p >= 0 && p <= 1)) throw usage_error("percentile {} is not within 0 and 1", p);
  if (sorted_.empty()) return 0;
  const auto rank = static_cast<std::int64_t>(std::ceil(p * static_cast<double>(rows())));
  return sorted_[static_cast<std::size_t>(rows() - std::max<std::int64_t>(rank, 1))];
}

std::vector<LengthClass> length_classes(const LengthHistogram& lengths) {
  constexpr std::int64_t kMostClasses = 10;
  std::vector<LengthClass> classes;
  const std::int64_t longest = lengths.longest();
  const std::int64_t width = (longest + kMostClasses - 1) / kMostClasses;
  for (std::int64_t from = 1; from <= longest; from += width) {
    classes.push_back({.from = from, .to = std::min(from + width - 1, longest), .rows = 0});
  }
  for (const std::int64_t length : lengths.descending()) {
    ++classes[static_cast<std::size_t>((length - 1) / width)].rows;
  }
  return classes;
}

}  // namespace loadline
