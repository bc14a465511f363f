#include "kernels/elementwise.h"

#include <cstring>

#include "base/split_mix.h"
#include "kernels/exponential.h"
#include "kernels/kernel_times.h"
#include "kernels/storage.h"

namespace loadline {
namespace {

template <typename From, typename To>
void copy_row(const From* from, To* to, std::int64_t count) {
  if constexpr (std::is_same_v<From, To>) {
    std::memcpy(to, from, static_cast<std::size_t>(count) * sizeof(From));
  } else {
#pragma omp simd
    for (std::int64_t i = 0; i < count; ++i) to[i] = stored<To>(load(from[i]));
  }
}

bool worth_threads(ConstView x) { return x.rows * x.cols >= kWorthThreads; }

}  // namespace

void embedding_forward(ConstView table, std::span<const std::int32_t> ids, View out) {
  const KernelTimer timer(Kernel::kElementwise);
  require(table.cols == out.cols && static_cast<std::int64_t>(ids.size()) == out.rows,
          "embedding: out must be (ids, table columns)");
  with_storage(table.dtype, "embedding table", [&](auto from) {
    with_storage(out.dtype, "embedding output", [&](auto to) {
#pragma omp parallel for schedule(static) if (worth_threads(out))
      for (std::int64_t t = 0; t < out.rows; ++t) {
        copy_row(table.row<TypeOf<decltype(from)>>(ids[static_cast<std::size_t>(t)]),
                 out.row<TypeOf<decltype(to)>>(t), out.cols);
      }
    });
  });
}

void copy(ConstView from, View to) {
  const KernelTimer timer(Kernel::kElementwise);
  require_same_shape(from, to, "copy");
  with_storage(from.dtype, "copy source", [&](auto source) {
    with_storage(to.dtype, "copy target", [&](auto target) {
#pragma omp parallel for schedule(static) if (worth_threads(to))
      for (std::int64_t t = 0; t < to.rows; ++t) {
        copy_row(from.row<TypeOf<decltype(source)>>(t), to.row<TypeOf<decltype(target)>>(t),
                 to.cols);
      }
    });
  });
}

void add(ConstView from, View to) {
  const KernelTimer timer(Kernel::kElementwise);
  require_same_shape(from, to, "add");
  with_storage(from.dtype, "add source", [&](auto source) {
    with_storage(to.dtype, "add target", [&](auto target) {
      using To = TypeOf<decltype(target)>;
#pragma omp parallel for schedule(static) if (worth_threads(to))
      for (std::int64_t t = 0; t < to.rows; ++t) {
        const auto* x = from.row<TypeOf<decltype(source)>>(t);
        auto* y = to.row<To>(t);
#pragma omp simd
        for (std::int64_t i = 0; i < to.cols; ++i) y[i] = stored<To>(load(y[i]) + load(x[i]));
      }
    });
  });
}

void add_bias(std::span<const float> bias, View to) {
  const KernelTimer timer(Kernel::kElementwise);
  require(static_cast<std::int64_t>(bias.size()) == to.cols, "add_bias: one bias for each column");
  with_storage(to.dtype, "add_bias target", [&](auto target) {
    using To = TypeOf<decltype(target)>;
#pragma omp parallel for schedule(static) if (worth_threads(to))
    for (std::int64_t t = 0; t < to.rows; ++t) {
      const float* b = bias.data();
      auto* y = to.row<To>(t);
#pragma omp simd
      for (std::int64_t i = 0; i < to.cols; ++i) y[i] = stored<To>(load(y[i]) + b[i]);
    }
  });
}

void scale(float factor, View x) {
  const KernelTimer timer(Kernel::kElementwise);
  with_storage(x.dtype, "scale", [&](auto storage) {
    using T = TypeOf<decltype(storage)>;
#pragma omp parallel for schedule(static) if (worth_threads(x))
    for (std::int64_t t = 0; t < x.rows; ++t) {
      auto* y = x.row<T>(t);
#pragma omp simd
      for (std::int64_t i = 0; i < x.cols; ++i) y[i] = stored<T>(load(y[i]) * factor);
    }
  });
}

void scale_rows(std::span<const float> factors, View x) {
  const KernelTimer timer(Kernel::kElementwise);
  require(static_cast<std::int64_t>(factors.size()) == x.rows && x.dtype == DType::kF32,
          "scale_rows: a factor for each row of f32");
#pragma omp parallel for schedule(static) if (worth_threads(x))
  for (std::int64_t t = 0; t < x.rows; ++t) {
    const float factor = factors[static_cast<std::size_t>(t)];
    if (factor == 1.0F) continue;
    auto* row = x.row<float>(t);
#pragma omp simd
    for (std::int64_t i = 0; i < x.cols; ++i) row[i] *= factor;
  }
}

void shift(float by, View x) {
  const KernelTimer timer(Kernel::kElementwise);
  with_storage(x.dtype, "shift", [&](auto storage) {
    using T = TypeOf<decltype(storage)>;
#pragma omp parallel for schedule(static) if (worth_threads(x))
    for (std::int64_t t = 0; t < x.rows; ++t) {
      auto* y = x.row<T>(t);
#pragma omp simd
      for (std::int64_t i = 0; i < x.cols; ++i) y[i] = stored<T>(load(y[i]) + by);
    }
  });
}

void softcap(float cap, View x) {
  const KernelTimer timer(Kernel::kElementwise);
  const float inverse = 1.0F / cap;
  with_storage(x.dtype, "softcap", [&](auto storage) {
    using T = TypeOf<decltype(storage)>;
#pragma omp parallel for schedule(static) if (worth_threads(x))
    for (std::int64_t t = 0; t < x.rows; ++t) {
      auto* y = x.row<T>(t);
#pragma omp simd
      for (std::int64_t i = 0; i < x.cols; ++i) {
        y[i] = stored<T>(cap * hyperbolic_tangent(load(y[i]) * inverse));
      }
    }
  });
}

void set_zero(View x) {
  const KernelTimer timer(Kernel::kElementwise);
  const auto bytes = static_cast<std::size_t>(x.cols) * size_of(x.dtype);
  const auto step = x.stride * static_cast<std::int64_t>(size_of(x.dtype));
  auto* data = static_cast<std::byte*>(x.data);
#pragma omp parallel for schedule(static) if (worth_threads(x))
  for (std::int64_t t = 0; t < x.rows; ++t) std::memset(data + t * step, 0, bytes);
}

void fill_uniform(std::uint64_t seed, float bound, View x) {
  const KernelTimer timer(Kernel::kElementwise);
  with_storage(x.dtype, "fill_uniform", [&](auto storage) {
    using T = TypeOf<decltype(storage)>;
#pragma omp parallel for schedule(static) if (worth_threads(x))
    for (std::int64_t t = 0; t < x.rows; ++t) {
      auto* y = x.row<T>(t);
      const std::uint64_t first = seed + static_cast<std::uint64_t>(t * x.cols);
      for (std::int64_t i = 0; i < x.cols; ++i) {
        const std::uint64_t bits =
            split_mixed(first + static_cast<std::uint64_t>(i) + kSplitMixGamma) >> 40;
        y[i] = stored<T>(bound * (static_cast<float>(bits) * 0x1p-23F - 1.0F));
      }
    }
  });
}

}  // namespace loadline
