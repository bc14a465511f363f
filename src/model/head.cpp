#include "model/head.h"

#include <algorithm>

#include "kernels/cross_entropy.h"
#include "kernels/elementwise.h"
#include "kernels/rms_norm.h"

namespace loadline {
namespace {

// Gathers the predicting tokens of a batch into chunks, run by run, and scatters gradients back.
class Head {
 public:
  Head(const Pass& pass, const Batch& batch, bool with_gradient)
      : pass_(pass),
        buffers_(pass.plan.head_buffers),
        batch_(batch),
        with_gradient_(with_gradient),
        capacity_(buffers_.chunk),
        targets_(pass.memory.ints(buffers_.targets, capacity_)),
        coefficients_(pass.memory.floats(buffers_.coefficients, capacity_)) {}

  BatchLoss run() {
    if (with_gradient_) set_zero(pass_.rows(pass_.plan.backward.dx));
    std::int64_t token = next_predicting(0);
    while (token < pass_.tokens) {
      first_ = token;
      rows_ = 0;
      token = gather(token);
      forward();
      if (with_gradient_) {
        backward();
        scatter();
      }
    }
    return sum_;
  }

  // The logits of the first `rows` gathered inputs.
  static void logits(const Pass& pass, std::int64_t rows, View logits) {
    const HeadBuffers& b = pass.plan.head_buffers;
    const View normed = pass.memory.matrix(b.normed, rows);
    rms_norm_forward(pass.memory.matrix(b.x, rows), pass.memory.floats(pass.plan.final_norm),
                     static_cast<float>(pass.model.rms_norm_eps), normed,
                     pass.memory.floats(b.rstd, rows));
    pass.gemm.run(Product::kNT, normed, pass.memory.matrix(pass.plan.head), logits, false);
    if (pass.model.logit_softcap > 0) softcap(cap(pass), logits);
  }

 private:
  static float cap(const Pass& pass) { return static_cast<float>(pass.model.logit_softcap); }
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
    const View from = pass_.rows(pass_.plan.final_x);
    const View to = pass_.memory.matrix(buffers_.x, capacity_);
    return for_runs(token, capacity_, [&](std::int64_t t, std::int64_t row, std::int64_t count) {
      copy(from.slice(t, count), to.slice(row, count));
      std::copy_n(batch_.targets.begin() + t, count, targets_.begin() + row);
      std::copy_n(batch_.coefficients.begin() + t, count, coefficients_.begin() + row);
      rows_ += count;
    });
  }

  void forward() {
    const View all = chunk(buffers_.logits);
    logits(pass_, rows_, all);
    const auto losses = pass_.memory.floats(buffers_.losses, rows_);
    cross_entropy_forward(all, first_rows(targets_), losses,
                          pass_.memory.floats(buffers_.log_sum_exp, rows_));
    for (std::size_t row = 0; row < losses.size(); ++row) {
      sum_.cross_entropy += losses[row];
      sum_.weighted += static_cast<double>(coefficients_[row]) * losses[row];
    }
    sum_.targets += rows_;
  }

  void backward() {
    const View d_logits = chunk(buffers_.d_logits);
    const View dx = chunk(buffers_.dx);
    cross_entropy_backward(chunk(buffers_.logits), first_rows(targets_),
                           pass_.memory.floats(buffers_.log_sum_exp, rows_),
                           first_rows(coefficients_), d_logits, cap(pass_));
    frozen_backward(d_logits);
    set_zero(dx);
    rms_norm_backward(chunk(buffers_.d_normed), chunk(buffers_.x),
                      pass_.memory.floats(pass_.plan.final_norm),
                      pass_.memory.floats(buffers_.rstd, rows_), dx);
  }
  void frozen_backward(ConstView d_logits) {
    pass_.gemm.run(Product::kNN, d_logits, pass_.memory.matrix(pass_.plan.head),
                   chunk(buffers_.d_normed), false);
  }

  void scatter() {
    const View from = chunk(buffers_.dx);
    const View to = pass_.rows(pass_.plan.backward.dx);
    for_runs(first_, rows_, [&](std::int64_t t, std::int64_t row, std::int64_t count) {
      copy(from.slice(row, count), to.slice(t, count));
    });
  }

  [[nodiscard]] View chunk(BufferId id) const { return pass_.memory.matrix(id, rows_); }
  template <typename T>
  [[nodiscard]] std::span<const T> first_rows(std::span<T> column) const {
    return column.first(static_cast<std::size_t>(rows_));
  }

  const Pass& pass_;
  const HeadBuffers& buffers_;
  const Batch& batch_;
  bool with_gradient_;
  std::int64_t capacity_;
  std::span<std::int32_t> targets_;
  std::span<float> coefficients_;
  std::int64_t first_ = 0;  // the chunk's first token
  std::int64_t rows_ = 0;   // of the chunk
  BatchLoss sum_;
};

}  // namespace

BatchLoss head_loss(const Pass& pass, const Batch& batch) { return Head(pass, batch, false).run(); }

BatchLoss head_loss_and_gradient(const Pass& pass, const Batch& batch) {
  return Head(pass, batch, true).run();
}

void head_last_logits(const Pass& pass, std::span<float> logits) {
  copy(pass.rows(pass.plan.final_x).slice(pass.tokens - 1, 1),
       pass.memory.matrix(pass.plan.head_buffers.x, 1));
  const std::int64_t vocabulary = pass.model.vocab_size;
  Head::logits(pass, 1, {logits.data(), DType::kF32, 1, vocabulary, vocabulary});
}

}  // namespace loadline
