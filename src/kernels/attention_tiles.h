// Private to this room: attention where bf16 is multiplied in AMX's tiles. All blocks are
// transposed so that what comes out of one product is what the next one reads: scores are (key,
// query), the outputs' sums (HD, query).
#pragma once

#include "kernels/attention_units.h"
#include "kernels/tiles.h"

namespace loadline::attention {

#ifdef LOADLINE_TILES

void forward_by_tiles(const ForwardInputs& in, std::span<const std::int32_t> row_starts,
                      float* parts);
void backward_by_tiles(const BackwardInputs& in, std::span<const std::int32_t> row_starts,
                       float* parts);

// f32 elements of scratch for each thread, for rows of at most `longest`.
std::int64_t forward_tiles_scratch(const AttentionShape& shape, std::int64_t longest);
std::int64_t backward_tiles_scratch(const AttentionShape& shape, std::int64_t longest);

// Columns [0, head_dim) of `count` rows of `to`, from row `first` and `column` on, = from (HD,
// kBlock) transposed, row i times factor[i].
void store_transposed(const float* from, const float* factor, View to, std::int64_t first,
                      std::int64_t count, std::int64_t column, std::int64_t head_dim);

// Columns of a packed block: HD as whole squares.
inline std::int64_t tiles_width(std::int64_t head_dim) {
  return (head_dim + tiles::kSquare - 1) / tiles::kSquare * tiles::kSquare;
}
inline std::int64_t squares(std::int64_t n) { return (n + tiles::kSquare - 1) / tiles::kSquare; }

#endif

}  // namespace loadline::attention
