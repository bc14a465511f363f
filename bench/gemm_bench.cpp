// Products of model shapes. bench_kernels --benchmark_filter=Gemm; "flops" is a rate.
#include <benchmark/benchmark.h>

#include "buffer.h"
#include "kernels/gemm.h"
#include "kernels/threads.h"

namespace loadline {
namespace {

// Arguments: product, T, N, K (of a linear layer with weight (N, K)), dtype (0 f32, 1 bf16).
void Gemm_(benchmark::State& state) {
  const auto product = static_cast<Product>(state.range(0));
  const std::int64_t tokens = state.range(1);
  const std::int64_t n = state.range(2);
  const std::int64_t k = state.range(3);
  const DType dtype = bench::dtype_of(state.range(4));
  const auto scratch_bytes = static_cast<std::int64_t>(Gemm::scratch_bound(threads()).count);
  bench::Buffer scratch(scratch_bytes / 4, 1, DType::kF32);
  bench::Buffer x(tokens, k, dtype);
  bench::Buffer y(tokens, n, dtype);
  bench::Buffer weight(n, k, product == Product::kTN ? DType::kF32 : dtype);
  Gemm gemm;
  gemm.use_scratch(std::as_writable_bytes(
      std::span(scratch.view().row<float>(0), static_cast<std::size_t>(scratch_bytes / 4))));
  const auto run = [&] {
    if (product == Product::kNT) gemm.run(product, x.view(), weight.view(), y.view(), false);
    if (product == Product::kNN) gemm.run(product, y.view(), weight.view(), x.view(), false);
    if (product == Product::kTN) gemm.run(product, y.view(), x.view(), weight.view(), true);
  };
  run();
  for (auto _ : state) run();
  state.counters["flops"] = benchmark::Counter(2.0 * static_cast<double>(tokens * n * k),
                                               benchmark::Counter::kIsIterationInvariantRate,
                                               benchmark::Counter::kIs1000);
}

void shapes(benchmark::internal::Benchmark* bench) {
  const std::int64_t widths[][2] = {{576, 576},   {1536, 576}, {2048, 2048},
                                    {5632, 2048}, {16, 2048},  {2048, 16}};
  for (const std::int64_t dtype : {0, 1}) {
    for (const auto& [n, k] : widths) {
      for (const std::int64_t product : {0, 1, 2}) {
        for (const std::int64_t tokens : {100, 300, 511, 512, 2048}) {
          bench->Args({product, tokens, n, k, dtype});
        }
      }
    }
  }
}
BENCHMARK(Gemm_)
    ->Name("Gemm")
    ->ArgNames({"product", "T", "N", "K", "bf16"})
    ->Apply(shapes)
    ->UseRealTime();

}  // namespace
}  // namespace loadline
