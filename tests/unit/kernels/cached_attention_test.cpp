// Attention over a cache against attention within a row: the same positions, the same result.
#include "kernels/cached_attention.h"

#include <gtest/gtest.h>

#include <array>
#include <vector>

#include "kernels/gemm.h"
#include "kernels/threads.h"
#include "unit/kernels/matrix.h"

namespace loadline {
namespace {

struct Cached {
  std::int64_t heads, kv_heads, head_dim, positions, queries, window;
  float softcap = 0;
};

class CachedAttention : public testing::TestWithParam<Cached> {};

Matrix last_rows(const Matrix& all, std::int64_t count) {
  Matrix last(count, all.cols());
  for (std::int64_t r = 0; r < count; ++r) {
    for (std::int64_t c = 0; c < all.cols(); ++c) {
      last.set(r, c, all.get(all.rows() - count + r, c));
    }
  }
  return last;
}

TEST_P(CachedAttention, IsTheRowsAttentionForItsLastPositions) {
  const Cached c = GetParam();
  const AttentionShape shape{.heads = c.heads,
                             .kv_heads = c.kv_heads,
                             .head_dim = c.head_dim,
                             .scale = 0.3F,
                             .window = c.window,
                             .softcap = c.softcap};
  for (const DType dtype : {DType::kF32, DType::kBf16}) {
    Matrix q = Matrix::random(c.positions, c.heads * c.head_dim, 1, dtype, 3);
    Matrix k = Matrix::random(c.positions, c.kv_heads * c.head_dim, 2, dtype, 5);
    Matrix v = Matrix::random(c.positions, c.kv_heads * c.head_dim, 3, dtype);
    Matrix whole(c.positions, c.heads * c.head_dim, dtype);
    std::vector<float> log_sum_exp(static_cast<std::size_t>(c.heads * c.positions));
    std::vector<std::byte> scratch(
        attention_scratch(shape, dtype, c.positions, c.positions, threads()).count);
    const std::array<std::int32_t, 2> row{0, static_cast<std::int32_t>(c.positions)};
    attention_forward(q.view(), k.view(), v.view(), row, shape, whole.view(), log_sum_exp, scratch);
    Matrix last(c.queries, c.heads * c.head_dim, dtype, 2);
    std::vector<std::byte> small(
        cached_attention_scratch(shape, dtype, c.positions, threads()).count);
    cached_attention_forward(q.view().slice(c.positions - c.queries, c.queries), k.view(), v.view(),
                             shape, last.view(), small);
    EXPECT_LT(distance(last, last_rows(whole, c.queries)), tolerance(dtype));
    EXPECT_TRUE(last.gaps_untouched());
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, CachedAttention,
                         testing::Values(Cached{2, 2, 8, 1, 1, 0}, Cached{6, 2, 32, 70, 1, 0},
                                         Cached{4, 1, 20, 33, 5, 0}, Cached{4, 2, 16, 150, 3, 40},
                                         Cached{2, 1, 16, 9, 9, 1}, Cached{4, 2, 8, 90, 2, 0, 0.8F},
                                         // in blocks
                                         Cached{4, 2, 16, 200, 130, 0},
                                         Cached{2, 1, 20, 256, 64, 0}, Cached{6, 2, 32, 131, 16, 0},
                                         Cached{4, 2, 16, 300, 90, 40},
                                         Cached{4, 1, 8, 333, 97, 100, 0.8F},
                                         Cached{2, 2, 64, 70, 70, 0}));

}  // namespace
}  // namespace loadline
