#include "model/fuse.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "checkpoint/convert.h"
#include "kernels/elementwise.h"
#include "kernels/gemm.h"
#include "kernels/threads.h"
#include "model/frozen_weights.h"
#include "model/workspace.h"

namespace loadline {
namespace {

constexpr std::int64_t kPieceElements = std::int64_t{1} << 20;
constexpr std::int64_t kMostRows = 256;  // of a block: the products' shapes stay few
constexpr float kLargestF16 = 65504.0F;

View matrix(std::span<float> values, std::int64_t rows, std::int64_t cols) {
  return {values.data(), DType::kF32, rows, cols, cols};
}

std::string tensor_name(const LoraPair& pair) {
  return fmt::format("model.layers.{}.{}.weight", pair.layer, module_path(pair.projection));
}

// Writes W + scale * B A, a block of rows at a time. The tensor must be one that
// require_frozen_weights() has looked at.
class Merger {
 public:
  Merger(int threads, const std::function<void()>& go_on)
      : scratch_(Gemm::scratch_bound(threads), "Nothing would need less here: free memory"),
        go_on_(go_on) {
    set_threads(threads);
    gemm_.use_scratch(scratch_.bytes());
  }

  void merge(const SafetensorsHeader& from, const std::string& name, const ScaledPair& scaled,
             ReplacementFile& to) {
    const TensorInfo& info = from.tensors.at(name);
    const std::int64_t rows = info.shape[0];
    const std::int64_t cols = info.shape[1];
    std::vector<float> a = scaled.pair.a;
    std::vector<float> b = scaled.pair.b;
    scale(static_cast<float>(scaled.scale()), matrix(b, rows, scaled.rank));
    const std::int64_t block = std::clamp<std::int64_t>(kPieceElements / cols, 1, kMostRows);
    for (std::int64_t row = 0; row < rows; row += block) {
      go_on_();
      const std::int64_t count = std::min(block, rows - row);
      read_block(from, info, row * cols, count * cols);
      const View b_rows = matrix(b, rows, scaled.rank).slice(row, count);
      gemm_.run(Product::kNN, b_rows, matrix(a, scaled.rank, cols), matrix(values_, count, cols),
                true);
      require_in_range(from, name, info.dtype);
      convert(DType::kF32, std::as_bytes(std::span(values_)), info.dtype, raw_);
      to.write(raw_);
    }
  }

 private:
  void read_block(const SafetensorsHeader& from, const TensorInfo& info, std::int64_t first,
                  std::int64_t count) {
    const std::size_t size = size_of(info.dtype);
    raw_.resize(static_cast<std::size_t>(count) * size);
    values_.resize(static_cast<std::size_t>(count));
    read_at(from.path, info.begin + static_cast<std::uint64_t>(first) * size, raw_);
    convert(info.dtype, raw_, DType::kF32, std::as_writable_bytes(std::span(values_)));
  }
  void require_in_range(const SafetensorsHeader& from, const std::string& name, DType dtype) const {
    const float limit = dtype == DType::kF16 ? kLargestF16 : 3e38F;
    for (const float value : values_) {
      if (std::abs(value) <= limit) continue;
      throw bad_input("{}: tensor '{}' with the adapter has the value {}, which {} cannot hold",
                      from.path.string(), name, value, name_of(dtype));
    }
  }

  Arena scratch_;
  const std::function<void()>& go_on_;
  Gemm gemm_;
  std::vector<std::byte> raw_;
  std::vector<float> values_;
};

using PairsByTensor = std::map<std::string, const ScaledPair*>;

PairsByTensor pairs_by_tensor(const AnyAdapter& adapter) {
  PairsByTensor pairs;
  for (const ScaledPair& scaled : adapter.pairs) pairs.emplace(tensor_name(scaled.pair), &scaled);
  return pairs;
}

void copy_bytes(const SafetensorsHeader& from, std::uint64_t begin, std::uint64_t size,
                ReplacementFile& to, const std::function<void()>& go_on) {
  constexpr std::uint64_t kPiece = std::uint64_t{4} << 20;
  std::vector<std::byte> piece(static_cast<std::size_t>(std::min(size, kPiece)));
  for (std::uint64_t done = 0; done < size; done += kPiece) {
    go_on();
    const auto part =
        std::span(piece).first(static_cast<std::size_t>(std::min(kPiece, size - done)));
    read_at(from.path, begin + done, part);
    to.write(part);
  }
}

// The tensors' names in the order in which they lie in the file.
std::vector<std::string> in_order(const SafetensorsHeader& header) {
  std::vector<std::string> names;
  for (const auto& tensor : header.tensors) names.push_back(tensor.first);
  std::stable_sort(names.begin(), names.end(), [&](const std::string& a, const std::string& b) {
    return header.tensors.at(a).begin < header.tensors.at(b).begin;
  });
  return names;
}

}  // namespace

FuseReport fuse_weights(const WeightFiles& files, const ModelConfig& model,
                        const AnyAdapter& adapter, const std::filesystem::path& folder, int threads,
                        const std::function<void()>& go_on) {
  require_frozen_weights(files, model);  // before anything is written
  const PairsByTensor pairs = pairs_by_tensor(adapter);
  Merger merger(threads, go_on);
  FuseReport report;
  for (const auto& [name, header] : files.files()) {
    ReplacementFile to(folder / name);
    copy_bytes(header, 0, header.data_begin, to, go_on);
    for (const std::string& tensor : in_order(header)) {
      const TensorInfo& info = header.tensors.at(tensor);
      const auto pair = pairs.find(tensor);
      if (pair == pairs.end() || !files.has(tensor, name)) {
        copy_bytes(header, info.begin, info.bytes, to, go_on);
      } else {
        merger.merge(header, tensor, *pair->second, to);
        ++report.matrices;
      }
    }
    to.commit();
    ++report.files;
    report.bytes += Bytes{header.file_size};
  }
  return report;
}

}  // namespace loadline
