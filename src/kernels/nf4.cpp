#include "kernels/nf4.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "kernels/kernel_times.h"
#include "kernels/nf4_reader.h"
#include "kernels/storage.h"

namespace loadline {
namespace {

// Section 2.2 and the reference's create_dynamic_map(signed, 7 exponent bits): for each exponent
// the middles of evenly spaced bounds from 0.1 to 1, both signs, then 0 and 1.
std::array<float, 256> make_dynamic_map() {
  constexpr int kExponents = 7;
  std::array<float, 256> map{};
  std::size_t count = 0;
  for (int exponent = 0; exponent < kExponents; ++exponent) {
    const int items = 1 << exponent;
    const double scale = std::pow(10.0, exponent - (kExponents - 1));
    for (int i = 0; i < items; ++i) {
      const double middle = 0.1 + 0.9 * (i + 0.5) / items;
      map.at(count++) = static_cast<float>(scale * middle);
      map.at(count++) = static_cast<float>(-scale * middle);
    }
  }
  map.at(count++) = 0.0F;
  map.at(count++) = 1.0F;
  std::sort(map.begin(), map.end());
  return map;
}

// The index of the value nearest to x; on a tie the lower one.
template <std::size_t N>
std::uint8_t nearest(const std::array<float, N>& values, float x) {
  const auto above = std::lower_bound(values.begin(), values.end(), x);
  if (above == values.begin()) return 0;
  if (above == values.end()) return N - 1;
  const auto index = static_cast<std::size_t>(above - values.begin());
  const float middle = 0.5F * (values[index - 1] + values[index]);
  return static_cast<std::uint8_t>(x > middle ? index : index - 1);
}

using Bounds = std::array<float, 15>;

// Between two neighbours of the code book.
Bounds make_bounds() {
  Bounds bounds{};
  const auto& book = nf4_code_book();
  for (std::size_t i = 0; i < bounds.size(); ++i) bounds[i] = 0.5F * (book[i] + book[i + 1]);
  return bounds;
}

// Returns the block's absmax, or NaN when a value is not finite.
float quantize_block(const float* values, const Bounds& bounds, std::uint8_t* codes) {
  float absmax = 0;
  bool finite = true;
  for (std::int64_t i = 0; i < kNf4Block; ++i) {
    finite = finite && std::isfinite(values[i]);
    absmax = std::max(absmax, std::fabs(values[i]));
  }
  if (!finite) return std::numeric_limits<float>::quiet_NaN();
  const float inverse = absmax > 0 ? 1.0F / absmax : 0.0F;
  std::array<std::int32_t, kNf4Block> code{};  // how many bounds are below
  for (const float bound : bounds) {
#pragma omp simd
    for (std::size_t i = 0; i < code.size(); ++i) code[i] += values[i] * inverse > bound ? 1 : 0;
  }
  for (std::size_t i = 0; i < code.size(); i += 2) {
    codes[i / 2] = static_cast<std::uint8_t>(code[i] << 4 | code[i + 1]);
  }
  return absmax;
}

}  // namespace

const std::array<float, 16>& nf4_code_book() {
  static constexpr std::array<float, 16> kBook = {-1.0F,
                                                  -0.6961928009986877F,
                                                  -0.5250730514526367F,
                                                  -0.39491748809814453F,
                                                  -0.28444138169288635F,
                                                  -0.18477343022823334F,
                                                  -0.09105003625154495F,
                                                  0.0F,
                                                  0.07958029955625534F,
                                                  0.16093020141124725F,
                                                  0.24611230194568634F,
                                                  0.33791524171829224F,
                                                  0.44070982933044434F,
                                                  0.5626170039176941F,
                                                  0.7229568362236023F,
                                                  1.0F};
  return kBook;
}

const std::array<float, 256>& dynamic_map() {
  static const std::array<float, 256> map = make_dynamic_map();
  return map;
}

Bytes nf4_bytes(std::int64_t rows, std::int64_t cols) {
  return {static_cast<std::uint64_t>(Nf4Layout(rows, cols).end)};
}

Nf4View Nf4View::slice(std::int64_t begin, std::int64_t count) const {
  require(begin >= 0 && count >= 0 && begin + count <= rows, "nf4: rows outside the matrix");
  Nf4View part = *this;
  part.first_row += begin;
  part.rows = count;
  return part;
}

Nf4Quantizer::Nf4Quantizer(std::span<std::byte> into, std::int64_t rows, std::int64_t cols,
                           std::span<float> absmax)
    : into_(into), rows_(rows), cols_(cols), absmax_(absmax) {
  require(cols > 0 && cols % kNf4Block == 0, "nf4: columns must be a multiple of 64");
  require(into.size() >= nf4_bytes(rows, cols).count, "nf4: too few bytes for the matrix");
  require(static_cast<std::int64_t>(absmax.size()) == rows * (cols / kNf4Block),
          "nf4: one absmax for each block");
}

bool Nf4Quantizer::add(std::int64_t first_row, std::span<const float> values) {
  const auto count = static_cast<std::int64_t>(values.size());
  require(count % cols_ == 0 && first_row >= 0 && first_row + count / cols_ <= rows_,
          "nf4: rows outside the matrix");
  static const Bounds bounds = make_bounds();
  const std::int64_t first_block = first_row * (cols_ / kNf4Block);
  const std::int64_t blocks = count / kNf4Block;
  auto* codes = reinterpret_cast<std::uint8_t*>(into_.data()) + first_block * kNf4BlockBytes;
  float* absmax = absmax_.data() + first_block;
#pragma omp parallel for schedule(static) if (count >= kWorthThreads)
  for (std::int64_t b = 0; b < blocks; ++b) {
    absmax[b] = quantize_block(values.data() + b * kNf4Block, bounds, codes + b * kNf4BlockBytes);
  }
  return std::none_of(absmax, absmax + blocks, [](float x) { return std::isnan(x); });
}

void Nf4Quantizer::finish() {
  const Nf4Layout layout(rows_, cols_);
  double sum = 0;
  for (const float x : absmax_) sum += static_cast<double>(x);
  const auto mean =
      static_cast<float>(sum / static_cast<double>(std::max<std::int64_t>(layout.blocks, 1)));
  const auto& map = dynamic_map();
  auto* indices = reinterpret_cast<std::uint8_t*>(into_.data() + layout.absmax);
  for (std::int64_t group = 0; group < nf4_groups(layout.blocks); ++group) {
    const std::int64_t begin = group * kNf4Group;
    const std::int64_t end = std::min(begin + kNf4Group, layout.blocks);
    float scale = 0;
    for (std::int64_t b = begin; b < end; ++b) {
      scale = std::max(scale, std::fabs(absmax_[static_cast<std::size_t>(b)] - mean));
    }
    const float inverse = scale > 0 ? 1.0F / scale : 0.0F;
    for (std::int64_t b = begin; b < end; ++b) {
      indices[b] = nearest(map, (absmax_[static_cast<std::size_t>(b)] - mean) * inverse);
    }
    std::memcpy(into_.data() + layout.scales + group * static_cast<std::int64_t>(sizeof scale),
                &scale, sizeof scale);
  }
  std::memcpy(into_.data() + layout.mean, &mean, sizeof mean);
}

void nf4_dequantize(const Nf4View& from, std::int64_t row, std::int64_t col, View out) {
  const KernelTimer timer(Kernel::kDequantize);
  require(col % kNf4Block == 0 && out.cols % kNf4Block == 0 && col >= 0 &&
              col + out.cols <= from.cols && row >= 0 && row + out.rows <= from.rows,
          "nf4_dequantize: whole blocks inside the matrix");
  const Nf4Reader reader(from);
  with_storage(out.dtype, "nf4_dequantize", [&](auto storage) {
    using T = TypeOf<decltype(storage)>;
#pragma omp parallel for schedule(static) if (out.rows * out.cols >= kWorthThreads)
    for (std::int64_t r = 0; r < out.rows; ++r) {
      reader.read(row + r, col / kNf4Block, out.cols / kNf4Block, out.row<T>(r));
    }
  });
}

}  // namespace loadline
