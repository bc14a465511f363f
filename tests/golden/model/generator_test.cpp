// Generating token by token against the whole forward, and an adapter against its fused weights.
#include "model/generator.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "golden/model/golden_case.h"
#include "kernels/gemm.h"
#include "model/fuse.h"
#include "model/rope_table.h"

namespace loadline::golden {
namespace {

namespace fs = std::filesystem;

std::unique_ptr<Generator> load(const fs::path& folder, const AnyAdapter& adapter,
                                const GenerationShape& shape) {
  auto generator = std::make_unique<Generator>(read_config(folder), adapter, shape);
  generator->load_weights(WeightFiles(folder));
  return generator;
}

double largest_gap(std::span<const float> a, std::span<const float> b) {
  double gap = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    gap = std::max(gap, std::abs(static_cast<double>(a[i]) - b[i]));
  }
  return gap;
}

std::vector<std::int32_t> some_ids(const ModelConfig& model, std::size_t count) {
  std::vector<std::int32_t> ids;
  for (std::size_t i = 0; i < count; ++i) {
    ids.push_back(
        static_cast<std::int32_t>((i * i * 7 + 3) % static_cast<std::size_t>(model.vocab_size)));
  }
  return ids;
}

std::vector<float> copy_of(std::span<const float> values) { return {values.begin(), values.end()}; }

// The model's weights once more, as float32: then a fused one is not rounded to bf16.
void write_as_f32(const fs::path& from, const fs::path& to) {
  const WeightFiles files(from);
  std::vector<std::vector<float>> values;
  std::vector<TensorToWrite> tensors;
  for (const auto& [name, info] : files.files().begin()->second.tensors) {
    std::vector<float>& data = values.emplace_back(static_cast<std::size_t>(info.elements()));
    const auto bytes = std::as_writable_bytes(std::span(data));
    files.read(name, info.shape, DType::kF32, bytes);
    tensors.push_back({.name = name, .dtype = DType::kF32, .shape = info.shape, .data = bytes});
  }
  write_safetensors(to / "model.safetensors", tensors, {});
  fs::copy(from / "config.json", to);
}

class Generating : public testing::TestWithParam<std::string> {
 protected:
  const GoldenCase golden = read_case(GetParam());
  const AnyAdapter adapter = read_any_adapter(golden.folder / "after", golden.config);
  static constexpr std::size_t kTokens = 24;
  const std::vector<std::int32_t> ids = some_ids(golden.config, kTokens);

