// The kernels between the products; "bytes_per_second" counts what each must read and write.
#include <benchmark/benchmark.h>

#include <vector>

#include "buffer.h"
#include "kernels/adamw.h"
#include "kernels/cross_entropy.h"
#include "kernels/elementwise.h"
#include "kernels/rms_norm.h"
#include "kernels/rope.h"
#include "kernels/swiglu.h"

namespace loadline {
namespace {

constexpr std::int64_t kTokens = 512;

void set_bytes(benchmark::State& state, std::int64_t bytes) {
  state.SetBytesProcessed(state.iterations() * bytes);
}

// Argument: dtype (0 f32, 1 bf16), for all below that take one.
void RmsNormForward(benchmark::State& state) {
  const DType dtype = bench::dtype_of(state.range(0));
  bench::Buffer x(kTokens, 2048, dtype);
  bench::Buffer y(kTokens, 2048, dtype);
  const std::vector<float> weight(2048, 1);
  std::vector<float> rstd(kTokens);
  for (auto _ : state) rms_norm_forward(x.view(), weight, 1e-5F, y.view(), rstd);
  set_bytes(state, 2 * kTokens * 2048 * static_cast<std::int64_t>(size_of(dtype)));
}

void RmsNormBackward(benchmark::State& state) {
  const DType dtype = bench::dtype_of(state.range(0));
  bench::Buffer x(kTokens, 2048, dtype);
  bench::Buffer dy(kTokens, 2048, dtype);
  bench::Buffer dx(kTokens, 2048, dtype);
  const std::vector<float> weight(2048, 1);
  const std::vector<float> rstd(kTokens, 1e-6F);
  for (auto _ : state) rms_norm_backward(dy.view(), x.view(), weight, rstd, dx.view());
  set_bytes(state, 4 * kTokens * 2048 * static_cast<std::int64_t>(size_of(dtype)));
}

void Rope(benchmark::State& state) {
  const DType dtype = bench::dtype_of(state.range(0));
  bench::Buffer x(kTokens, 2048, dtype);
  std::vector<std::int32_t> positions;
  for (std::int32_t t = 0; t < kTokens; ++t) positions.push_back(t);
  const std::vector<float> table(kTokens * 32, 0.6F);
  for (auto _ : state) rope_forward(x.view(), {64, 64}, positions, table, table);
  set_bytes(state, 2 * kTokens * 2048 * static_cast<std::int64_t>(size_of(dtype)));
}

void SwigluForward(benchmark::State& state) {
  const DType dtype = bench::dtype_of(state.range(0));
  bench::Buffer gate(kTokens, 5632, dtype);
  bench::Buffer up(kTokens, 5632, dtype);
  bench::Buffer out(kTokens, 5632, dtype);
  for (auto _ : state) swiglu_forward(gate.view(), up.view(), out.view());
  set_bytes(state, 3 * kTokens * 5632 * static_cast<std::int64_t>(size_of(dtype)));
}

void SwigluBackward(benchmark::State& state) {
  const DType dtype = bench::dtype_of(state.range(0));
  bench::Buffer gate(kTokens, 5632, dtype);
  bench::Buffer up(kTokens, 5632, dtype);
  bench::Buffer out(kTokens, 5632, dtype);
  bench::Buffer dgate(kTokens, 5632, dtype);
  bench::Buffer dup(kTokens, 5632, dtype);
  for (auto _ : state) {
    swiglu_backward(out.view(), gate.view(), up.view(), dgate.view(), dup.view());
  }
  set_bytes(state, 5 * kTokens * 5632 * static_cast<std::int64_t>(size_of(dtype)));
}

void CrossEntropy(benchmark::State& state) {
  constexpr std::int64_t kPanel = 1024;
  const DType dtype = bench::dtype_of(state.range(0));
  bench::Buffer logits(kTokens, kPanel, DType::kF32);
  bench::Buffer weights(kTokens, kPanel, dtype);
  const std::vector<std::int32_t> targets(kTokens, 5);
  std::vector<float> maximum(kTokens), sum(kTokens), target_logit(kTokens), corrections(kTokens);
  const CrossEntropySums sums{maximum, sum, target_logit};
  cross_entropy_begin(targets, kPanel, sums);
  for (auto _ : state) {
    cross_entropy_panel(logits.view(), 0, targets, sums, weights.view(), corrections);
  }
  set_bytes(state, kTokens * kPanel * (4 + static_cast<std::int64_t>(size_of(dtype))));
}

void Add(benchmark::State& state) {
  const DType dtype = bench::dtype_of(state.range(0));
  bench::Buffer x(kTokens, 2048, dtype);
  bench::Buffer y(kTokens, 2048, dtype);
  for (auto _ : state) add(x.view(), y.view());
  set_bytes(state, 3 * kTokens * 2048 * static_cast<std::int64_t>(size_of(dtype)));
}

void ConvertToBf16(benchmark::State& state) {
  bench::Buffer x(kTokens, 2048, DType::kF32);
  bench::Buffer y(kTokens, 2048, DType::kBf16);
  for (auto _ : state) copy(x.view(), y.view());
  set_bytes(state, 6 * kTokens * 2048);
}

void AdamWUpdate(benchmark::State& state) {
  constexpr std::size_t kCount = 4 << 20;
  const std::vector<float> gradient(kCount, 0.01F);
  std::vector<float> parameter(kCount, 0.5F);
  std::vector<float> first(kCount);
  std::vector<float> second(kCount);
  for (auto _ : state)
    adamw_update({.learning_rate = 1e-4F}, 1, gradient, parameter, first, second);
  set_bytes(state, 28 * static_cast<std::int64_t>(kCount));
}

void types(benchmark::internal::Benchmark* bench) {
  bench->ArgName("bf16")->Arg(0)->Arg(1)->UseRealTime();
}
BENCHMARK(RmsNormForward)->Apply(types);
BENCHMARK(RmsNormBackward)->Apply(types);
BENCHMARK(Rope)->Apply(types);
BENCHMARK(SwigluForward)->Apply(types);
BENCHMARK(SwigluBackward)->Apply(types);
BENCHMARK(CrossEntropy)->Apply(types);
BENCHMARK(Add)->Apply(types);
BENCHMARK(ConvertToBf16)->UseRealTime();
BENCHMARK(AdamWUpdate)->UseRealTime();

}  // namespace
}  // namespace loadline
