#include "checkpoint/weights.h"

#include <algorithm>
#include <set>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "checkpoint/convert.h"
#include "checkpoint/weight_index.h"

namespace loadline {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view kSingle = kSingleWeightFile;
constexpr std::string_view kIndex = kWeightIndexFile;
constexpr std::size_t kPiece = std::size_t{4} << 20;
constexpr std::uint64_t kSample = 4096;

// What the folder holds instead of what was expected, and what to do.
Error no_weights(const fs::path& folder) {
  std::error_code error;
  std::set<std::string> kinds;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    kinds.insert(it->path().extension().string());
  }
  if (error) return bad_input("{}: cannot be read: {}", folder.string(), error.message());
  if (kinds.contains(".safetensors")) {
    return bad_input("{}: has .safetensors files but neither {} nor {}. Is the download complete?",
                     folder.string(), kSingle, kIndex);
  }
  for (const char* kind : {".bin", ".gguf", ".pth"}) {
    if (kinds.contains(kind)) {
      return bad_input(
          "{}: has weights as *{} only. Take the model's safetensors version, or "
          "convert it (save_pretrained(..., safe_serialization=True)).",
          folder.string(), kind);
    }
  }
  return bad_input("{}: has no {}. Is the download complete?", folder.string(), kSingle);
}

std::string bytes_at(const fs::path& path, std::uint64_t offset, std::uint64_t size) {
  std::string bytes(size, '\0');
  read_at(path, offset, std::as_writable_bytes(std::span(bytes)));
  return bytes;
}

// Of a tensor's data: its begin, its middle and its end, or all of a small one.
std::string sampled(const fs::path& path, const TensorInfo& tensor) {
  if (tensor.bytes <= 3 * kSample) return bytes_at(path, tensor.begin, tensor.bytes);
  const std::uint64_t last = tensor.bytes - kSample;
  return bytes_at(path, tensor.begin, kSample) + bytes_at(path, tensor.begin + last / 2, kSample) +
         bytes_at(path, tensor.begin + last, kSample);
}

}  // namespace

WeightFiles::WeightFiles(const fs::path& model_folder) {
  const fs::path single = model_folder / kSingle;
  if (is_there(single)) {
    const SafetensorsHeader& header =
        files_.emplace(kSingle, read_safetensors_header(single)).first->second;
    for (const auto& tensor : header.tensors) where_.emplace(tensor.first, kSingle);
    return;
  }
  const fs::path index = model_folder / kIndex;
  if (!is_there(index)) throw no_weights(model_folder);
  where_ = read_weight_index(index);
  for (const auto& [tensor, shard] : where_) {
    auto file = files_.find(shard);
    if (file == files_.end()) {
      const fs::path path = model_folder / shard;
      if (!is_there(path)) {
        throw bad_input("{}: is missing, but {} says that it holds '{}'. Is the download complete?",
                        path.string(), index.string(), tensor);
      }
      file = files_.emplace(shard, read_safetensors_header(path)).first;
    }
    if (!file->second.tensors.contains(tensor)) {
      throw bad_input("{}: has no tensor '{}', but {} says so", file->second.path.string(), tensor,
                      index.string());
    }
  }
}

bool WeightFiles::has(const std::string& name) const { return where_.contains(name); }

bool WeightFiles::has(const std::string& name, const std::string& file) const {
  const auto found = where_.find(name);
  return found != where_.end() && found->second == file;
}

const TensorInfo& WeightFiles::info(const std::string& name) const {
  const auto found = where_.find(name);
  if (found == where_.end()) {
    throw bad_input("{}: tensor '{}' is missing. Does config.json belong to these weights?",
                    files_.begin()->second.path.parent_path().string(), name);
  }
  return files_.at(found->second).tensors.at(name);
}

void WeightFiles::read(const std::string& name, std::span<const std::int64_t> shape, DType dtype,
                       std::span<std::byte> into) const {
  read_rows(name, shape, 0, shape.empty() ? 1 : shape.front(), dtype, into);
}

void WeightFiles::read_rows(const std::string& name, std::span<const std::int64_t> shape,
                            std::int64_t first, std::int64_t count, DType dtype,
                            std::span<std::byte> into) const {
  const TensorInfo& tensor = info(name);
  const fs::path& path = files_.at(where_.at(name)).path;
  if (!std::equal(shape.begin(), shape.end(), tensor.shape.begin(), tensor.shape.end())) {
    throw bad_input("{}: tensor '{}' has shape {}, but config.json asks for {}", path.string(),
                    name, shape_text(tensor.shape), shape_text(shape));
  }
  if (!can_convert(tensor.dtype, dtype)) {
    throw bad_input("{}: tensor '{}' is {}, which cannot be read as {}", path.string(), name,
                    name_of(tensor.dtype), name_of(dtype));
  }
  const std::int64_t rows = shape.empty() ? 1 : shape.front();
  const auto row_elements = static_cast<std::size_t>(rows == 0 ? 0 : tensor.elements() / rows);
  const auto elements = row_elements * static_cast<std::size_t>(count);
  if (first < 0 || count < 0 || first + count > rows || into.size() != elements * size_of(dtype)) {
    throw bad_input("{}: {} rows from {} on of tensor '{}' need {} bytes as {}, but {} were given",
                    path.string(), count, first, name, elements * size_of(dtype), name_of(dtype),
                    into.size());
  }
  const std::uint64_t begin =
      tensor.begin + static_cast<std::size_t>(first) * row_elements * size_of(tensor.dtype);
  if (tensor.dtype == dtype) {
    read_at(path, begin, into);
    return;
  }
  const std::size_t per_piece = kPiece / size_of(tensor.dtype);
  std::vector<std::byte> piece(std::min(elements, per_piece) * size_of(tensor.dtype));
  for (std::size_t done = 0; done < elements; done += per_piece) {
    const std::size_t n = std::min(per_piece, elements - done);
    const auto raw = std::span(piece).first(n * size_of(tensor.dtype));
    read_at(path, begin + done * size_of(tensor.dtype), raw);
    convert(tensor.dtype, raw, dtype, into.subspan(done * size_of(dtype), n * size_of(dtype)));
  }
}

std::string WeightFiles::fingerprint() const {
  std::string sums;
  for (const auto& [name, header] : files_) {
    sums += fmt::format("{} {} {}\n", name, header.file_size,
                        sha256_hex(bytes_at(header.path, 0, header.data_begin)));
    for (const auto& [tensor, info] : header.tensors) {
      sums += fmt::format("{} {}\n", tensor, sha256_hex(sampled(header.path, info)));
    }
  }
  return sha256_hex(sums);
}

std::string WeightFiles::cache_key() const {
  std::string key = fingerprint();
  for (const auto& [name, header] : files_) {
    std::error_code error;
    const auto written = fs::last_write_time(header.path, error);
    key += fmt::format(" {}", error ? 0 : written.time_since_epoch().count());
  }
  return key;
}

}  // namespace loadline