  // Quantized as the golden values are.
  [[nodiscard]] GenerationShape of_golden(std::int64_t chunk) const {
    return {.context = kTokens, .chunk = chunk, .quantize = golden.quantize, .threads = 1};
  }
  [[nodiscard]] std::vector<float> logits_of(const fs::path& folder, const AnyAdapter& with) const {
    const auto generator = load(folder, with, {.context = kTokens, .chunk = kTokens, .threads = 1});
    return copy_of(generator->feed(ids));
  }
};

TEST_P(Generating, TokenByTokenGivesTheLogitsOfTheWholeForward) {
  const StepShape shape{.tokens = kTokens,
                        .rows = 1,
                        .longest_row = kTokens,
                        .quantize = golden.quantize,
                        .threads = 1};
  LoraModel model(golden.config, golden.after.lora, shape);
  model.load_weights(WeightFiles(golden.folder));
  model.load_adapter(golden.after);
  const auto generator = load(golden.folder, adapter, of_golden(3));
  // A first piece of one chunk and a part, then one at a time.
  std::vector<float> logits = copy_of(generator->feed(std::span(ids).first(5)));
  std::vector<float> whole(logits.size());
  const bool is_long = takes_long_rope(golden.config, kTokens);
  for (std::size_t count = 5; count <= kTokens; ++count) {
    // A shorter row of longrope's takes the other table; generation takes that of its whole
    // context.
    const bool same_rope =
        takes_long_rope(golden.config, static_cast<std::int64_t>(count)) == is_long;
    OwnedBatch batch;
    batch.add_row(std::span(ids).first(count));
    model.last_logits(batch.view(), whole);
    if (same_rope) {
      EXPECT_LT(largest_gap(logits, whole), 2e-5) << "after " << count << " tokens";
    }
    if (count < kTokens) logits = copy_of(generator->feed(std::span(ids).subspan(count, 1)));
  }
  EXPECT_EQ(generator->position(), static_cast<std::int64_t>(kTokens));
}

TEST_P(Generating, WeightsThatTrainingPreparedAreThoseOfTheFiles) {
  if (golden.quantize == Quantization::kNone) return;  // only quantized ones are prepared
  const TemporaryFolder folder;
  const fs::path prepared = folder.path() / "kept.weights";
  const StepShape step{.tokens = kTokens,
                       .rows = 1,
                       .longest_row = kTokens,
                       .quantize = golden.quantize,
                       .threads = 1};
  LoraModel model(golden.config, golden.after.lora, step);
  model.load_weights(WeightFiles(golden.folder), prepared);
  model.load_adapter(golden.after);
  const auto made = fs::last_write_time(prepared);
  Generator generator(golden.config, adapter, of_golden(kTokens));
  generator.load_weights(WeightFiles(golden.folder), prepared);
  EXPECT_EQ(fs::last_write_time(prepared), made) << "it was made anew";
  OwnedBatch batch;
  batch.add_row(ids);
  std::vector<float> whole(static_cast<std::size_t>(golden.config.vocab_size));
  model.last_logits(batch.view(), whole);
  const std::vector<float> logits = copy_of(generator.feed(ids));
  EXPECT_LT(largest_gap(logits, whole), 2e-5);
  EXPECT_EQ(logits, copy_of(load(golden.folder, adapter, of_golden(kTokens))->feed(ids)));
}

TEST_P(Generating, CompilesNothingAfterTheWarmUp) {
  const auto generator = load(golden.folder, adapter, of_golden(7));
  generator->warm_up();
  const std::size_t compiled = generator->compiled_products();
  generator->feed(std::span(ids).first(20));
  generator->feed(std::span(ids).subspan(20, 1));
  EXPECT_EQ(generator->compiled_products(), compiled);
}

TEST_P(Generating, TheFusedModelGivesTheLogitsOfBaseAndAdapter) {
  const TemporaryFolder folder, exact;
  write_as_f32(golden.folder, exact.path());
  fs::copy(golden.folder / "config.json", folder.path());
  const FuseReport report =
      fuse_weights(WeightFiles(exact.path()), golden.config, adapter, folder.path(), 1);
  EXPECT_EQ(report.matrices, std::ssize(adapter.pairs));
  const std::vector<float> with = logits_of(golden.folder, adapter);
  const std::vector<float> fused = logits_of(folder.path(), {});
  EXPECT_LT(largest_gap(fused, with), 2e-5);
  EXPECT_GT(largest_gap(with, logits_of(golden.folder, {})), 1e-3) << "the adapter changes nothing";
}

TEST_P(Generating, EachPairHasItsOwnRankAndScaleGeneratedOrFused) {
  AnyAdapter uneven = adapter;
  uneven.pairs.erase(uneven.pairs.begin());
  ScaledPair& narrow = uneven.pairs.back();
  uneven.pairs.front().alpha *= 3;
  // The last pair keeps its first row of A and first column of B.
  const std::size_t width = narrow.pair.a.size() / static_cast<std::size_t>(narrow.rank);
  narrow.pair.a.resize(width);
  std::vector<float> first;
  for (std::size_t i = 0; i < narrow.pair.b.size(); i += static_cast<std::size_t>(narrow.rank)) {
    first.push_back(narrow.pair.b[i]);
  }
  narrow.pair.b = first;
  narrow.rank = 1;
  const TemporaryFolder folder, exact;
  write_as_f32(golden.folder, exact.path());
  fs::copy(golden.folder / "config.json", folder.path());
  fuse_weights(WeightFiles(exact.path()), golden.config, uneven, folder.path(), 1);
  const std::vector<float> with = logits_of(golden.folder, uneven);
  EXPECT_LT(largest_gap(logits_of(folder.path(), {}), with), 2e-5);
  EXPECT_GT(largest_gap(with, logits_of(golden.folder, adapter)), 1e-4);
}

INSTANTIATE_TEST_SUITE_P(Cases, Generating, testing::ValuesIn(case_names()),
                         [](const auto& tested) { return tested.param; });

class DemoGenerator : public testing::Test {
 protected:
  const fs::path folder = source_folder() / "demo/model";
  const Json golden = read_json(source_folder() / "demo/golden.json");
};

TEST_F(DemoGenerator, GreedyContinuationIsTheReference) {
  const auto prompt = golden.at("greedy").at("prompt_ids").get<std::vector<std::int32_t>>();
  const auto want = golden.at("greedy").at("ids").get<std::vector<std::int32_t>>();
  const auto context = static_cast<std::int64_t>(prompt.size() + want.size());
  const auto generator =
      load(folder, {},
           {.context = context, .chunk = static_cast<std::int64_t>(prompt.size()), .threads = 2});
  generator->feed(prompt);
  std::vector<std::int32_t> got;
  while (got.size() < want.size()) {
    got.push_back(generator->sample({}, 0));
    generator->feed({&got.back(), 1});
  }
  EXPECT_EQ(got, want);
}

TEST_F(DemoGenerator, AStopIsHeardBetweenThePiecesOfAPrompt) {
  const auto generator = load(folder, {}, {.context = 64, .chunk = 16, .threads = 1});
  const std::vector<std::int32_t> prompt(60, 5);
  int asked = 0;
  EXPECT_TRUE(generator->feed(prompt, [&] { return ++asked == 3; }).empty());
  EXPECT_EQ(generator->position(), 32);
  EXPECT_FALSE(generator->feed(std::span(prompt).first(28), [] { return false; }).empty());
}

TEST_F(DemoGenerator, APromptInPiecesGivesTheLogitsOfOneInAWhole) {
  constexpr std::int64_t kTokens = 200;
  const std::vector<std::int32_t> prompt = some_ids(read_config(folder), kTokens);
  for (const DType compute : {DType::kF32, DType::kBf16}) {
    const auto logits = [&](std::int64_t chunk) {
      const auto generator =
          load(folder, {}, {.context = kTokens, .chunk = chunk, .compute = compute, .threads = 2});
      return copy_of(generator->feed(prompt));
    };
    const std::vector<float> whole = logits(kTokens);
    const double most = compute == DType::kF32 ? 1e-4 : 0.2;
    EXPECT_LT(largest_gap(logits(64), whole), most);
    EXPECT_LT(largest_gap(logits(37), whole), most);
  }
}

TEST_F(DemoGenerator, RefusesWhatItHasNoRoomFor) {
  const auto generator = load(folder, {}, {.context = 2, .chunk = 2, .threads = 1});
  const std::vector<std::int32_t> ids{1, 5, 6};
  EXPECT_THROW(generator->feed(ids), std::logic_error);
  EXPECT_THROW(generator->feed({}), std::logic_error);
  const std::vector<std::int32_t> foreign{2048};
  EXPECT_THROW(generator->feed(foreign), Error);
  EXPECT_THROW(plan_generation(read_config(folder), {}, {.context = 1025, .chunk = 1}), Error);
}

TEST_F(DemoGenerator, WeightsThatAreNotThoseOfTheConfigurationAreNotFused) {
  const TemporaryFolder fused;
  const auto refusal = [&](const ModelConfig& config) -> std::string {
    try {
      fuse_weights(WeightFiles(folder), config, {}, fused.path(), 1);
    } catch (const Error& error) {
      return error.what();
    }
    return "(no error)";
  };
  ModelConfig config = read_config(folder);
  config.vocab_size += 1;
  EXPECT_NE(refusal(config).find("config.json asks for (2049,"), std::string::npos)
      << refusal(config);
  config.vocab_size -= 1;
  config.layers += 1;
  EXPECT_NE(refusal(config).find("'model.layers.6.input_layernorm.weight' is missing"),
            std::string::npos)
      << refusal(config);
  EXPECT_TRUE(fs::is_empty(fused.path()));
}

TEST_F(DemoGenerator, ABf16ModelFusedIsWithinItsRounding) {
  const ModelConfig config = read_config(folder);
  AnyAdapter adapter;
  for (const Projection projection : {Projection::kQ, Projection::kDown}) {
    const ProjectionShape shape = shape_of(config, projection);
    ScaledPair scaled{
        .pair = {.layer = 3, .projection = projection, .a = {}, .b = {}}, .rank = 4, .alpha = 8};
    for (std::int64_t i = 0; i < 4 * shape.in; ++i) {
      scaled.pair.a.push_back(0.05F * static_cast<float>(i % 7 - 3));
    }
    for (std::int64_t i = 0; i < 4 * shape.out; ++i) {
      scaled.pair.b.push_back(0.02F * static_cast<float>(i % 5 - 2));
    }
    adapter.pairs.push_back(std::move(scaled));
  }
  const TemporaryFolder fused;
  fs::copy(folder / "config.json", fused.path());
  fuse_weights(WeightFiles(folder), config, adapter, fused.path(), 2);
  const auto ids = some_ids(config, 12);
  const GenerationShape shape{.context = 12, .chunk = 12, .threads = 2};
  const auto with = load(folder, adapter, shape);
  const auto without = load(folder, {}, shape);
  const auto merged = load(fused.path(), {}, shape);
  const std::vector<float> want = copy_of(with->feed(ids));
  const double effect = largest_gap(want, without->feed(ids));
  EXPECT_GT(effect, 0.05);
  EXPECT_LT(largest_gap(want, merged->feed(ids)), 0.1 * effect);
  const WeightFiles before(folder), after(fused.path());
  EXPECT_EQ(after.info("model.layers.3.mlp.down_proj.weight").dtype, DType::kBf16);
  EXPECT_EQ(before.files().begin()->second.file_size, after.files().begin()->second.file_size);
}

}  // namespace
}  // namespace loadline::golden
