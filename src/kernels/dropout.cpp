#include "kernels/dropout.h"

#include <cmath>

#include "base/split_mix.h"
#include "kernels/storage.h"

namespace loadline {
namespace {

// Places that share one 64-bit draw, 16 bits each.
constexpr std::int64_t kShare = 4;

// Draw number n of the stream `key`, of which no state is kept.
std::uint64_t draw(std::uint64_t key, std::uint64_t n) {
  return split_mixed(key + (n + 1) * kSplitMixGamma);
}

// Calls each(place in the row, factor) for the row's elements.
template <typename Each>
void for_row(const DropoutMask& mask, std::int64_t row, std::int64_t cols, Each each) {
  const auto dropped = static_cast<std::uint64_t>(std::lround(mask.rate * 65536));
  const auto scale = static_cast<float>(65536.0 / (65536.0 - static_cast<double>(dropped)));
  const std::int64_t draws = (cols + kShare - 1) / kShare;
  for (std::int64_t d = 0; d < draws; ++d) {
    const std::uint64_t bits = draw(mask.key, static_cast<std::uint64_t>(row * draws + d));
    const std::int64_t begin = d * kShare;
    const std::int64_t count = cols - begin < kShare ? cols - begin : kShare;
    for (std::int64_t i = 0; i < count; ++i) {
      each(begin + i, ((bits >> (16 * i)) & 0xffffU) >= dropped ? scale : 0.0F);
    }
  }
}

bool worth_threads(ConstView x) { return x.rows * x.cols >= kWorthThreads; }

void check(const DropoutMask& mask, ConstView from, ConstView to) {
  require_same_shape(from, to, "dropout");
  require(from.dtype == to.dtype, "dropout: both matrices are of one type");
  require(mask.rate >= 0 && mask.rate < 1, "dropout: the rate is in [0, 1)");
}

}  // namespace

void dropout_forward(const DropoutMask& mask, ConstView x, View y) {
  check(mask, x, y);
  with_storage(x.dtype, "dropout", [&](auto storage) {
    using T = TypeOf<decltype(storage)>;
#pragma omp parallel for schedule(static) if (worth_threads(x))
    for (std::int64_t t = 0; t < x.rows; ++t) {
      const auto* from = x.row<T>(t);
      auto* to = y.row<T>(t);
      for_row(mask, t, x.cols,
              [&](std::int64_t i, float factor) { to[i] = stored<T>(load(from[i]) * factor); });
    }
  });
}

void dropout_backward(const DropoutMask& mask, ConstView dy, View dx) {
  check(mask, dy, dx);
  with_storage(dy.dtype, "dropout", [&](auto storage) {
    using T = TypeOf<decltype(storage)>;
#pragma omp parallel for schedule(static) if (worth_threads(dy))
    for (std::int64_t t = 0; t < dy.rows; ++t) {
      const auto* from = dy.row<T>(t);
      auto* to = dx.row<T>(t);
      for_row(mask, t, dy.cols, [&](std::int64_t i, float factor) {
        to[i] = stored<T>(load(to[i]) + load(from[i]) * factor);
      });
    }
  });
}

}  // namespace loadline
