#include "kernels/attention.h"

#include <fmt/format.h>
#include <omp.h>

#include <algorithm>
#include <memory>
#include <numeric>
#include <stdexcept>
#include <vector>

#include "kernels/attention_blocks.h"
#include "kernels/attention_tiles.h"
#include "kernels/attention_units.h"
#include "kernels/gemm.h"
#include "kernels/kernel_times.h"

namespace loadline {
namespace attention {

std::int64_t longest_row(std::span<const std::int32_t> row_starts) {
  std::int64_t longest = 0;
  for (std::size_t r = 0; r + 1 < row_starts.size(); ++r) {
    longest = std::max<std::int64_t>(longest, row_starts[r + 1] - row_starts[r]);
  }
  return longest;
}

float* aligned_scratch(std::span<std::byte> scratch, std::int64_t needed) {
  void* begin = scratch.data();
  std::size_t space = scratch.size();
  const std::size_t bytes = static_cast<std::size_t>(needed) * sizeof(float);
  if (std::align(64, bytes, begin, space) == nullptr) {
    throw std::logic_error(
        fmt::format("attention scratch has {} bytes, {} are needed", scratch.size(), bytes + 64));
  }
  return static_cast<float*>(begin);
}

void require_inputs(ConstView q, ConstView k, ConstView v, std::span<const std::int32_t> row_starts,
                    const AttentionShape& shape) {
  require(shape.heads > 0 && shape.kv_heads > 0 && shape.head_dim > 0 &&
              shape.heads % shape.kv_heads == 0,
          "attention: heads must be a multiple of kv_heads");
  require(q.cols == shape.heads * shape.head_dim && k.cols == shape.kv_heads * shape.head_dim,
          "attention: q must be (T, NH x HD) and k (T, NKV x HD)");
  require_same_shape(k, v, "attention: k and v");
  require(q.rows == k.rows && q.dtype == k.dtype && q.dtype == v.dtype,
          "attention: q, k and v must have one type and the same tokens");
  require(!row_starts.empty() && row_starts.front() == 0 && row_starts.back() == q.rows,
          "attention: row_starts must go from 0 to T");
  for (std::size_t r = 0; r + 1 < row_starts.size(); ++r) {
    require(row_starts[r] <= row_starts[r + 1], "attention: row_starts must rise");
  }
}

// The longest any thread would work if each took whole units as they come, against what all of them
// would if the work were spread evenly.
bool is_unit_shared(std::span<const std::int32_t> row_starts, std::int64_t kv_heads, int team) {
  constexpr double kWorthSharing = 1.15;
  constexpr int kMostThreads = 256;
  if (team == 1) return false;
  std::array<double, kMostThreads> busy{};
  const auto threads = static_cast<std::size_t>(std::min(team, kMostThreads));
  double total = 0;
  for (std::size_t r = 0; r + 1 < row_starts.size(); ++r) {
    const double length = row_starts[r + 1] - row_starts[r];
    const double work = length * (length + kBlock);
    for (std::int64_t head = 0; head < kv_heads; ++head) {
      *std::min_element(busy.begin(), busy.begin() + threads) += work;
      total += work;
    }
  }
  const double longest = *std::max_element(busy.begin(), busy.begin() + threads);
  return longest * static_cast<double>(threads) > kWorthSharing * total;
}

namespace {

#ifdef LOADLINE_TILES
bool uses_tiles(const AttentionShape& shape, DType dtype) {
  return dtype == DType::kBf16 && !shape.widen && tiles_are_usable();
}
#endif

std::int64_t forward_floats(const AttentionShape& shape, DType dtype,
                            [[maybe_unused]] std::int64_t longest) {
#ifdef LOADLINE_TILES
  if (uses_tiles(shape, dtype)) return forward_tiles_scratch(shape, longest);
#endif
  return forward_scratch(shape, dtype);
}

std::int64_t backward_floats(const AttentionShape& shape, DType dtype, std::int64_t longest) {
#ifdef LOADLINE_TILES
  if (uses_tiles(shape, dtype)) return backward_tiles_scratch(shape, longest);
#endif
  return backward_scratch(shape, dtype, longest);
}

template <typename T>
void fill_delta(const BackwardInputs& in) {
  const std::int64_t hd = in.shape.head_dim;
#pragma omp parallel for schedule(static)
  for (std::int64_t t = 0; t < in.q.rows; ++t) {
    for (std::int64_t head = 0; head < in.shape.heads; ++head) {
      const T* a = in.dout.row<T>(t) + head * hd;
      const T* b = in.out.row<T>(t) + head * hd;
      float sum = 0;
#pragma omp simd reduction(+ : sum)
      for (std::int64_t d = 0; d < hd; ++d) sum += load(a[d]) * load(b[d]);
      in.delta[head * in.q.rows + t] = sum;
    }
  }
}

}  // namespace
}  // namespace attention

Bytes attention_scratch(const AttentionShape& shape, DType dtype, std::int64_t tokens,
                        std::int64_t longest_row, int threads) {
  const std::int64_t forward = threads * attention::forward_floats(shape, dtype, longest_row);
  const std::int64_t backward = threads * attention::backward_floats(shape, dtype, longest_row) +
                                attention::padded(shape.heads * tokens);
  return {static_cast<std::uint64_t>(std::max(forward, backward)) * sizeof(float) + 64};
}

void attention_forward(ConstView q, ConstView k, ConstView v,
                       std::span<const std::int32_t> row_starts, const AttentionShape& shape,
                       View out, std::span<float> log_sum_exp, std::span<std::byte> scratch) {
  const KernelTimer timer(Kernel::kAttentionForward);
  namespace at = attention;
  at::require_inputs(q, k, v, row_starts, shape);
  require_same_shape(q, out, "attention_forward: q and out");
  require(q.dtype == out.dtype, "attention_forward: q and out must have one type");
  require(static_cast<std::int64_t>(log_sum_exp.size()) >= shape.heads * q.rows,
          "attention_forward: log_sum_exp must be (NH x T)");
  const std::int64_t each = at::forward_floats(shape, q.dtype, at::longest_row(row_starts));
  float* parts = at::aligned_scratch(scratch, each * omp_get_max_threads());
  const at::ForwardInputs in{q, k, v, shape, out, log_sum_exp};
#ifdef LOADLINE_TILES
  if (at::uses_tiles(shape, q.dtype)) return at::forward_by_tiles(in, row_starts, parts);
#endif
  at::forward_by_blocks(in, row_starts, parts);
}

void attention_backward(ConstView dout, ConstView q, ConstView k, ConstView v, ConstView out,
                        std::span<const float> log_sum_exp,
                        std::span<const std::int32_t> row_starts, const AttentionShape& shape,
                        View dq, View dk, View dv, std::span<std::byte> scratch) {
  const KernelTimer timer(Kernel::kAttentionBackward);
  namespace at = attention;
  at::require_inputs(q, k, v, row_starts, shape);
  require_same_shape(q, out, "attention_backward: q and out");
  require_same_shape(q, dout, "attention_backward: q and dout");
  require_same_shape(q, dq, "attention_backward: q and dq");
  require_same_shape(k, dk, "attention_backward: k and dk");
  require_same_shape(k, dv, "attention_backward: k and dv");
  for (const DType type : {dout.dtype, out.dtype, dq.dtype, dk.dtype, dv.dtype}) {
    require(type == q.dtype, "attention_backward: all views must have one type");
  }
  require(static_cast<std::int64_t>(log_sum_exp.size()) >= shape.heads * q.rows,
          "attention_backward: log_sum_exp must be (NH x T)");
  const std::int64_t longest = at::longest_row(row_starts);
  const std::int64_t own = at::backward_floats(shape, q.dtype, longest) * omp_get_max_threads();
  float* parts = at::aligned_scratch(scratch, own + at::padded(shape.heads * q.rows));
  const at::BackwardInputs in{dout,  q,  k,  v,  out,         log_sum_exp,
                              shape, dq, dk, dv, parts + own, longest};
  with_storage(q.dtype, "attention",
               [&](auto storage) { at::fill_delta<TypeOf<decltype(storage)>>(in); });
#ifdef LOADLINE_TILES
  if (at::uses_tiles(shape, q.dtype)) return at::backward_by_tiles(in, row_starts, parts);
#endif
  at::backward_by_blocks(in, row_starts, parts);
}

}  // namespace loadline
