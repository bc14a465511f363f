#include "checkpoint/safetensors.h"

#include "unit/checkpoint/hostile_files.h"

namespace loadline {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

// The error for a file of these bytes, read from the disk and parsed from memory alike.
std::string refusal(const std::string& bytes) {
  const TemporaryFolder folder;
  const auto path = folder.path() / "w.safetensors";
  replace_file(path, bytes);
  const std::string from_disk =
      message_of(ErrorKind::kBadInput, [&] { read_safetensors_header(path); });
  const std::string from_memory = message_of(ErrorKind::kBadInput, [&] {
    parse_safetensors_header(std::as_bytes(std::span(bytes)), bytes.size(), path);
  });
  EXPECT_EQ(from_disk, from_memory);
  EXPECT_THAT(from_disk, HasSubstr(path.string()));
  return from_disk;
}

std::string refusal(std::string_view header, std::size_t data_bytes) {
  return refusal(safetensors_bytes(header, std::string(data_bytes, 'x')));
}

TEST(SafetensorsReader, NamesAGitLfsPointerAsThat) {
  EXPECT_THAT(
      refusal(std::string("version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 7\n")),
      AllOf(HasSubstr("is a Git LFS pointer"), HasSubstr("git lfs pull")));
}

TEST(SafetensorsReader, ReadsWhatTheWriterWrote) {
  const TemporaryFolder folder;
  const auto path = folder.path() / "w.safetensors";
  const std::vector<float> a{1, 2, 3, 4, 5, 6};
  const std::vector<std::uint16_t> b{0x3f80, 0x4000};
  const std::vector<TensorToWrite> tensors{
      {.name = "b", .dtype = DType::kBf16, .shape = {2}, .data = std::as_bytes(std::span(b))},
      {.name = "a", .dtype = DType::kF32, .shape = {2, 3}, .data = std::as_bytes(std::span(a))},
      {.name = "none", .dtype = DType::kI64, .shape = {0, 7}, .data = {}},
      {.name = "scalar",
       .dtype = DType::kU8,
       .shape = {},
       .data = std::as_bytes(std::span("x", 1))}};
  write_safetensors(path, tensors, {{"format", "pt"}, {"quote", "\"\n"}});

  const SafetensorsHeader header = read_safetensors_header(path);
  EXPECT_EQ(header.tensors.size(), 4U);
  EXPECT_EQ(header.metadata.at("quote"), "\"\n");
  EXPECT_EQ(header.data_begin % 64, 0U);
  EXPECT_EQ(header.file_size, std::filesystem::file_size(path));
  const TensorInfo& info = header.tensors.at("a");
  EXPECT_EQ(info.dtype, DType::kF32);
  EXPECT_EQ(info.shape, (std::vector<std::int64_t>{2, 3}));
  EXPECT_EQ(info.elements(), 6);
  EXPECT_EQ(info.begin, header.data_begin + 4) << "in the given order: after b";
  std::vector<float> back(6);
  read_at(path, info.begin, std::as_writable_bytes(std::span(back)));
  EXPECT_EQ(back, a);
  EXPECT_EQ(header.tensors.at("scalar").elements(), 1);
}

TEST(SafetensorsReader, AcceptsTheDemoModel) {
  const SafetensorsHeader header =
      read_safetensors_header(LOADLINE_SOURCE_DIR "/demo/model/model.safetensors");
  EXPECT_EQ(header.tensors.at("model.embed_tokens.weight").shape,
            (std::vector<std::int64_t>{2048, 192}));
}

TEST(SafetensorsReader, RefusesAFileTooShortForALength) {
  EXPECT_THAT(refusal(std::string()), HasSubstr("has 0 bytes"));
  EXPECT_THAT(refusal(std::string("1234567")), HasSubstr("has 7 bytes"));
}

TEST(SafetensorsReader, RefusesAnImpossibleHeaderLength) {
  EXPECT_THAT(refusal(length_bytes(0)), HasSubstr("0 bytes"));
  EXPECT_THAT(refusal(length_bytes(1) + "{"), HasSubstr("1 bytes"));
  EXPECT_THAT(refusal(length_bytes(std::uint64_t{1} << 63) + "{}"),
              HasSubstr("9223372036854775808"));
  EXPECT_THAT(refusal(length_bytes(UINT64_MAX) + "{}"), HasSubstr("18446744073709551615"));
  EXPECT_THAT(refusal(length_bytes(UINT64_MAX - 7) + "{}"), HasSubstr("not a safetensors file"));
}

TEST(SafetensorsReader, RefusesAHeaderThatEndsPastTheFile) {
  EXPECT_THAT(refusal(length_bytes(3) + "{}"),
              AllOf(HasSubstr("3 bytes"), HasSubstr("file has 10"), HasSubstr("download")));
}

TEST(SafetensorsReader, RefusesAHeaderThatWasNotReadWhole) {
  const std::string bytes = safetensors_bytes("{}        ", "");
  message_of(ErrorKind::kBadInput, [&] {
    parse_safetensors_header(std::as_bytes(std::span(bytes)).first(12), bytes.size(), "w");
  });
}

TEST(SafetensorsReader, RefusesWhatIsNotAJsonObject) {
  EXPECT_THAT(refusal("not json", 0), HasSubstr("not valid JSON"));
  EXPECT_THAT(refusal("[1, 2]", 0), HasSubstr("not a JSON object"));
  EXPECT_THAT(refusal(R"({"w": 3})", 0), HasSubstr("'w': is not a JSON object"));
  EXPECT_THAT(refusal(std::string("{}\0{}", 5), 0), HasSubstr("not valid JSON"));
  EXPECT_THAT(refusal(std::string(100, '[') + std::string(100, ']'), 0), HasSubstr("deeper"));
}

TEST(SafetensorsReader, RefusesDataThatWasTruncated) {
  EXPECT_THAT(refusal(R"({"wq": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}})", 12),
              AllOf(HasSubstr("'wq'"), HasSubstr("ends at 16"), HasSubstr("12 bytes"),
                    HasSubstr("download")));
}

TEST(SafetensorsReader, RefusesDataThatBelongsToNoTensor) {
  EXPECT_THAT(refusal(R"({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}})", 5),
              HasSubstr("the last tensor ends"));
  EXPECT_THAT(refusal("{}", 1), HasSubstr("the last tensor ends"));
}

TEST(SafetensorsReader, RefusesReversedOffsets) {
  EXPECT_THAT(refusal(R"({"w": {"dtype": "U8", "shape": [4], "data_offsets": [4, 0]}})", 4),
              HasSubstr("begins at 4 but ends at 0"));
}

TEST(SafetensorsReader, RefusesOverlapAndHole) {
  EXPECT_THAT(refusal(R"({"a": {"dtype": "U8", "shape": [4], "data_offsets": [0, 4]},
                          "b": {"dtype": "U8", "shape": [4], "data_offsets": [2, 6]}})",
                      6),
              HasSubstr("overlap"));
  EXPECT_THAT(refusal(R"({"a": {"dtype": "U8", "shape": [4], "data_offsets": [0, 4]},
                          "b": {"dtype": "U8", "shape": [4], "data_offsets": [0, 4]}})",
                      4),
              HasSubstr("overlap"));
  EXPECT_THAT(refusal(R"({"a": {"dtype": "U8", "shape": [2], "data_offsets": [0, 2]},
                          "b": {"dtype": "U8", "shape": [2], "data_offsets": [4, 6]}})",
                      6),
              HasSubstr("hole"));
  EXPECT_THAT(refusal(R"({"a": {"dtype": "U8", "shape": [2], "data_offsets": [2, 4]}})", 4),
              HasSubstr("hole"));
}

