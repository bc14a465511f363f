#include "checkpoint/weights.h"

#include <chrono>
#include <limits>

#include "checkpoint/convert.h"
#include "unit/checkpoint/hostile_files.h"

namespace loadline {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string tensor_file(const std::string& name, const std::vector<float>& values) {
  const std::string header =
      fmt::format(R"({{"{}": {{"dtype": "F32", "shape": [{}], "data_offsets": [0, {}]}}}})", name,
                  values.size(), values.size() * 4);
  const auto* data = reinterpret_cast<const char*>(values.data());
  return safetensors_bytes(header, {data, values.size() * 4});
}

std::vector<float> read_floats(const WeightFiles& files, const std::string& name, std::int64_t n) {
  std::vector<float> values(static_cast<std::size_t>(n));
  files.read(name, std::vector{n}, DType::kF32, std::as_writable_bytes(std::span(values)));
  return values;
}

std::string refusal(const fs::path& folder) {
  return message_of(ErrorKind::kBadInput, [&] { const WeightFiles files(folder); });
}

class ShardedFolder : public ::testing::Test {
 protected:
  void SetUp() override {
    replace_file(path("a.safetensors"), tensor_file("wa", {1, 2}));
    replace_file(path("b.safetensors"), tensor_file("wb", {3, 4, 5}));
    write_index(R"({"wa": "a.safetensors", "wb": "b.safetensors"})");
  }
  [[nodiscard]] fs::path path(const char* name) const { return folder_.path() / name; }
  void write_index(std::string_view map) const {
    replace_file(path("model.safetensors.index.json"), fmt::format(R"({{"weight_map": {}}})", map));
  }
  TemporaryFolder folder_;
};

TEST(Weights, ReadTheDemoModelInItsOwnTypeAndAsFloat) {
  const WeightFiles files(LOADLINE_SOURCE_DIR "/demo/model");
  EXPECT_TRUE(files.has("model.norm.weight"));
  EXPECT_FALSE(files.has("lm_head.weight"));
  EXPECT_EQ(files.info("model.norm.weight").dtype, DType::kBf16);
  std::vector<std::uint16_t> raw(192);
  files.read("model.norm.weight", std::vector<std::int64_t>{192}, DType::kBf16,
             std::as_writable_bytes(std::span(raw)));
  const std::vector<float> values = read_floats(files, "model.norm.weight", 192);
  for (std::size_t i = 0; i < values.size(); ++i) EXPECT_EQ(values[i], bf16_to_float(raw[i]));
  EXPECT_GT(values[0], 0.0F);
}

TEST(Weights, ConvertTensorsLargerThanAPiece) {
  const TemporaryFolder folder;
  const std::int64_t n = (std::int64_t{5} << 20) + 3;  // 10 MiB as f16: three pieces
  std::vector<std::uint16_t> halves(static_cast<std::size_t>(n));
  for (std::size_t i = 0; i < halves.size(); ++i) halves[i] = static_cast<std::uint16_t>(i % 31744);
  const TensorToWrite tensor{
      .name = "w", .dtype = DType::kF16, .shape = {n}, .data = std::as_bytes(std::span(halves))};
  write_safetensors(folder.path() / "model.safetensors", std::span(&tensor, 1), {});
  const std::vector<float> values = read_floats(WeightFiles(folder.path()), "w", n);
  for (std::size_t i = 0; i < values.size(); ++i) {
    ASSERT_EQ(values[i], f16_to_float(halves[i])) << "element " << i;
  }
}

TEST(Weights, RefuseAWrongShapeTypeAndName) {
  const TemporaryFolder folder;
  replace_file(folder.path() / "model.safetensors", tensor_file("w", {1, 2, 3, 4}));
  const WeightFiles files(folder.path());
  std::vector<float> into(4);
  const auto bytes = std::as_writable_bytes(std::span(into));
  const auto read = [&](const char* name, std::vector<std::int64_t> shape, DType dtype) {
    return message_of(ErrorKind::kBadInput, [&] { files.read(name, shape, dtype, bytes); });
  };
  EXPECT_THAT(read("w", {2, 2}, DType::kF32), AllOf(HasSubstr("(4)"), HasSubstr("(2, 2)")));
  EXPECT_THAT(read("w", {4}, DType::kI32), AllOf(HasSubstr("f32"), HasSubstr("i32")));
  EXPECT_THAT(read("w", {4}, DType::kBf16), AllOf(HasSubstr("8 bytes"), HasSubstr("16")));
  EXPECT_THAT(read("nothing", {4}, DType::kF32), HasSubstr("'nothing' is missing"));
}

TEST(Weights, NoticeAFileThatShrankAfterItsHeaderWasChecked) {
  const TemporaryFolder folder;
  const fs::path path = folder.path() / "model.safetensors";
  replace_file(path, tensor_file("w", {1, 2, 3, 4}));
  const WeightFiles files(folder.path());
  fs::resize_file(path, fs::file_size(path) - 4);
  EXPECT_THAT(message_of(ErrorKind::kBadInput, [&] { read_floats(files, "w", 4); }),
              HasSubstr("ends at byte"));
}

TEST_F(ShardedFolder, IsReadThroughItsIndex) {
  const WeightFiles files(folder_.path());
  EXPECT_THAT(read_floats(files, "wa", 2), ElementsAre(1, 2));
  EXPECT_THAT(read_floats(files, "wb", 3), ElementsAre(3, 4, 5));
}

TEST_F(ShardedFolder, ASingleFileBesideTheIndexWins) {
  replace_file(path("model.safetensors"), tensor_file("single", {9}));
  EXPECT_FALSE(WeightFiles(folder_.path()).has("wa"));
}

TEST_F(ShardedFolder, AMissingShardIsNamed) {
  fs::remove(path("b.safetensors"));
  EXPECT_THAT(refusal(folder_.path()),
              AllOf(HasSubstr("b.safetensors"), HasSubstr("'wb'"), HasSubstr("download")));
}

TEST_F(ShardedFolder, AShardWithoutItsTensorIsNamed) {
  write_index(R"({"wa": "a.safetensors", "wc": "b.safetensors"})");
  EXPECT_THAT(refusal(folder_.path()), AllOf(HasSubstr("b.safetensors"), HasSubstr("'wc'")));
}

TEST_F(ShardedFolder, AnIndexCannotLeadOutOfTheFolder) {
  replace_file(path("outside.safetensors"), tensor_file("w", {1}));
  fs::create_directory(path("in"));
  for (const std::string name :
       {"../outside.safetensors", "../../x", "/etc/passwd", "in/../../outside.safetensors",
        "..\\\\outside.safetensors", "", ".", "..", ".safetensors", "model.bin",
        "a.safetensors\\u0000/../b.safetensors"}) {
    replace_file(path("in") / "model.safetensors.index.json",
                 fmt::format(R"({{"weight_map": {{"w": "{}"}}}})", name));
    EXPECT_THAT(refusal(path("in")), HasSubstr("not the plain name")) << name;
  }
}

TEST_F(ShardedFolder, AnIndexThatIsNoMapIsRefused) {
  for (const char* map : {"{}", "[]", "null", "3"}) {
    write_index(map);
    EXPECT_THAT(refusal(folder_.path()), HasSubstr("weight_map")) << map;
  }
  write_index(R"({"wa": 3})");
  EXPECT_THAT(refusal(folder_.path()), HasSubstr("'wa'"));
  replace_file(path("model.safetensors.index.json"), "[");
  EXPECT_THAT(refusal(folder_.path()), HasSubstr("not valid JSON"));
}

TEST(Weights, SayWhatToDoWhereThereAreNone) {
  const TemporaryFolder folder;
  EXPECT_THAT(refusal(folder.path()), HasSubstr("has no model.safetensors"));
  replace_file(folder.path() / "pytorch_model.bin", "x");
  EXPECT_THAT(refusal(folder.path()), AllOf(HasSubstr("*.bin"), HasSubstr("convert")));
  replace_file(folder.path() / "model-00001-of-00002.safetensors", "x");
  EXPECT_THAT(refusal(folder.path()), HasSubstr("model.safetensors.index.json"));
  EXPECT_THAT(refusal(folder.path() / "missing"), HasSubstr("missing"));
}

TEST_F(ShardedFolder, FingerprintChangesWithContentNameAndSizeOnly) {
  const std::string before = WeightFiles(folder_.path()).fingerprint();
  EXPECT_EQ(before.size(), 64U);
  EXPECT_EQ(WeightFiles(folder_.path()).fingerprint(), before);
  replace_file(path("unrelated.txt"), "x");
  EXPECT_EQ(WeightFiles(folder_.path()).fingerprint(), before);
  replace_file(path("b.safetensors"), tensor_file("wb", {3, 4, 6}));
  const std::string changed = WeightFiles(folder_.path()).fingerprint();
  EXPECT_NE(changed, before);
  fs::rename(path("b.safetensors"), path("c.safetensors"));
  write_index(R"({"wa": "a.safetensors", "wb": "c.safetensors"})");
  EXPECT_NE(WeightFiles(folder_.path()).fingerprint(), changed);
}

// As in a fused model, whose adapter reached some layers only.
TEST(Weights, AreToldApartByATensorInTheMiddleOfTheirFile) {
  const TemporaryFolder folder;
  const auto fingerprint_with = [&](char middle) {
    const std::size_t size = std::size_t{3} << 20;
    std::string data(size, 'a');
    std::fill_n(data.begin() + (1 << 20), 1 << 20, middle);
    const auto entry = [](const char* name, int begin) {
      return fmt::format(R"("{}":{{"dtype":"F32","shape":[262144],"data_offsets":[{},{}]}})", name,
                         begin, begin + (1 << 20));
    };
    replace_file(folder.path() / "model.safetensors",
                 safetensors_bytes("{" + entry("x", 0) + "," + entry("y", 1 << 20) + "," +
                                       entry("z", 2 << 20) + "}",
                                   data));
    return WeightFiles(folder.path()).fingerprint();
  };
  EXPECT_EQ(fingerprint_with('b'), fingerprint_with('b'));
  EXPECT_NE(fingerprint_with('b'), fingerprint_with('c'));
}

TEST_F(ShardedFolder, ACacheKnowsThatAFileWasWrittenAgain) {
  const std::string before = WeightFiles(folder_.path()).cache_key();
  EXPECT_EQ(WeightFiles(folder_.path()).cache_key(), before);
  const auto later = fs::last_write_time(path("b.safetensors")) + std::chrono::seconds(1);
  fs::last_write_time(path("b.safetensors"), later);
  EXPECT_NE(WeightFiles(folder_.path()).cache_key(), before);
}

TEST(Conversion, HalfPrecisionValuesAreExact) {
  EXPECT_EQ(f16_to_float(0x0000), 0.0F);
  EXPECT_TRUE(std::signbit(f16_to_float(0x8000)));
  EXPECT_EQ(f16_to_float(0x3c00), 1.0F);
  EXPECT_EQ(f16_to_float(0xc000), -2.0F);
  EXPECT_EQ(f16_to_float(0x7bff), 65504.0F);
  EXPECT_EQ(f16_to_float(0x0400), 0x1p-14F);  // the smallest normal
  EXPECT_EQ(f16_to_float(0x0001), 0x1p-24F);  // the smallest subnormal
  EXPECT_EQ(f16_to_float(0x83ff), -1023 * 0x1p-24F);
  EXPECT_EQ(f16_to_float(0x7c00), std::numeric_limits<float>::infinity());
  EXPECT_EQ(f16_to_float(0xfc00), -std::numeric_limits<float>::infinity());
  EXPECT_TRUE(std::isnan(f16_to_float(0x7e00)));
}

// Every finite half, against the definition: (-1)^s x 2^(e-15) x 1.f, or 2^-14 x 0.f.
TEST(Conversion, EveryHalfPrecisionValueFollowsTheDefinition) {
  for (unsigned bits = 0; bits < 0x7c00; ++bits) {
    const int exponent = static_cast<int>(bits >> 10);
    const auto fraction = static_cast<double>(bits & 0x3ffU) / 1024;
    const double value =
        exponent == 0 ? std::ldexp(fraction, -14) : std::ldexp(1 + fraction, exponent - 15);
    ASSERT_EQ(f16_to_float(static_cast<std::uint16_t>(bits)), static_cast<float>(value)) << bits;
  }
}

TEST(Conversion, ToBf16RoundsToNearestEven) {
  const std::vector<float> in{1.0F, 1.00390625F, 1.01171875F, -1.0F, 3.4e38F};
  std::vector<std::uint16_t> out(in.size());
  convert(DType::kF32, std::as_bytes(std::span(in)), DType::kBf16,
          std::as_writable_bytes(std::span(out)));
  EXPECT_THAT(out, ElementsAre(0x3f80, 0x3f80, 0x3f82, 0xbf80, 0x7f80));
  const std::vector<std::uint16_t> half{0x3c00, 0x7c00};
  out.resize(2);
  convert(DType::kF16, std::as_bytes(std::span(half)), DType::kBf16,
          std::as_writable_bytes(std::span(out)));
  EXPECT_THAT(out, ElementsAre(0x3f80, 0x7f80));
}

TEST(Conversion, EveryF16ComesBackFromAFloat) {
  for (std::uint32_t bits = 0; bits < 65536; ++bits) {
    const auto half = static_cast<std::uint16_t>(bits);
    if (std::isnan(f16_to_float(half))) {
      EXPECT_TRUE(std::isnan(f16_to_float(float_to_f16(f16_to_float(half)))));
    } else {
      ASSERT_EQ(float_to_f16(f16_to_float(half)), half);
    }
  }
}

TEST(Conversion, ToF16RoundsToNearestEven) {
  for (std::uint16_t half = 0; half < 0x7bff; ++half) {
    const float low = f16_to_float(half);
    const float high = f16_to_float(static_cast<std::uint16_t>(half + 1));
    const float middle = (low + high) / 2;  // exact
    const auto even = static_cast<std::uint16_t>(half + (half & 1U));
    ASSERT_EQ(float_to_f16(middle), even) << half;
    ASSERT_EQ(float_to_f16(std::nextafter(middle, 0.0F)), half);
    ASSERT_EQ(float_to_f16(-std::nextafter(middle, 1e9F)), (half + 1) | 0x8000);
  }
  EXPECT_EQ(float_to_f16(65519.0F), 0x7bff);
  EXPECT_EQ(float_to_f16(65520.0F), 0x7c00);
  EXPECT_EQ(float_to_f16(-3e38F), 0xfc00);
}

}  // namespace
}  // namespace loadline
