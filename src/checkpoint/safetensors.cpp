#include "checkpoint/safetensors.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <optional>
#include <set>
#include <stdexcept>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "base/json.h"
#include "base/lfs_pointer.h"

namespace loadline {
namespace fs = std::filesystem;
namespace {

static_assert(std::endian::native == std::endian::little, "safetensors data is little-endian");

constexpr std::uint64_t kLengthBytes = 8;
constexpr std::uint64_t kBeginning = 64;           // tells what else a file is
constexpr std::uint64_t kMaxHeader = 100'000'000;  // as the reference implementation
constexpr std::size_t kMaxDimensions = 8;
constexpr std::uint64_t kAlignment = 64;
constexpr std::string_view kMetadata = "__metadata__";

constexpr std::array<std::pair<std::string_view, DType>, 6> kDTypes{{
    {"F32", DType::kF32},
    {"BF16", DType::kBf16},
    {"F16", DType::kF16},
    {"I64", DType::kI64},
    {"I32", DType::kI32},
    {"U8", DType::kU8},
}};

std::string_view file_name_of(DType dtype) {
  return std::find_if(kDTypes.begin(), kDTypes.end(),
                      [&](const auto& entry) { return entry.second == dtype; })
      ->first;
}

DType parse_dtype(const Json& tensor, const std::string& where) {
  const std::string name = json_string(tensor, "dtype", where);
  for (const auto& entry : kDTypes) {
    if (entry.first == name) return entry.second;
  }
  throw bad_input("{}: dtype '{}' is not supported. Supported are F32, BF16, F16, I64, I32 and U8.",
                  where, name);
}

// Bytes of a tensor, or nothing when the product does not fit 63 bits.
std::optional<std::uint64_t> byte_count(std::span<const std::int64_t> shape, DType dtype) {
  auto bytes = static_cast<std::int64_t>(size_of(dtype));
  for (const std::int64_t n : shape) {
    if (n < 0 || __builtin_mul_overflow(bytes, n, &bytes)) return std::nullopt;
  }
  return static_cast<std::uint64_t>(bytes);
}

std::vector<std::int64_t> parse_shape(const Json& tensor, const std::string& where) {
  const Json* list = json_find(tensor, "shape");
  if (list == nullptr || !list->is_array() || list->size() > kMaxDimensions) {
    throw bad_input("{}: 'shape' should be a list of at most {} sizes", where, kMaxDimensions);
  }
  std::vector<std::int64_t> shape;
  for (const Json& n : *list) {
    if (!n.is_number_unsigned() || n.get<std::uint64_t>() > INT64_MAX) {
      throw bad_input("{}: shape has {:.40}, which is not a size", where, n.dump());
    }
    shape.push_back(n.get<std::int64_t>());
  }
  return shape;
}

std::pair<std::uint64_t, std::uint64_t> parse_offsets(const Json& tensor,
                                                      const std::string& where) {
  const Json* pair = json_find(tensor, "data_offsets");
  const auto is_offset = [](const Json& n) { return n.is_number_unsigned(); };
  if (pair == nullptr || !pair->is_array() || pair->size() != 2 ||
      !std::all_of(pair->begin(), pair->end(), is_offset)) {
    throw bad_input("{}: 'data_offsets' should be a list of two offsets", where);
  }
  return {(*pair)[0].get<std::uint64_t>(), (*pair)[1].get<std::uint64_t>()};
}

// `data_bytes` is the size of the file's part that holds the tensors.
TensorInfo parse_tensor(const Json& tensor, const std::string& where, std::uint64_t data_begin,
                        std::uint64_t data_bytes) {
  if (!tensor.is_object()) throw bad_input("{}: is not a JSON object", where);
  TensorInfo info;
  info.dtype = parse_dtype(tensor, where);
  info.shape = parse_shape(tensor, where);
  const auto [begin, end] = parse_offsets(tensor, where);
  if (begin > end) throw bad_input("{}: begins at {} but ends at {}", where, begin, end);
  if (end > data_bytes) {
    throw bad_input(
        "{}: ends at {} but the file has {} bytes of data. Is the download "
        "complete?",
        where, end, data_bytes);
  }
  const std::optional<std::uint64_t> needed = byte_count(info.shape, info.dtype);
  if (!needed.has_value()) {
    throw bad_input("{}: shape {} has more elements than can be", where, shape_text(info.shape));
  }
  if (*needed != end - begin) {
    throw bad_input("{}: shape {} of {} needs {} bytes, but the offsets span {}", where,
                    shape_text(info.shape), name_of(info.dtype), *needed, end - begin);
  }
  info.begin = data_begin + begin;
  info.bytes = *needed;
  return info;
}

void parse_metadata(const Json& object, const fs::path& path, SafetensorsHeader& header) {
  if (!object.is_object()) throw bad_input("{}: {} is not an object", path.string(), kMetadata);
  for (const auto& item : object.items()) {
    if (!item.value().is_string()) {
      throw bad_input("{}: {} '{}' is {}, but only text may stand there", path.string(), kMetadata,
                      item.key(), item.value().type_name());
    }
    header.metadata.emplace(item.key(), item.value().get<std::string>());
  }
}

// The tensors must tile the data: no two share a byte and no byte belongs to none.
void require_gapless(const SafetensorsHeader& header) {
  std::vector<std::pair<const TensorInfo*, const std::string*>> order;
  for (const auto& [name, info] : header.tensors) order.emplace_back(&info, &name);
  std::sort(order.begin(), order.end(), [](const auto& a, const auto& b) {
    return std::pair(a.first->begin, a.first->bytes) < std::pair(b.first->begin, b.first->bytes);
  });
  std::uint64_t expected = header.data_begin;
  for (const auto& [info, name] : order) {
    if (info->begin != expected) {
      throw bad_input(
          "{}: tensor '{}' begins at byte {}, but the one before it ends at byte {}: {}",
          header.path.string(), *name, info->begin, expected,
          info->begin < expected ? "they overlap" : "there is a hole");
    }
    expected += info->bytes;
  }
  if (expected != header.file_size) {
    throw bad_input("{}: the last tensor ends at byte {}, but the file has {} bytes",
                    header.path.string(), expected, header.file_size);
  }
}

std::uint64_t header_length(std::span<const std::byte> start, std::uint64_t file_size,
                            const fs::path& path) {
  if (file_size < kLengthBytes || start.size() < kLengthBytes) {
    throw bad_input("{}: has {} bytes, too few for a safetensors file. Is the download complete?",
                    path.string(), file_size);
  }
  refuse_lfs_pointer({reinterpret_cast<const char*>(start.data()), start.size()}, path);
  std::uint64_t length = 0;
  std::memcpy(&length, start.data(), kLengthBytes);
  if (length < 2) throw bad_input("{}: the header has {} bytes", path.string(), length);
  if (length > kMaxHeader) {
    throw bad_input(
        "{}: the header is said to have {} bytes, above the {} allowed: this is not a "
        "safetensors file",
        path.string(), length, kMaxHeader);
  }
  if (length > file_size - kLengthBytes) {
    throw bad_input(
        "{}: the header is said to have {} bytes, but the file has {}. Is the download "
        "complete?",
        path.string(), length, file_size);
  }
  return length;
}

// Puts the size of all tensors into `total`.
Json header_json(std::span<const TensorShape> tensors,
                 const std::map<std::string, std::string>& metadata, const fs::path& path,
                 std::uint64_t& total) {
  Json json = Json::object();
  if (!metadata.empty()) json[std::string(kMetadata)] = metadata;
  std::set<std::string_view> seen{kMetadata};
  total = 0;
  for (const TensorShape& tensor : tensors) {
    if (!seen.insert(tensor.name).second) {
      throw bad_input("{}: tensor name '{}' is taken already", path.string(), tensor.name);
    }
    const std::optional<std::uint64_t> bytes = byte_count(tensor.shape, tensor.dtype);
    if (!bytes) {
      throw bad_input("{}: tensor '{}' of shape {} cannot be", path.string(), tensor.name,
                      shape_text(tensor.shape));
    }
    json[tensor.name] = {{"dtype", file_name_of(tensor.dtype)},
                         {"shape", tensor.shape},
                         {"data_offsets", {total, total + *bytes}}};
    total += *bytes;
  }
  return json;
}

}  // namespace

std::int64_t TensorInfo::elements() const {
  return static_cast<std::int64_t>(bytes / size_of(dtype));
}

std::string shape_text(std::span<const std::int64_t> shape) {
  return fmt::format("({})", fmt::join(shape, ", "));
}

SafetensorsHeader parse_safetensors_header(std::span<const std::byte> start,
                                           std::uint64_t file_size, const fs::path& path) {
  const std::uint64_t length = header_length(start, file_size, path);
  if (length > start.size() - kLengthBytes) {
    throw bad_input("{}: the header has {} bytes, but {} were read", path.string(), length,
                    start.size() - kLengthBytes);
  }
  const auto* text = reinterpret_cast<const char*>(start.data() + kLengthBytes);
  const std::string source = path.string() + " (header)";
  const Json json = parse_json({text, static_cast<std::size_t>(length)}, source);
  if (!json.is_object()) throw bad_input("{}: is not a JSON object", source);

  SafetensorsHeader header;
  header.path = path;
  header.file_size = file_size;
  header.data_begin = kLengthBytes + length;
  for (const auto& item : json.items()) {
    if (item.key() == kMetadata) {
      parse_metadata(item.value(), path, header);
      continue;
    }
    const std::string where = fmt::format("{}: tensor '{}'", path.string(), item.key());
    header.tensors.emplace(item.key(), parse_tensor(item.value(), where, header.data_begin,
                                                    file_size - header.data_begin));
  }
  require_gapless(header);
  return header;
}

SafetensorsHeader read_safetensors_header(const fs::path& path) {
  std::error_code error;
  const std::uint64_t size = fs::file_size(path, error);
  if (error) throw bad_input("{}: cannot be read: {}", path.string(), error.message());
  std::vector<std::byte> start(std::min(size, kBeginning));
  read_at(path, 0, start);
  start.resize(kLengthBytes + header_length(start, size, path));
  read_at(path, 0, start);
  return parse_safetensors_header(start, size, path);
}

SafetensorsFile::SafetensorsFile(const fs::path& path, std::span<const TensorShape> tensors,
                                 const std::map<std::string, std::string>& metadata)
    : file_(path) {
  std::string header = header_json(tensors, metadata, path, missing_).dump();
  header.resize(
      (header.size() + kLengthBytes + kAlignment - 1) / kAlignment * kAlignment - kLengthBytes,
      ' ');
  const std::uint64_t length = header.size();
  file_.write(std::as_bytes(std::span(&length, 1)));
  file_.write(header);
}

void SafetensorsFile::write(std::span<const std::byte> piece) {
  if (piece.size() > missing_) throw std::logic_error("more bytes than the tensors have");
  file_.write(piece);
  missing_ -= piece.size();
}

void SafetensorsFile::commit() {
  if (missing_ != 0) throw std::logic_error("fewer bytes than the tensors have");
  file_.commit();
}

void write_safetensors(const fs::path& path, std::span<const TensorToWrite> tensors,
                       const std::map<std::string, std::string>& metadata) {
  std::vector<TensorShape> shapes;
  for (const TensorToWrite& tensor : tensors) {
    if (byte_count(tensor.shape, tensor.dtype) != tensor.data.size()) {
      throw bad_input("{}: tensor '{}' of shape {} {} was given {} bytes", path.string(),
                      tensor.name, shape_text(tensor.shape), name_of(tensor.dtype),
                      tensor.data.size());
    }
    shapes.push_back({tensor.name, tensor.dtype, tensor.shape});
  }
  SafetensorsFile file(path, shapes, metadata);
  for (const TensorToWrite& tensor : tensors) file.write(tensor.data);
  file.commit();
}

}  // namespace loadline