TEST(SafetensorsReader, RefusesOffsetsThatAreNotTwoCounts) {
  for (const char* offsets : {"[0]", "[0, 1, 2]", "[-1, 3]", "[0.0, 4.0]", "[\"0\", \"4\"]", "4",
                              "null", "[0, 18446744073709551616]"}) {
    const std::string header =
        fmt::format(R"({{"w": {{"dtype": "U8", "shape": [4], "data_offsets": {}}}}})", offsets);
    EXPECT_THAT(refusal(header, 4), HasSubstr("data_offsets")) << offsets;
  }
  EXPECT_THAT(refusal(R"({"w": {"dtype": "U8", "shape": [4],
                          "data_offsets": [0, 18446744073709551615]}})",
                      4),
              HasSubstr("ends at 18446744073709551615"));
}

TEST(SafetensorsReader, RefusesAShapeThatDoesNotMatchTheBytes) {
  EXPECT_THAT(refusal(R"({"w": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 20]}})", 20),
              AllOf(HasSubstr("(2, 3)"), HasSubstr("24"), HasSubstr("20")));
}

TEST(SafetensorsReader, RefusesAShapeWhoseProductOverflows) {
  // 2^32 x 2^32 is 0 in 64 bits: without the check the tensor would seem to have no bytes.
  EXPECT_THAT(refusal(R"({"w": {"dtype": "U8", "shape": [4294967296, 4294967296],
                          "data_offsets": [0, 0]}})",
                      0),
              HasSubstr("more elements than can be"));
  // The element count fits, its bytes do not.
  EXPECT_THAT(refusal(R"({"w": {"dtype": "F32", "shape": [4611686018427387904],
                          "data_offsets": [0, 0]}})",
                      0),
              HasSubstr("more elements than can be"));
}

