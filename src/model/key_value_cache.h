// The keys and values of the positions before, for generation.
#pragma once

#include <cstdint>
#include <span>

#include "kernels/view.h"
#include "model/memory_plan.h"

namespace loadline {

struct Pass;
struct LayerPlan;
struct QkvViews;

struct KeyValueBuffers {
  BufferId keys, values;  // (context, KW) in the compute type; keys after rope
};

struct KeyValueCache {
  std::span<const KeyValueBuffers> layers;
  std::int64_t past = 0;  // positions in it before this pass; its tokens are those that follow
  BufferId scratch;
};

// Puts k and v of the pass's tokens behind those that are there.
void keep_keys_and_values(const Pass& pass, const LayerPlan& layer, const QkvViews& qkv);
// Attention of the pass's tokens over all positions; theirs must have been kept.
void attend_with_cache(const Pass& pass, const LayerPlan& layer, ConstView q, View out);

}  // namespace loadline
