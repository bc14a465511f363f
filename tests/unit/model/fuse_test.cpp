#include "model/fuse.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/json.h"

namespace loadline {
namespace {

namespace fs = std::filesystem;

const fs::path kFusedModel = LOADLINE_SOURCE_DIR "/demo/model";
constexpr const char* kMerged = "model.layers.5.self_attn.q_proj.weight";
constexpr const char* kShard = "b.safetensors";

// The demo's weights, and a second shard that has the tensor `kMerged` too, which the index does
// not say.
void write_shards(const fs::path& folder, const std::vector<std::int64_t>& shape) {
  replace_file(folder / "a.safetensors", read_file(kFusedModel / "model.safetensors", 64_MiB));
  std::size_t elements = 1;
  for (const std::int64_t extent : shape) elements *= static_cast<std::size_t>(extent);
  const std::vector<std::byte> twin(2 * elements, std::byte{7});
  const std::vector<float> head(4);
  const std::vector<TensorToWrite> tensors{
      {.name = kMerged, .dtype = DType::kBf16, .shape = shape, .data = twin},
      {.name = "lm_head.weight",
       .dtype = DType::kF32,
       .shape = {4},
       .data = std::as_bytes(std::span(head))}};
  write_safetensors(folder / kShard, tensors, {});
  Json where{{"lm_head.weight", kShard}};
  const WeightFiles demo(kFusedModel);
  for (const auto& tensor : demo.files().begin()->second.tensors) {
    where[tensor.first] = "a.safetensors";
  }
  replace_file(folder / "model.safetensors.index.json", Json{{"weight_map", where}}.dump());
}

AnyAdapter one_pair(const ModelConfig& model) {
  const ProjectionShape shape = shape_of(model, Projection::kQ);
  const LoraPair pair{.layer = 5,
                      .projection = Projection::kQ,
                      .a = std::vector<float>(static_cast<std::size_t>(shape.in), 0.5F),
                      .b = std::vector<float>(static_cast<std::size_t>(shape.out), 0.5F)};
  return {.base_model = "", .pairs = {{.pair = pair, .rank = 1, .alpha = 1}}};
}

TEST(Fuse, ATensorOfAFileThatTheIndexDoesNotNameForItIsCopiedAsItIs) {
  const ModelConfig model = read_config(kFusedModel);
  for (const std::vector<std::int64_t>& shape :
       std::vector<std::vector<std::int64_t>>{{4000, 192}, {200'000'000, 0}, {3}}) {
    SCOPED_TRACE(shape_text(shape));
    const TemporaryFolder from, to;
    write_shards(from.path(), shape);
    const FuseReport report =
        fuse_weights(WeightFiles(from.path()), model, one_pair(model), to.path(), 1);
    EXPECT_EQ(report.matrices, 1);
    EXPECT_TRUE(read_file(to.path() / kShard, 64_MiB) == read_file(from.path() / kShard, 64_MiB));
    EXPECT_FALSE(read_file(to.path() / "a.safetensors", 64_MiB) ==
                 read_file(from.path() / "a.safetensors", 64_MiB));
  }
}

}  // namespace
}  // namespace loadline