TEST(SafetensorsReader, RefusesSizesThatAreNotCounts) {
  for (const char* shape :
       {"[-4]", "[4.0]", "[\"4\"]", "[18446744073709551615]", "4", "null", "[1,1,1,1,1,1,1,1,4]"}) {
    const std::string header =
        fmt::format(R"({{"w": {{"dtype": "U8", "shape": {}, "data_offsets": [0, 4]}}}})", shape);
    EXPECT_THAT(refusal(header, 4), HasSubstr("shape")) << shape;
  }
}

TEST(SafetensorsReader, RefusesAnUnknownDtypeAndListsTheKnown) {
  EXPECT_THAT(refusal(R"({"w": {"dtype": "F8_E4M3", "shape": [4], "data_offsets": [0, 4]}})", 4),
              AllOf(HasSubstr("F8_E4M3"), HasSubstr("BF16")));
  EXPECT_THAT(refusal(R"({"w": {"shape": [4], "data_offsets": [0, 4]}})", 4), HasSubstr("dtype"));
}

TEST(SafetensorsReader, RefusesANameThatStandsTwice) {
  EXPECT_THAT(refusal(R"({"w": {"dtype": "U8", "shape": [2], "data_offsets": [0, 2]},
                          "w": {"dtype": "U8", "shape": [2], "data_offsets": [2, 4]}})",
                      4),
              AllOf(HasSubstr("'w'"), HasSubstr("twice")));
}

TEST(SafetensorsReader, RefusesMetadataThatIsNotText) {
  EXPECT_THAT(refusal(R"({"__metadata__": {"a": 1}})", 0), HasSubstr("'a'"));
  EXPECT_THAT(refusal(R"({"__metadata__": []})", 0), HasSubstr("__metadata__"));
}

TEST(SafetensorsReader, RefusesAMissingFileAndAFolder) {
  const TemporaryFolder folder;
  message_of(ErrorKind::kBadInput, [&] { read_safetensors_header(folder.path() / "no"); });
  message_of(ErrorKind::kBadInput, [&] { read_safetensors_header(folder.path()); });
}

TEST(SafetensorsWriter, RefusesBadTensorsAndLeavesTheOldFile) {
  const TemporaryFolder folder;
  const auto path = folder.path() / "w.safetensors";
  replace_file(path, "old");
  const std::string data = "abcd";
  const auto bytes = std::as_bytes(std::span(data));
  const auto write = [&](std::vector<TensorToWrite> tensors) {
    return message_of(ErrorKind::kBadInput, [&] { write_safetensors(path, tensors, {}); });
  };
  EXPECT_THAT(write({{.name = "w", .dtype = DType::kU8, .shape = {5}, .data = bytes}}),
              AllOf(HasSubstr("(5)"), HasSubstr("4 bytes")));
  EXPECT_THAT(write({{.name = "w", .dtype = DType::kU8, .shape = {4}, .data = bytes},
                     {.name = "w", .dtype = DType::kU8, .shape = {4}, .data = bytes}}),
              HasSubstr("taken"));
  EXPECT_THAT(write({{.name = "__metadata__", .dtype = DType::kU8, .shape = {4}, .data = bytes}}),
              HasSubstr("taken"));
  EXPECT_EQ(read_file(path, 1_KiB), "old");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1);
}

}  // namespace
}  // namespace loadline
