// Counts what operator new is asked for in this whole program.
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <memory>
#include <new>
#include <vector>

#include "kernels/adamw.h"
#include "kernels/attention.h"
#include "kernels/cross_entropy.h"
#include "kernels/elementwise.h"
#include "kernels/gemm.h"
#include "kernels/rms_norm.h"
#include "kernels/rope.h"
#include "kernels/swiglu.h"
#include "kernels/threads.h"
#include "unit/kernels/matrix.h"

namespace {

std::atomic<std::size_t> allocations{0};
std::atomic<std::size_t> largest{0};

void* counted(std::size_t size) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  if (size > largest.load(std::memory_order_relaxed)) largest = size;
  void* memory = std::malloc(size == 0 ? 1 : size);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

}  // namespace

void* operator new(std::size_t size) { return counted(size); }
void* operator new[](std::size_t size) { return counted(size); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }

namespace loadline {
namespace {

// How often operator new is called while work runs for the second time.
template <typename F>
std::size_t allocations_of_second(F&& work) {
  work();
  largest = 0;
  const std::size_t before = allocations;
  work();
  return allocations - before;
}

class AllocationTest : public testing::TestWithParam<DType> {
 protected:
  static constexpr std::int64_t kTokens = 150;
  static constexpr std::int64_t kSize = 128;

  Matrix x_ = Matrix::random(kTokens, kSize, 1, GetParam());
  Matrix y_ = Matrix::random(kTokens, kSize, 2, GetParam());
  Matrix z_ = Matrix::random(kTokens, kSize, 3, GetParam());
  std::vector<float> weight_ = std::vector<float>(kSize, 1.0F);
  std::vector<float> rstd_ = std::vector<float>(kTokens);
};

TEST(AllocationCountTest, SeesAnAllocation) {
  EXPECT_GE(allocations_of_second([] { std::vector<int> made(100, 1); }), 1U);
}

TEST_P(AllocationTest, RowwiseKernelsAllocateNothing) {
  std::vector<std::int32_t> positions(kTokens, 1);
  std::vector<float> table(2 * 8, 0.5F);
  EXPECT_EQ(allocations_of_second([&] {
              rms_norm_forward(x_.view(), weight_, 1e-5F, y_.view(), rstd_);
              rms_norm_backward(y_.view(), x_.view(), weight_, rstd_, z_.view());
              rope_forward(x_.view(), {16, 16}, positions, table, table);
              rope_backward(x_.view(), {16, 16}, positions, table, table);
              swiglu_forward(x_.view(), y_.view(), z_.view());
              swiglu_backward(z_.view(), x_.view(), y_.view(), x_.view(), y_.view());
              embedding_forward(x_.view(), positions, y_.view());
              copy(x_.view(), y_.view());
              add(x_.view(), y_.view());
              add_bias(weight_, y_.view());
              scale(0.5F, y_.view());
              set_zero(y_.view());
            }),
            0U);
}

TEST_P(AllocationTest, AttentionAllocatesNothing) {
  const AttentionShape shape{8, 2, 16, 0.25F, 0};
  const std::vector<std::int32_t> starts = {0, 30, kTokens};
  std::vector<float> log_sum_exp(8 * kTokens);
  std::vector<std::byte> scratch(
      attention_scratch(shape, GetParam(), kTokens, 120, threads()).count);
  Matrix q = Matrix::random(kTokens, 128, 1, GetParam());
  Matrix k = Matrix::random(kTokens, 32, 2, GetParam());
  Matrix out = q;
  Matrix dq = q;
  Matrix dk = k;
  Matrix dv = k;
  EXPECT_EQ(allocations_of_second([&] {
              attention_forward(q.view(), k.view(), k.view(), starts, shape, out.view(),
                                log_sum_exp, scratch);
              attention_backward(out.view(), q.view(), k.view(), k.view(), out.view(), log_sum_exp,
                                 starts, shape, dq.view(), dk.view(), dv.view(), scratch);
            }),
            0U);
}

TEST_P(AllocationTest, LossAndUpdateAllocateNothing) {
  Matrix logits = Matrix::random(kTokens, kSize, 1);
  std::vector<std::int32_t> targets(kTokens, 3);
  std::vector<float> losses(kTokens);
  std::vector<float> maximum(kTokens), sum(kTokens), target_logit(kTokens), corrections(kTokens);
  const CrossEntropySums sums{maximum, sum, target_logit};
  Matrix words = Matrix::random(kSize, kSize, 2, GetParam());
  Matrix gradient(kTokens, kSize);
  std::vector<float> flat(20000, 0.5F);
  EXPECT_EQ(allocations_of_second([&] {
              cross_entropy_begin(targets, kSize, sums);
              cross_entropy_panel(logits.view(), 0, targets, sums, x_.view(), corrections);
              scale_rows(corrections, gradient.view());
              cross_entropy_losses(sums, losses);
              cross_entropy_gradient(words.view(), targets, sums, losses, gradient.view());
              adamw_update({}, 1, flat, flat, flat, flat);
              EXPECT_GT(squared_norm(flat), -1);
            }),
            0U);
}

// oneDNN itself builds a small table of its arguments in each execution: nothing that grows with
// the shapes, and nothing that stays.
TEST_P(AllocationTest, AProductAllocatesNothingButOneDnnsArgumentTable) {
  if (GetParam() == DType::kBf16 && !bf16_is_supported()) GTEST_SKIP() << "no bf16 on this CPU";
  std::vector<std::byte> memory(Gemm::scratch_bound(threads()).count + 64);
  void* aligned = memory.data();
  std::size_t space = memory.size();
  std::align(64, Gemm::scratch_bound(threads()).count, aligned, space);
  Gemm gemm;
  gemm.use_scratch({static_cast<std::byte*>(aligned), space});
  Matrix weight = Matrix::random(kSize, kSize, 4, GetParam());
  Matrix gradient(kSize, kSize);
  const auto work = [&](std::int64_t tokens) {
    const View x = x_.view().slice(0, tokens);
    const View y = y_.view().slice(0, tokens);
    gemm.run(Product::kNT, x, weight.view(), y, false);
    gemm.run(Product::kNN, x, weight.view(), y, true);
    gemm.run(Product::kTN, x, y, gradient.view(), true);
  };
  work(2);
  largest = 0;
  const std::size_t before = allocations;
  work(kTokens);
  const std::size_t made = allocations - before;
  EXPECT_LE(largest, 1024U);
  EXPECT_LE(made, 3U * 5U * 40U);  // products x blocks x table
  RecordProperty("allocations", static_cast<int>(made));
}

INSTANTIATE_TEST_SUITE_P(Types, AllocationTest, testing::Values(DType::kF32, DType::kBf16));

}  // namespace
}  // namespace loadline
