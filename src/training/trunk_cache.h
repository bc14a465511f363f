// The frozen trunk's outputs on disk: docs/training-state.md. From the second time on that a row is
// used, the layers below the first LoRA layer are read instead of computed.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/data_file.h"
#include "checkpoint/config.h"
#include "model/trunk_store.h"
#include "text/packed.h"
#include "training/settings.h"

namespace loadline {

// The file's size when all rows are in it; it never grows beyond that. `valid` may be null.
Bytes trunk_cache_bytes(const TrainingSettings& settings, const ModelConfig& model,
                        const PackedRows& train, const PackedRows* valid);

// Throws Error(kUsage) naming both amounts when the cache would need more than `limit`, or more
// than 90 % of what `free` says is left.
void require_room(Bytes needed, Bytes limit, Bytes free);

class TrunkCache final : public TrunkStore {
 public:
  // Where it lies in a run's folder.
  static std::filesystem::path path_in(const std::filesystem::path& folder);
  // Where there is one: what a run made that was resumed without it too.
  static void remove_in(const std::filesystem::path& folder);

  // Row `key` has `lengths[key]` tokens. What the file holds is used when it was made for the same
  // `identity` (64 characters), else it begins anew. Each row is checked by its sum when it is
  // read: what a crash tore is computed again.
  TrunkCache(const std::filesystem::path& path, const std::string& identity,
             const std::vector<std::int64_t>& lengths, std::uint64_t bytes_per_token);

  bool load(const Batch& batch, std::span<std::byte> tokens) override;
  // Where the disk refuses, what was written is given back to it and all is computed from then on;
  // given_up() then says why.
  void store(const Batch& batch, std::span<const std::byte> tokens) override;
  [[nodiscard]] const std::string& given_up() const { return given_up_; }  // empty: it is not

  [[nodiscard]] std::int64_t batches_read() const { return read_; }
  [[nodiscard]] std::int64_t batches_computed() const { return computed_; }

 private:
  void begin_anew(const std::string& identity);
  void write_rows(const Batch& batch, std::span<const std::byte> tokens);
  // Calls each(key, the row's bytes within `tokens`) until one says false.
  template <typename Bytes_, typename Each>
  bool for_rows(const Batch& batch, Bytes_ tokens, Each each) const;

  DataFile file_;
  std::uint64_t bytes_per_token_;
  std::vector<std::uint64_t> offsets_;  // of each row's bytes, and the end
  std::vector<std::uint64_t> sums_;     // of each row; 0: not there
  std::int64_t read_ = 0, computed_ = 0;
  std::string given_up_;
};

// The cache of the run in `folder`: keys are the training rows, then the validation rows. `weights`
// is WeightFiles::cache_key().
TrunkCache open_trunk_cache(const std::filesystem::path& folder, const TrainingSettings& settings,
                            const ModelConfig& model, const std::string& weights,
                            const PackedRows& train, const PackedRows* valid);

}  // namespace loadline
