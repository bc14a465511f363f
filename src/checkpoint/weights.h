// The weights of a model folder: one model.safetensors, or shards with
// model.safetensors.index.json.
#pragma once

#include <filesystem>
#include <span>
#include <string>

#include "checkpoint/safetensors.h"

namespace loadline {

class WeightFiles {
 public:
  // Reads and checks all headers. Throws Error(kBadInput) with the way out: no weights, a shard
  // missing, an index naming a file outside the folder, .bin files only.
  explicit WeightFiles(const std::filesystem::path& model_folder);

  // The checked headers by file name.
  [[nodiscard]] const std::map<std::string, SafetensorsHeader>& files() const { return files_; }
  [[nodiscard]] bool has(const std::string& name) const;
  // Whether it is `file` that has it: what else lies in a file under that name is not the model's.
  [[nodiscard]] bool has(const std::string& name, const std::string& file) const;
  [[nodiscard]] const TensorInfo& info(const std::string& name) const;  // throws Error(kBadInput)

  // Reads tensor `name`, whose shape must be `shape`, converted to `dtype` (f32 or bf16, from f32,
  // f16 or bf16), into `into` (exactly its size), in pieces of 4 MiB through `read_at`: nothing of
  // the file stays mapped.
  void read(const std::string& name, std::span<const std::int64_t> shape, DType dtype,
            std::span<std::byte> into) const;

  // Rows [first, first + count) of a matrix, else the same.
  void read_rows(const std::string& name, std::span<const std::int64_t> shape, std::int64_t first,
                 std::int64_t count, DType dtype, std::span<std::byte> into) const;

  // SHA-256 over names, sizes and headers of the files and over 4 KiB at the begin, in the middle
  // and at the end of each tensor: what profiles and runs know a model by. A fused model differs in
  // some tensors only. Not proof against an adversary, nor against the change of a single row.
  [[nodiscard]] std::string fingerprint() const;
  // The fingerprint and when the files were written: what this machine's caches know a model by.
  [[nodiscard]] std::string cache_key() const;

 private:
  std::map<std::string, SafetensorsHeader> files_;  // by file name
  std::map<std::string, std::string> where_;        // tensor -> file name
};

}  // namespace loadline
