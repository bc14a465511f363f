#include "model/head.h"

#include <algorithm>

#include "kernels/cross_entropy.h"
#include "kernels/elementwise.h"
#include "kernels/rms_norm.h"
#include "model/layer_parts.h"

namespace loadline {
namespace {

float logit_scale(const Pass& pass) { return static_cast<float>(pass.model.logit_scale); }

// The logits' scale goes into what is multiplied with the words.
void norm_rows(const Pass& pass, ConstView x, View normed, std::span<float> rstd) {
  rms_norm_forward(x, pass.memory.floats(pass.plan.final_norm),
                   static_cast<float>(pass.model.rms_norm_eps), normed, rstd, logit_scale(pass));
}

float cap(const Pass& pass) { return static_cast<float>(pass.model.logit_softcap); }

// Normed inputs times some words, and the family's cap.
void multiply_words(const Pass& pass, ConstView normed, ConstView words, View logits) {
  multiply(pass, Product::kNT, normed, words, logits, Into::kOverwrite);
  if (pass.model.logit_softcap > 0) softcap(cap(pass), logits);
}

// Gathers the predicting tokens of a batch into chunks, run by run, and scatters gradients back.
class Head {
 public:
  Head(const Pass& pass, const Batch& batch, bool with_gradient)
      : pass_(pass),
        buffers_(pass.plan.head_buffers),
        batch_(batch),
        with_gradient_(with_gradient),
        words_(pass.memory.matrix(pass.plan.head)),
        normed_(pass.memory.matrix(buffers_.normed)),
        rstd_(pass.memory.floats(buffers_.rstd)),
        targets_(pass.memory.ints(buffers_.targets, buffers_.chunk)),
        coefficients_(pass.memory.floats(buffers_.coefficients)) {}

  BatchLoss run() {
    if (with_gradient_) set_zero(pass_.rows(pass_.plan.backward.dx));
    std::int64_t token = next_predicting(0);
    while (token < pass_.tokens) {
      first_ = token;
      rows_ = 0;
      token = gather(token);
      for_panels();
      add_losses();
      if (with_gradient_) scatter_gradient();
    }
    return sum_;
  }

 private:
  [[nodiscard]] std::int64_t next_predicting(std::int64_t token) const {
    const auto rest = batch_.targets.subspan(static_cast<std::size_t>(token));
    return token + (std::find_if(rest.begin(), rest.end(), [](std::int32_t t) { return t >= 0; }) -
                    rest.begin());
  }
  // One past the predicting tokens from `token` on, at most `limit` of them.
  [[nodiscard]] std::int64_t run_end(std::int64_t token, std::int64_t limit) const {
    const std::int64_t last = std::min(pass_.tokens, token + limit);
    while (token < last && batch_.targets[static_cast<std::size_t>(token)] >= 0) ++token;
    return token;
  }
  // Calls visit(first token, first row of the chunk, count) for each run of predicting tokens from
  // `token` on, until the chunk has `limit` rows. Returns the next predicting token after it.
  template <typename Visit>
  std::int64_t for_runs(std::int64_t token, std::int64_t limit, Visit visit) const {
    std::int64_t row = 0;
    while (token < pass_.tokens && row < limit) {
      const std::int64_t end = run_end(token, limit - row);
      visit(token, row, end - token);
      row += end - token;
      token = next_predicting(end);
    }
    return token;
  }

  std::int64_t gather(std::int64_t token) {
    const View x = pass_.rows(pass_.plan.final_x);
    const auto visit = [&](std::int64_t t, std::int64_t row, std::int64_t count) {
      norm_rows(pass_, x.slice(t, count), normed_.slice(row, count), part(rstd_, row, count));
      std::copy_n(batch_.targets.begin() + t, count, targets_.begin() + row);
      std::copy_n(batch_.coefficients.begin() + t, count, coefficients_.begin() + row);
      rows_ += count;
    };
    return for_runs(token, buffers_.chunk, visit);
  }

  // A panel of words is multiplied with all blocks of the chunk while it is in the cache.
  void for_panels() {
    cross_entropy_begin(targets(0, rows_), words_.rows, sums(0, rows_));
    for (std::int64_t word = 0; word < words_.rows; word += buffers_.panel) {
      const ConstView panel = words_.slice(word, std::min(buffers_.panel, words_.rows - word));
      for (std::int64_t row = 0; row < rows_; row += buffers_.block) {
        add_panel(panel, word, row, std::min(buffers_.block, rows_ - row));
      }
    }
  }

