// Cross-entropy of tokens whose logits come a panel of words at a time, so that they never exist
// whole: an online softmax (Milakov and Gimelshein 2018). Its gradient needs no second look at the
// logits: with words (V,H), the gradient of a token's loss to what its logits were made of is
// softmax(logits) · words - words[target], and the first term is summed panel by panel, as
// attention sums its values.
#pragma once

#include <cstdint>
#include <span>

#include "kernels/view.h"

namespace loadline {

// What is known of C tokens' logits so far.
struct CrossEntropySums {
  std::span<float> maximum;       // the highest one
  std::span<float> sum;           // of exp(logit - maximum)
  std::span<float> target_logit;  // once its panel has come

  // Of tokens [begin, begin + count).
  [[nodiscard]] CrossEntropySums slice(std::size_t begin, std::size_t count) const {
    return {maximum.subspan(begin, count), sum.subspan(begin, count),
            target_logit.subspan(begin, count)};
  }
};

// No panel yet. Throws std::logic_error for a target outside [0, vocabulary).
void cross_entropy_begin(std::span<const std::int32_t> targets, std::int64_t vocabulary,
                         const CrossEntropySums& sums);

// logits (C,N), f32, of the words [first_word, first_word + N). Each word belongs to one panel;
// panels may come in any order.
void cross_entropy_panel(ConstView logits, std::int64_t first_word,
                         std::span<const std::int32_t> targets, const CrossEntropySums& sums);

// The same, for a gradient: weights (C,N), f32 or bf16, = exp(logits - maximum), and
// corrections (C) are what the weights of earlier panels, or what they were multiplied with, have
// to be multiplied by. weights may be the memory of logits when it is f32. With a cap, logits are
// what softcap() made, and weights belong to what they were before.
void cross_entropy_panel(ConstView logits, std::int64_t first_word,
                         std::span<const std::int32_t> targets, const CrossEntropySums& sums,
                         View weights, std::span<float> corrections, float cap = 0);

// After all panels: losses (C) = log(sum(exp(logits))) - logit of the target.
void cross_entropy_losses(const CrossEntropySums& sums, std::span<float> losses);

// After all panels: in, gradient (C,H) f32 is the sum of all panels' weights · words; out, it is
// the gradient of the sum of coefficients[t] * losses[t]. words (V,H) is f32 or bf16.
void cross_entropy_gradient(ConstView words, std::span<const std::int32_t> targets,
                            const CrossEntropySums& sums, std::span<const float> coefficients,
                            View gradient, float cap = 0);

}  // namespace loadline
