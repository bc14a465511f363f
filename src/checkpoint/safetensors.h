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

struct TensorShape {
  std::string name;
  DType dtype = DType::kF32;
  std::vector<std::int64_t> shape;
};

// A file whose tensors are written one after the other, in the order in which they were announced,
// without gaps; the first begins at a multiple of 64. Replaces the file atomically; without
// commit() nothing is left. Throws Error(kBadInput) for a name given twice and for the name
// "__metadata__".
class SafetensorsFile {
 public:
  SafetensorsFile(const std::filesystem::path& path, std::span<const TensorShape> tensors,
                  const std::map<std::string, std::string>& metadata);
  void write(std::span<const std::byte> piece);
  // Throws std::logic_error when the bytes written are not those announced.
  void commit();

 private:
  ReplacementFile file_;
  std::uint64_t missing_ = 0;  // bytes
};

struct TensorToWrite {
  std::string name;
  DType dtype = DType::kF32;
  std::vector<std::int64_t> shape;
  std::span<const std::byte> data;
};
// All of them at once. Throws Error(kBadInput) also, and writes nothing, for data whose size is not
// that of its shape.
void write_safetensors(const std::filesystem::path& path, std::span<const TensorToWrite> tensors,
                       const std::map<std::string, std::string>& metadata);

}  // namespace loadline
