// Attention of model shapes; "flops" is the rate of those that the causal definition needs.
#include <benchmark/benchmark.h>

#include <cmath>
#include <utility>

#include "buffer.h"
#include "kernels/attention.h"
#include "kernels/gemm.h"
#include "kernels/threads.h"

namespace loadline {
namespace {

// Arguments: row length, rows, NH, NKV, HD, dtype (0 f32, 1 bf16), whether bf16 is multiplied in
// f32.
struct Attention {
  explicit Attention(const benchmark::State& state)
      : length(state.range(0)),
        rows(state.range(1)),
        shape{state.range(2),
              state.range(3),
              state.range(4),
              1.0F / std::sqrt(static_cast<float>(state.range(4))),
              0,
              0,
              state.range(6) == 1},
        dtype(bench::dtype_of(state.range(5))),
        q(length * rows, shape.heads * shape.head_dim, dtype),
        k(length * rows, shape.kv_heads * shape.head_dim, dtype),
        out(q),
        dq(q),
        dk(k),
        dv(k),
        log_sum_exp(static_cast<std::size_t>(shape.heads * length * rows)),
        scratch(attention_scratch(shape, dtype, length * rows, length, threads()).count) {
    for (std::int64_t r = 0; r <= rows; ++r) starts.push_back(static_cast<int>(r * length));
  }
  void forward() {
    attention_forward(q.view(), k.view(), k.view(), starts, shape, out.view(), log_sum_exp,
                      scratch);
  }
  void backward() {
    attention_backward(q.view(), q.view(), k.view(), k.view(), out.view(), log_sum_exp, starts,
                       shape, dq.view(), dk.view(), dv.view(), scratch);
  }
  [[nodiscard]] benchmark::Counter flops(double products) const {
    const auto n = static_cast<double>(length);
    const auto width = static_cast<double>(shape.heads * shape.head_dim * rows);
    return {products * 2.0 * width * n * (n + 1) / 2, benchmark::Counter::kIsIterationInvariantRate,
            benchmark::Counter::kIs1000};
  }

  std::int64_t length, rows;
  AttentionShape shape;
  DType dtype;
  bench::Buffer q, k, out, dq, dk, dv;
  std::vector<float> log_sum_exp;
  std::vector<std::byte> scratch;
  std::vector<std::int32_t> starts;
};

void AttentionForward(benchmark::State& state) {
  Attention attention(state);
  for (auto _ : state) attention.forward();
  state.counters["flops"] = attention.flops(2);
}

void AttentionBackward(benchmark::State& state) {
  Attention attention(state);
  attention.forward();
  for (auto _ : state) attention.backward();
  state.counters["flops"] = attention.flops(5);
}

void shapes(benchmark::internal::Benchmark* bench) {
  bench->ArgNames({"length", "rows", "NH", "NKV", "HD", "bf16", "widen"})->UseRealTime();
  for (const auto& [dtype, widen] : {std::pair<int, int>{0, 0}, {1, 0}, {1, 1}}) {
    bench->Args({512, 1, 9, 3, 64, dtype, widen});
    bench->Args({512, 4, 9, 3, 64, dtype, widen});
    bench->Args({2048, 1, 9, 3, 64, dtype, widen});
    bench->Args({512, 4, 32, 8, 128, dtype, widen});
    bench->Args({100, 8, 9, 3, 64, dtype, widen});
  }
}
BENCHMARK(AttentionForward)->Apply(shapes);
BENCHMARK(AttentionBackward)->Apply(shapes);

}  // namespace
}  // namespace loadline
