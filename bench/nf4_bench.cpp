// Dequantizing: panels of rows as the forward takes them, of columns as the backward does; and the
// f32 panels of a widened product, of NF4 and of bf16.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <vector>

#include "kernels/gemm.h"
#include "kernels/nf4.h"
#include "kernels/nf4_product.h"
#include "kernels/threads.h"
#include "kernels/wide_panel.h"

namespace loadline {
namespace {

struct Quantized {
  std::int64_t rows, cols;
  std::vector<std::byte> bytes;
  Quantized(std::int64_t r, std::int64_t c) : rows(r), cols(c), bytes(nf4_bytes(r, c).count) {
    std::vector<float> values(static_cast<std::size_t>(r * c));
    for (std::size_t i = 0; i < values.size(); ++i) {
      values[i] = static_cast<float>(i * 2654435761U % 65536) / 65536.0F - 0.5F;
    }
    std::vector<float> absmax(static_cast<std::size_t>(r * c / kNf4Block));
    Nf4Quantizer quantizer(bytes, r, c, absmax);
    benchmark::DoNotOptimize(quantizer.add(0, values));
    quantizer.finish();
  }
  [[nodiscard]] Nf4View view() const { return {bytes.data(), rows, 0, rows, cols}; }
};

void panel(benchmark::State& state, bool columns) {
  set_threads(static_cast<int>(state.range(2)));
  const std::int64_t rows = state.range(0);
  const std::int64_t cols = state.range(1);
  const Quantized weights(rows, cols);
  const std::int64_t width = columns ? nf4_panel(cols, rows) : nf4_panel(rows, cols);
  std::vector<std::uint16_t> out(static_cast<std::size_t>(width * (columns ? rows : cols)));
  std::int64_t at = 0;
  for (auto _ : state) {
    if (columns) {
      nf4_dequantize(weights.view(), 0, at, {out.data(), DType::kBf16, rows, width, width});
      at = at + 2 * width > cols ? 0 : at + width;
    } else {
      nf4_dequantize(weights.view(), at, 0, {out.data(), DType::kBf16, width, cols, cols});
      at = at + 2 * width > rows ? 0 : at + width;
    }
  }
  state.counters["weights/s"] =
      benchmark::Counter(static_cast<double>(out.size()) * static_cast<double>(state.iterations()),
                         benchmark::Counter::kIsRate);
}

// All panels of W (rows, cols) once, as a widened forward (transposed) or backward makes them.
template <typename Weights>
void widen_all(benchmark::State& state, const Weights& weights, bool transposed) {
  constexpr std::int64_t kDepth = 1024;
  const std::int64_t columns = transposed ? state.range(0) : state.range(1);
  const std::int64_t inner = transposed ? state.range(1) : state.range(0);
  for (auto _ : state) {
#pragma omp parallel
    {
      std::vector<float> panel(static_cast<std::size_t>(kDepth * wide::kColumns));
#pragma omp for schedule(dynamic, 1)
      for (std::int64_t column = 0; column < columns; column += wide::kColumns) {
        for (std::int64_t k = 0; k < inner; k += kDepth) {
          const wide::Part part{.column = column,
                                .columns = std::min(wide::kColumns, columns - column),
                                .inner = k,
                                .depth = std::min(kDepth, inner - k)};
          if (transposed) {
            wide::widen_transposed(weights, part, panel.data());
          } else {
            wide::widen_as_it_lies(weights, part, panel.data());
          }
          benchmark::DoNotOptimize(panel.data());
          benchmark::ClobberMemory();
        }
      }
    }
  }
  state.counters["weights/s"] = benchmark::Counter(
      static_cast<double>(columns * inner) * static_cast<double>(state.iterations()),
      benchmark::Counter::kIsRate);
}

void WidenNf4(benchmark::State& state) {
  set_threads(2);
  const Quantized weights(state.range(0), state.range(1));
  widen_all(state, wide::Nf4Weights(weights.view()), state.range(2) != 0);
}
void WidenBf16(benchmark::State& state) {
  set_threads(2);
  const std::int64_t rows = state.range(0);
  const std::int64_t cols = state.range(1);
  std::vector<std::uint16_t> values(static_cast<std::size_t>(rows * cols), 0x3f80);
  widen_all(state, wide::Bf16Weights({values.data(), DType::kBf16, rows, cols, cols}),
            state.range(2) != 0);
}
constexpr auto kForwardAndBackward = [](auto* bench) {
  bench->ArgNames({"rows", "cols", "forward"})->UseRealTime();
  for (const std::int64_t forward : {1, 0}) bench->Args({5632, 2048, forward});
};
BENCHMARK(WidenNf4)->Apply(kForwardAndBackward);
BENCHMARK(WidenBf16)->Apply(kForwardAndBackward);

void Nf4Rows(benchmark::State& state) { panel(state, false); }
void Nf4Columns(benchmark::State& state) { panel(state, true); }
BENCHMARK(Nf4Rows)->Args({5632, 2048, 1})->Args({5632, 2048, 2})->Args({14336, 4096, 2});
BENCHMARK(Nf4Columns)->Args({5632, 2048, 1})->Args({5632, 2048, 2})->Args({14336, 4096, 2});

}  // namespace
}  // namespace loadline
