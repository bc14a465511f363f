#include "kernels/nf4.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "base/json.h"
#include "golden/model/golden_case.h"

namespace loadline {
namespace {

const Json& golden() {
  static const Json document =
      read_json(golden::source_folder() / "tests/golden/model/data/nf4.json");
  return document;
}

std::string hex(const void* data, std::size_t bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (std::size_t i = 0; i < bytes; ++i) {
    const auto byte = static_cast<const unsigned char*>(data)[i];
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

std::string expected(const char* key) { return json_string(golden(), key, "nf4.json"); }

// The weights of make_nf4_golden.py.
std::vector<float> weights(std::int64_t count) {
  std::vector<float> made;
  for (std::int64_t i = 0; i < count; ++i) {
    const auto index = static_cast<std::uint64_t>(i);
    const auto hash = static_cast<double>(index * 2654435761U % (std::uint64_t{1} << 32));
    const double u = hash / 2147483648.0 - 1.0;
    const double size = 1.0 + static_cast<double>(index / 64 % 7);
    made.push_back(i >= 640 && i < 704 ? 0.0F : static_cast<float>(u * u * u * size * 0.0625));
  }
  return made;
}

struct Quantized {
  std::int64_t rows = golden().at("rows").get<std::int64_t>();
  std::int64_t cols = golden().at("cols").get<std::int64_t>();
  std::vector<std::byte> bytes = std::vector<std::byte>(nf4_bytes(rows, cols).count);

  Quantized() {
    std::vector<float> absmax(static_cast<std::size_t>(rows * cols / kNf4Block));
    Nf4Quantizer quantizer(bytes, rows, cols, absmax);
    const std::vector<float> all = weights(rows * cols);
    const auto split = static_cast<std::size_t>(13 * cols);  // rows come in pieces
    EXPECT_TRUE(quantizer.add(0, std::span(all).first(split)));
    EXPECT_TRUE(quantizer.add(13, std::span(all).subspan(split)));
    quantizer.finish();
  }
  [[nodiscard]] Nf4View view() const {
    return {.data = bytes.data(), .matrix_rows = rows, .first_row = 0, .rows = rows, .cols = cols};
  }
  [[nodiscard]] std::string row(std::int64_t r) const {
    std::vector<float> values(static_cast<std::size_t>(cols));
    nf4_dequantize(view(), r, 0, {values.data(), DType::kF32, 1, cols, cols});
    return hex(values.data(), values.size() * sizeof(float));
  }
};

TEST(Nf4, TheCodeBookAndTheDynamicMapAreThePublishedOnesToTheLastBit) {
  EXPECT_EQ(hex(nf4_code_book().data(), sizeof nf4_code_book()), expected("code_book"));
  EXPECT_EQ(hex(dynamic_map().data(), sizeof dynamic_map()), expected("dynamic_map"));
}

TEST(Nf4, EveryByteOfAQuantizedMatrixIsThatOfTheReference) {
  const Quantized matrix;
  const auto blocks = static_cast<std::size_t>(matrix.rows * matrix.cols / kNf4Block);
  const std::byte* at = matrix.bytes.data();
  EXPECT_EQ(hex(at, blocks * 32), expected("codes"));
  at += blocks * 32;
  EXPECT_EQ(hex(at, blocks), expected("absmax"));
  at += (blocks + 63) / 64 * 64;
  const std::string scales = expected("scales");
  EXPECT_EQ(hex(at, scales.size() / 2), scales);
  EXPECT_EQ(hex(at + scales.size() / 2, sizeof(float)), expected("mean"));
}

TEST(Nf4, DequantizedRowsAreThoseOfTheReferenceToTheLastBit) {
  const Quantized matrix;
  EXPECT_EQ(matrix.row(0), expected("dequantized_first_row"));
  EXPECT_EQ(matrix.row(matrix.rows - 1), expected("dequantized_last_row"));
}

}  // namespace
}  // namespace loadline