  void add_panel(ConstView panel, std::int64_t first_word, std::int64_t row, std::int64_t count) {
    const View logits = pass_.memory.part(buffers_.logits, 0, count, panel.rows);
    multiply_words(pass_, normed_.slice(row, count), panel, logits);
    if (!with_gradient_) {
      return cross_entropy_panel(logits, first_word, targets(row, count), sums(row, count));
    }
    constexpr std::int64_t kUnit = HeadBuffers::kRowUnit;
    const std::int64_t whole = (count + kUnit - 1) / kUnit * kUnit;
    const View filled = pass_.memory.part(buffers_.weights, 0, whole, panel.rows);
    const View weights = filled.slice(0, count);
    const auto corrections = pass_.memory.floats(buffers_.corrections, count);
    cross_entropy_panel(logits, first_word, targets(row, count), sums(row, count), weights,
                        corrections, cap(pass_));
    set_zero(filled.slice(count, whole - count));
    const View gradient = pass_.memory.matrix(buffers_.gradient).slice(row, whole);
    const bool adds = first_word > 0;
    if (adds) scale_rows(corrections, gradient.slice(0, count));
    multiply(pass_, Product::kNN, filled, panel, gradient, adds ? Into::kAdd : Into::kOverwrite);
  }

  void add_losses() {
    const auto losses = pass_.memory.floats(buffers_.losses, rows_);
    cross_entropy_losses(sums(0, rows_), losses);
    for (std::size_t row = 0; row < losses.size(); ++row) {
      sum_.cross_entropy += losses[row];
      sum_.weighted += static_cast<double>(coefficients_[row]) * losses[row];
    }
    sum_.targets += rows_;
  }

  void scatter_gradient() {
    const View gradient = pass_.memory.matrix(buffers_.gradient, rows_);
    cross_entropy_gradient(words_, targets(0, rows_), sums(0, rows_), part(coefficients_, 0, rows_),
                           gradient, cap(pass_));
    const View x = pass_.rows(pass_.plan.final_x);
    const View dx = pass_.rows(pass_.plan.backward.dx);
    const auto weight = pass_.memory.floats(pass_.plan.final_norm);
    for_runs(first_, rows_, [&](std::int64_t t, std::int64_t row, std::int64_t count) {
      rms_norm_backward(gradient.slice(row, count), x.slice(t, count), weight,
                        part(rstd_, row, count), dx.slice(t, count), logit_scale(pass_));
    });
  }

  template <typename T>
  static std::span<T> part(std::span<T> column, std::int64_t row, std::int64_t count) {
    return column.subspan(static_cast<std::size_t>(row), static_cast<std::size_t>(count));
  }
  [[nodiscard]] std::span<const std::int32_t> targets(std::int64_t row, std::int64_t count) const {
    return part(targets_, row, count);
  }
  [[nodiscard]] CrossEntropySums sums(std::int64_t row, std::int64_t count) const {
    return CrossEntropySums{.maximum = pass_.memory.floats(buffers_.maximum),
                            .sum = pass_.memory.floats(buffers_.sum),
                            .target_logit = pass_.memory.floats(buffers_.target_logit)}
        .slice(static_cast<std::size_t>(row), static_cast<std::size_t>(count));
  }

  const Pass& pass_;
  const HeadBuffers& buffers_;
  const Batch& batch_;
  bool with_gradient_;
  ConstView words_;                  // (V,H)
  View normed_;                      // (C,H)
  std::span<float> rstd_;            // (C)
  std::span<std::int32_t> targets_;  // (C)
  std::span<float> coefficients_;    // (C)
  std::int64_t first_ = 0;           // the chunk's first token
  std::int64_t rows_ = 0;            // of the chunk
  BatchLoss sum_;
};

}  // namespace

BatchLoss head_loss(const Pass& pass, const Batch& batch) { return Head(pass, batch, false).run(); }

BatchLoss head_loss_and_gradient(const Pass& pass, const Batch& batch) {
  return Head(pass, batch, true).run();
}

void head_last_logits(const Pass& pass, std::span<float> logits) {
  const HeadBuffers& buffers = pass.plan.head_buffers;
  const View normed = pass.memory.matrix(buffers.normed, 1);
  const std::int64_t vocabulary = pass.model.vocab_size;
  norm_rows(pass, pass.rows(pass.plan.final_x).slice(pass.tokens - 1, 1), normed,
            pass.memory.floats(buffers.rstd, 1));
  multiply_words(pass, normed, pass.memory.matrix(pass.plan.head),
                 {logits.data(), DType::kF32, 1, vocabulary, vocabulary});
}

}  // namespace loadline
