// The bytes of a packed file (docs/packed-tokens.md): what its reader and its writer share.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace loadline::packed {

// Ids are read where they lie in the mapping.
static_assert(std::endian::native == std::endian::little, "packed files are little-endian");

constexpr char kMagic[8] = {'L', 'O', 'A', 'D', 'P', 'A', 'C', 'K'};
constexpr std::uint32_t kVersion = 2;
constexpr std::size_t kFingerprintBytes = 64;

struct Header {
  char magic[8];
  std::uint32_t version;
  std::uint32_t header_bytes;
  std::uint64_t file_bytes;
  std::uint64_t rows;
  std::uint64_t tokens;
  std::uint64_t table;  // offset of the row table: rows + 1 offsets of 8 bytes
  std::int32_t largest_id;
  std::uint32_t without_assistant;      // rows of messages of which none is the assistant's
  char fingerprint[kFingerprintBytes];  // filled up with 0
  std::uint64_t in_loss;                // tokens that are to be predicted
  std::uint64_t with_provenance;        // rows that have one
  // Lines of the data that are no rows here:
  std::uint64_t too_short;  // without a token to predict
  std::uint64_t bad;        // no good row
};
static_assert(sizeof(Header) == 152);

// A row: this, then its ids (4 bytes each), then its loss marks (1 byte each), then zeros up to a
// multiple of 4.
struct RowHead {
  std::uint32_t flags;  // kHasProvenance or 0
  float authority_weight;
  float provenance_entropy;
};
static_assert(sizeof(RowHead) == 12);
constexpr std::uint32_t kHasProvenance = 1;

constexpr std::uint64_t row_bytes(std::uint64_t ids) {
  return sizeof(RowHead) + ids * 4 + (ids + 3) / 4 * 4;
}
// The only number of ids whose row has this size, or one whose row_bytes() differs when there is
// none: 5 bytes an id, and less than 5 of filling.
constexpr std::uint64_t ids_of_row_bytes(std::uint64_t bytes) {
  return bytes < sizeof(RowHead) ? 0 : (bytes - sizeof(RowHead)) / 5;
}

template <typename T>
T load(std::span<const std::byte> bytes, std::uint64_t offset) {
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof(T));
  return value;
}

}  // namespace loadline::packed
