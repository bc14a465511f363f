// The safetensors file format: docs/safetensors.md. Every length, offset and product is checked
// before use.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "base/dtype.h"
#include "base/file.h"

namespace loadline {

struct TensorInfo {
  DType dtype = DType::kF32;
  std::vector<std::int64_t> shape;
  std::uint64_t begin = 0;  // bytes from the start of the file
  std::uint64_t bytes = 0;  // equals product(shape) x size_of(dtype)
  [[nodiscard]] std::int64_t elements() const;
};

// "(2048, 192)"; "()" for a scalar.
std::string shape_text(std::span<const std::int64_t> shape);

// The checked header of one file. Holds no data.
struct SafetensorsHeader {
  std::filesystem::path path;
  std::uint64_t file_size = 0;
  std::uint64_t data_begin = 0;  // 8 + the header's length; the tensors fill the rest, gapless
  std::map<std::string, TensorInfo> tensors;
  std::map<std::string, std::string> metadata;
};

// Throws Error(kBadInput) naming the file and the tensor: truncated, header too long or not JSON,
// dtype unknown, offsets out of range, overlapping or with holes, shape not matching the bytes.
SafetensorsHeader read_safetensors_header(const std::filesystem::path& path);
// The same from memory (fuzzing, tests): `start` is the file's beginning and must hold the whole
// header; `file_size` is that of the whole file.
SafetensorsHeader parse_safetensors_header(std::span<const std::byte> start,
                                           std::uint64_t file_size,
                                           const std::filesystem::path& path);

struct TensorToWrite {
  std::string name;
  DType dtype = DType::kF32;
  std::vector<std::int64_t> shape;
  std::span<const std::byte> data;
};
// Replaces the file atomically. Tensors are written in the given order without gaps; the first
// begins at a multiple of 64. Throws Error(kBadInput), and writes nothing, for a name given twice,
// for the name "__metadata__" and for data whose size is not that of its shape.
void write_safetensors(const std::filesystem::path& path, std::span<const TensorToWrite> tensors,
                       const std::map<std::string, std::string>& metadata);

}  // namespace loadline
