#include <algorithm>
#include <limits>

#include "base/error.h"
#include "text/packed.h"
#include "text/packed_layout.h"

namespace loadline {
namespace {

constexpr std::size_t kBuffer = 256 << 10;

template <typename T>
void append(std::string& to, const T& value) {
  to.append(reinterpret_cast<const char*>(&value), sizeof(T));
}

void append_row(std::string& to, const TokenizedRow& row) {
  const Provenance provenance = row.provenance.value_or(Provenance{});
  append(to, packed::RowHead{.flags = row.provenance ? packed::kHasProvenance : 0,
                             .authority_weight = provenance.authority_weight,
                             .provenance_entropy = provenance.provenance_entropy});
  to.append(reinterpret_cast<const char*>(row.ids.data()), row.ids.size() * 4);
  for (const bool mark : row.in_loss) to += mark ? '\1' : '\0';
  to.append((4 - row.ids.size() % 4) % 4, '\0');
}

}  // namespace

PackedWriter::PackedWriter(const std::filesystem::path& path, std::string_view fingerprint)
    : file_(path), path_(path), end_(sizeof(packed::Header)) {
  set_fingerprint(fingerprint);
  buffer_.assign(sizeof(packed::Header), '\0');  // its place; finish() writes it
}

void PackedWriter::set_fingerprint(std::string_view fingerprint) {
  if (fingerprint.size() > packed::kFingerprintBytes) {
    throw bad_input("{}: a fingerprint of {} characters, but {} fit", path_.string(),
                    fingerprint.size(), packed::kFingerprintBytes);
  }
  fingerprint_ = fingerprint;
}

void PackedWriter::set_left_out(std::int64_t too_short, std::int64_t bad) {
  too_short_ = too_short;
  bad_ = bad;
}

void PackedWriter::add(const TokenizedRow& row) {
  constexpr std::size_t kMostIds = std::numeric_limits<std::int32_t>::max();
  if (row.ids.size() < 2 || row.ids.size() > kMostIds || row.in_loss.size() != row.ids.size()) {
    throw bad_input("{}: a row of {} ids and {} loss marks cannot be packed", path_.string(),
                    row.ids.size(), row.in_loss.size());
  }
  const auto [least, largest] = std::minmax_element(row.ids.begin(), row.ids.end());
  if (*least < 0) throw bad_input("{}: id {} cannot be packed", path_.string(), *least);
  largest_id_ = std::max(largest_id_, *largest);
  offsets_.push_back(end_);
  end_ += packed::row_bytes(row.ids.size());
  tokens_ += static_cast<std::int64_t>(row.ids.size());
  in_loss_ += std::count(row.in_loss.begin(), row.in_loss.end(), true);
  with_provenance_ += row.provenance ? 1 : 0;
  append_row(buffer_, row);
  if (buffer_.size() >= kBuffer) flush();
}

void PackedWriter::set_without_assistant(std::int64_t rows) { without_assistant_ = rows; }

void PackedWriter::flush() {
  file_.write(buffer_);
  buffer_.clear();
}

void PackedWriter::finish() {
  if (offsets_.empty()) throw bad_input("{}: there is no row to pack", path_.string());
  const std::uint64_t rows = offsets_.size();
  offsets_.push_back(end_);
  buffer_.append((8 - end_ % 8) % 8, '\0');
  const std::uint64_t table = (end_ + 7) / 8 * 8;
  flush();
  file_.write(std::as_bytes(std::span(offsets_)));
  packed::Header header{};
  std::copy(std::begin(packed::kMagic), std::end(packed::kMagic), std::begin(header.magic));
  header.version = packed::kVersion;
  header.header_bytes = sizeof(header);
  header.file_bytes = table + 8 * (rows + 1);
  header.rows = rows;
  header.tokens = static_cast<std::uint64_t>(tokens_);
  header.table = table;
  header.largest_id = largest_id_;
  header.in_loss = static_cast<std::uint64_t>(in_loss_);
  header.with_provenance = static_cast<std::uint64_t>(with_provenance_);
  header.too_short = static_cast<std::uint64_t>(too_short_);
  header.bad = static_cast<std::uint64_t>(bad_);
  header.without_assistant =
      static_cast<std::uint32_t>(std::min<std::int64_t>(without_assistant_, UINT32_MAX));
  std::copy(fingerprint_.begin(), fingerprint_.end(), std::begin(header.fingerprint));
  file_.write_at(0, std::as_bytes(std::span(&header, 1)));
  file_.commit();
}

}  // namespace loadline
