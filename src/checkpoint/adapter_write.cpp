// Adapters as files: PEFT's and mlx-lm's.
#include <algorithm>
#include <span>
#include <system_error>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "checkpoint/adapter.h"
#include "checkpoint/adapter_files.h"
#include "checkpoint/mlx.h"
#include "checkpoint/peft.h"
#include "checkpoint/safetensors.h"

namespace loadline {
namespace fs = std::filesystem;
namespace {

std::vector<std::int64_t> layers_of(const Adapter& adapter) {
  std::vector<std::int64_t> layers;
  for (const LoraPair& pair : adapter.pairs) layers.push_back(pair.layer);
  std::sort(layers.begin(), layers.end());
  layers.erase(std::unique(layers.begin(), layers.end()), layers.end());
  return layers;
}

TensorToWrite peft_tensor(const LoraPair& pair, bool is_a, std::int64_t rank) {
  const std::vector<float>& values = is_a ? pair.a : pair.b;
  const std::int64_t other = std::ssize(values) / rank;
  return {.name = peft_name({.layer = pair.layer, .projection = pair.projection, .is_a = is_a}),
          .dtype = DType::kF32,
          .shape = is_a ? std::vector{rank, other} : std::vector{other, rank},
          .data = std::as_bytes(std::span(values))};
}

void write_peft(const fs::path& folder, const Adapter& adapter) {
  std::vector<TensorToWrite> tensors;
  for (const LoraPair& pair : adapter.pairs) {
    tensors.push_back(peft_tensor(pair, true, adapter.lora.rank));
    tensors.push_back(peft_tensor(pair, false, adapter.lora.rank));
  }
  write_safetensors(folder / kPeftTensors, tensors, {{"format", "pt"}});
  // Last, as a reader takes the folder for an adapter once it is there.
  replace_file(folder / kAdapterConfig, peft_config(adapter, layers_of(adapter)).dump(2) + "\n");
}

// The transpose of PEFT's shape: A (in, rank), B (rank, out).
TensorShape mlx_tensor(const LoraPair& pair, bool is_a, std::int64_t rank) {
  const std::int64_t other = std::ssize(is_a ? pair.a : pair.b) / rank;
  return {.name = mlx_name({.layer = pair.layer, .projection = pair.projection, .is_a = is_a}),
          .dtype = DType::kF32,
          .shape = is_a ? std::vector{other, rank} : std::vector{rank, other}};
}

// One transposed matrix at a time: an adapter is saved without a copy of it.
void write_mlx(const fs::path& folder, const Adapter& adapter) {
  const std::int64_t rank = adapter.lora.rank;
  std::vector<TensorShape> shapes;
  for (const LoraPair& pair : adapter.pairs) {
    shapes.push_back(mlx_tensor(pair, true, rank));
    shapes.push_back(mlx_tensor(pair, false, rank));
  }
  SafetensorsFile file(folder / kMlxTensors, shapes, {{"format", "mlx"}});
  for (const LoraPair& pair : adapter.pairs) {
    const std::vector<float> a = transposed(pair.a, rank, std::ssize(pair.a) / rank);
    file.write(std::as_bytes(std::span(a)));
    const std::vector<float> b = transposed(pair.b, std::ssize(pair.b) / rank, rank);
    file.write(std::as_bytes(std::span(b)));
  }
  file.commit();
  replace_file(folder / kAdapterConfig, mlx_config(adapter).dump(2) + "\n");
}

void require_whole(const fs::path& folder, const Adapter& adapter) {
  const std::int64_t rank = adapter.lora.rank;
  if (rank < 1) throw usage_error("{}: an adapter of rank {} cannot be", folder.string(), rank);
  for (const LoraPair& pair : adapter.pairs) {
    if (std::ssize(pair.a) % rank == 0 && std::ssize(pair.b) % rank == 0) continue;
    throw bad_input("{}: layer {} {} has {} and {} values, which rank {} does not divide",
                    folder.string(), pair.layer, name_of(pair.projection), pair.a.size(),
                    pair.b.size(), rank);
  }
}

}  // namespace

std::vector<float> transposed(std::span<const float> values, std::int64_t rows, std::int64_t cols) {
  std::vector<float> result(values.size());
  for (std::int64_t row = 0; row < rows; ++row) {
    for (std::int64_t col = 0; col < cols; ++col) {
      result[static_cast<std::size_t>(col * rows + row)] =
          values[static_cast<std::size_t>(row * cols + col)];
    }
  }
  return result;
}

std::string_view name_of(AdapterFormat format) {
  switch (format) {
    case AdapterFormat::kPeft:
      return "peft";
    case AdapterFormat::kMlx:
      return "mlx";
    case AdapterFormat::kBoth:
      return "both";
  }
  return "?";
}

AdapterFormat parse_adapter_format(std::string_view text) {
  for (const auto format : {AdapterFormat::kPeft, AdapterFormat::kMlx, AdapterFormat::kBoth}) {
    if (name_of(format) == text) return format;
  }
  throw usage_error("--adapter-format {}: should be peft, mlx or both", text);
}

void write_adapter(const fs::path& folder, const Adapter& adapter, AdapterFormat format) {
  require_whole(folder, adapter);
  make_folder(folder);
  if (format != AdapterFormat::kMlx) write_peft(folder, adapter);
  if (format == AdapterFormat::kMlx) write_mlx(folder, adapter);
  if (format != AdapterFormat::kBoth) return;
  make_folder(folder / "mlx");
  write_mlx(folder / "mlx", adapter);
}

bool holds_adapter(const fs::path& folder) {
  return is_there(folder / kAdapterConfig) || is_there(folder / kPeftTensors) ||
         is_there(folder / kMlxTensors);
}

void remove_adapters(const fs::path& folder, std::optional<AdapterFormat> kept) {
  std::error_code ignored;  // What cannot be removed is overwritten, or fails there.
  // First, as a reader takes the folder for an adapter as long as it is there.
  if (!kept) fs::remove(folder / kAdapterConfig, ignored);
  if (!kept || kept == AdapterFormat::kMlx) fs::remove(folder / kPeftTensors, ignored);
  if (kept != AdapterFormat::kMlx) fs::remove(folder / kMlxTensors, ignored);
  if (kept == AdapterFormat::kBoth) return;
  fs::remove(folder / "mlx" / kAdapterConfig, ignored);
  fs::remove(folder / "mlx" / kMlxTensors, ignored);
  fs::remove(folder / "mlx", ignored);  // unless there is more in it
}

}  // namespace loadline
