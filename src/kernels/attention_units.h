// Private to this room: how attention's work is shared among threads. A unit is what one key-value
// head and one row have to do with each other.
#pragma once

#include <omp.h>

#include <cstdint>
#include <span>

#include "kernels/attention_blocks.h"

namespace loadline::attention {

struct ForwardInputs {
  ConstView q, k, v;
  AttentionShape shape;
  View out;
  std::span<float> log_sum_exp;  // may be empty
  std::int64_t past = 0;         // keys before the first query's own; with one row
};

struct BackwardInputs {
  ConstView dout, q, k, v, out;
  std::span<const float> log_sum_exp;
  AttentionShape shape;
  View dq, dk, dv;
  float* delta;  // (NH x T): the dot product of dout and out
  std::int64_t longest;

  [[nodiscard]] std::int64_t group() const { return shape.heads / shape.kv_heads; }
  [[nodiscard]] std::int64_t width() const { return padded(shape.head_dim); }
};

struct Unit {
  Row row;
  std::int64_t kv_head = 0;
};

// By block_product.h; f32, or bf16. `parts` is forward_scratch or backward_scratch floats for each
// thread; backward's holds one row's dq of one group.
void forward_by_blocks(const ForwardInputs& in, std::span<const std::int32_t> row_starts,
                       float* parts);
void backward_by_blocks(const BackwardInputs& in, std::span<const std::int32_t> row_starts,
                        float* parts);
std::int64_t forward_scratch(const AttentionShape& shape, DType dtype);
std::int64_t backward_scratch(const AttentionShape& shape, DType dtype, std::int64_t longest);

// Whether a team is better off sharing each unit than taking whole ones: these would leave some of
// it without work for long.
bool is_unit_shared(std::span<const std::int32_t> row_starts, std::int64_t kv_heads, int team);

// Calls alone(unit, thread) for each unit from the thread that takes it, or together(unit) one
// after the other from the calling thread.
template <typename Alone, typename Together>
void for_units(std::span<const std::int32_t> row_starts, std::int64_t kv_heads, Alone alone,
               Together together) {
  const std::int64_t units = (static_cast<std::int64_t>(row_starts.size()) - 1) * kv_heads;
  const auto unit_at = [&](std::int64_t u) {
    return Unit{row_at(row_starts, u / kv_heads), u % kv_heads};
  };
  if (is_unit_shared(row_starts, kv_heads, omp_get_max_threads())) {
    for (std::int64_t u = 0; u < units; ++u) together(unit_at(u));
    return;
  }
#pragma omp parallel for schedule(dynamic, 1)
  for (std::int64_t u = 0; u < units; ++u) alone(unit_at(u), omp_get_thread_num());
}

}  // namespace loadline::attention
