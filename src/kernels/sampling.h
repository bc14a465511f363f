// From logits to a token.
#pragma once

#include <cstdint>
#include <span>

namespace loadline {

struct SamplingSettings {
  double temperature = 0;  // 0: always the most likely token
  double top_p = 1;        // in (0, 1]: the smallest set of most likely tokens that reaches it
  std::int64_t top_k = 0;  // the k most likely tokens; 0: all
};

// temperature 0: the largest logit, the first among equals. Else softmax(logits / temperature), cut
// to top_k, then to top_p of what is left; `uniform` in [0, 1) chooses among these, in the order of
// their ids. logits, probabilities and order have V elements; the latter two are scratch. Returns
// -1 when no logit is finite or one is a NaN.
std::int32_t sample_token(std::span<const float> logits, const SamplingSettings& settings,
                          double uniform, std::span<float> probabilities,
                          std::span<std::int32_t> order);

}  // namespace loadline
