#include "kernels/rope.h"

#include "kernels/kernel_times.h"
#include "kernels/storage.h"

namespace loadline {
namespace {

// (a, b) -> (a cos - b sin, b cos + a sin) for the pairs of one head; sign -1 turns back.
template <typename T>
void turn(T* head, const float* cos, const float* sin, float sign, std::int64_t half) {
#pragma omp simd
  for (std::int64_t i = 0; i < half; ++i) {
    const float a = load(head[i]);
    const float b = load(head[i + half]);
    const float s = sign * sin[i];
    head[i] = stored<T>(a * cos[i] - b * s);
    head[i + half] = stored<T>(b * cos[i] + a * s);
  }
}

void rotate(View x, const RopeShape& shape, std::span<const std::int32_t> positions,
            std::span<const float> cos, std::span<const float> sin, float sign) {
  const KernelTimer timer(Kernel::kRope);
  const std::int64_t head_dim = shape.head_dim;
  require(head_dim > 0 && x.cols % head_dim == 0, "rope: columns must be whole heads");
  require(shape.turned > 0 && shape.turned % 2 == 0 && shape.turned <= head_dim,
          "rope: an even number of a head's elements is turned");
  require(static_cast<std::int64_t>(positions.size()) == x.rows, "rope: one position for each row");
  require(cos.size() == sin.size(), "rope: cos and sin must have one size");
  const std::int64_t half = shape.turned / 2;
  const std::int64_t known = static_cast<std::int64_t>(cos.size()) / half;
  for (const auto p : positions) require(p >= 0 && p < known, "rope: position outside the tables");
  with_storage(x.dtype, "rope", [&](auto storage) {
    using T = TypeOf<decltype(storage)>;
#pragma omp parallel for schedule(static) if (x.rows * x.cols >= kWorthThreads)
    for (std::int64_t t = 0; t < x.rows; ++t) {
      const std::int64_t at = positions[static_cast<std::size_t>(t)] * half;
      for (std::int64_t head = 0; head < x.cols; head += head_dim) {
        turn(x.row<T>(t) + head, cos.data() + at, sin.data() + at, sign, half);
      }
    }
  });
}

}  // namespace

void rope_forward(View x, const RopeShape& shape, std::span<const std::int32_t> positions,
                  std::span<const float> cos, std::span<const float> sin) {
  rotate(x, shape, positions, cos, sin, 1.0F);
}

void rope_backward(View dx, const RopeShape& shape, std::span<const std::int32_t> positions,
                   std::span<const float> cos, std::span<const float> sin) {
  rotate(dx, shape, positions, cos, sin, -1.0F);
}

}  // namespace loadline
