#include "model/key_value_cache.h"

#include "kernels/cached_attention.h"
#include "kernels/elementwise.h"
#include "model/layer_parts.h"

namespace loadline {
namespace {

const KeyValueBuffers& buffers_of(const Pass& pass, const LayerPlan& layer) {
  return pass.cache->layers[static_cast<std::size_t>(&layer - pass.plan.layers.data())];
}

}  // namespace

void keep_keys_and_values(const Pass& pass, const LayerPlan& layer, const QkvViews& qkv) {
  const KeyValueBuffers& cache = buffers_of(pass, layer);
  const std::int64_t past = pass.cache->past;
  copy(qkv.k, pass.memory.matrix(cache.keys, past + pass.tokens).slice(past, pass.tokens));
  copy(qkv.v, pass.memory.matrix(cache.values, past + pass.tokens).slice(past, pass.tokens));
}

void attend_with_cache(const Pass& pass, const LayerPlan& layer, ConstView q, View out) {
  const KeyValueBuffers& cache = buffers_of(pass, layer);
  const std::int64_t positions = pass.cache->past + pass.tokens;
  cached_attention_forward(q, pass.memory.matrix(cache.keys, positions),
                           pass.memory.matrix(cache.values, positions), layer.attention, out,
                           pass.memory.bytes(pass.cache->scratch));
}

}  // namespace loadline
