#include "kernels/attention.h"

#include <fmt/format.h>
#include <omp.h>

#include <memory>
#include <stdexcept>

#include "kernels/attention_blocks.h"

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

}  // namespace attention

Bytes attention_scratch(const AttentionShape& shape, std::int64_t tokens, std::int64_t longest_row,
                        int threads) {
  const std::int64_t forward = threads * attention::forward_scratch(shape);
  const std::int64_t backward = threads * attention::backward_scratch(shape, longest_row) +
                                attention::padded(shape.heads * tokens);
  return {static_cast<std::uint64_t>(std::max(forward, backward)) * sizeof(float) + 64};
}

}  // namespace loadline
