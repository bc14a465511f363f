#include "kernels/attention.h"

#include <gtest/gtest.h>

#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

#include "kernels/gemm.h"
#include "kernels/threads.h"
#include "unit/kernels/matrix.h"

namespace loadline {
namespace {

struct Case {
  std::string name;
  std::vector<std::int32_t> lengths;
  std::int64_t heads, kv_heads, head_dim, window;
  DType dtype = DType::kF32;
  float softcap = 0;
  bool widen = false;
};

std::vector<std::int32_t> starts_of(const Case& c) {
  std::vector<std::int32_t> starts = {0};
  for (const auto length : c.lengths) starts.push_back(starts.back() + length);
  return starts;
}

AttentionShape shape_of(const Case& c) {
  return {c.heads,  c.kv_heads, c.head_dim, 1.0F / std::sqrt(static_cast<float>(c.head_dim)),
          c.window, c.softcap,  c.widen};
}

struct Tensors {
  explicit Tensors(const Case& c)
      : starts(starts_of(c)),
        shape(shape_of(c)),
        tokens(starts.back()),
        q(Matrix::random(tokens, c.heads * c.head_dim, 1, c.dtype, 5)),
        k(Matrix::random(tokens, c.kv_heads * c.head_dim, 2, c.dtype, 3)),
        v(Matrix::random(tokens, c.kv_heads * c.head_dim, 3, c.dtype, 1)),
        dout(Matrix::random(tokens, c.heads * c.head_dim, 4, c.dtype, 2)),
        out(tokens, q.cols(), c.dtype, 4),
        dq(tokens, q.cols(), c.dtype, 6),
        dk(tokens, k.cols(), c.dtype, 2),
        dv(tokens, k.cols(), c.dtype, 7),
        log_sum_exp(static_cast<std::size_t>(c.heads * tokens)) {
    std::int64_t longest = 0;
    for (const auto length : c.lengths) longest = std::max<std::int64_t>(longest, length);
    scratch.resize(attention_scratch(shape, c.dtype, tokens, longest, threads()).count);
  }

  void forward() {
    attention_forward(q.view(), k.view(), v.view(), starts, shape, out.view(), log_sum_exp,
                      scratch);
  }
  void backward() {
    attention_backward(dout.view(), q.view(), k.view(), v.view(), out.view(), log_sum_exp, starts,
                       shape, dq.view(), dk.view(), dv.view(), scratch);
  }

  std::vector<std::int32_t> starts;
  AttentionShape shape;
  std::int64_t tokens;
  Matrix q, k, v, dout, out, dq, dk, dv;
  std::vector<float> log_sum_exp;
  std::vector<std::byte> scratch;
};

// The definition, in double: probabilities of one query over the keys that it sees.
struct Reference {
  const Tensors& t;
  Matrix out, dq, dk, dv;
  std::vector<double> log_sum_exp;

  explicit Reference(const Tensors& tensors)
      : t(tensors),
        out(t.tokens, t.q.cols()),
        dq(t.tokens, t.q.cols()),
        dk(t.tokens, t.k.cols()),
        dv(t.tokens, t.k.cols()),
        log_sum_exp(t.log_sum_exp.size()) {
    for (std::size_t r = 0; r + 1 < t.starts.size(); ++r) {
      for (std::int64_t i = t.starts[r]; i < t.starts[r + 1]; ++i) {
        for (std::int64_t h = 0; h < t.shape.heads; ++h) query(t.starts[r], i, h);
      }
    }
  }

  void query(std::int64_t row_begin, std::int64_t i, std::int64_t h) {
    const std::int64_t hd = t.shape.head_dim;
    const std::int64_t kv = h / (t.shape.heads / t.shape.kv_heads) * hd;
    const std::int64_t window = t.shape.window;
    const std::int64_t first = window > 0 ? std::max(row_begin, i - window + 1) : row_begin;
    std::vector<double> p, slope;  // slope: of the cap, at each score
    double total = 0;
    for (std::int64_t j = first; j <= i; ++j) {
      double score = 0;
      for (std::int64_t d = 0; d < hd; ++d) score += t.q.get(i, h * hd + d) * t.k.get(j, kv + d);
      score *= static_cast<double>(t.shape.scale);
      const double cap = static_cast<double>(t.shape.softcap);
      const double squashed = cap > 0 ? std::tanh(score / cap) : 0;
      slope.push_back(1 - squashed * squashed);
      p.push_back(std::exp(cap > 0 ? cap * squashed : score));
      total += p.back();
    }
    log_sum_exp[static_cast<std::size_t>(h * t.tokens + i)] = std::log(total);
    double expected_dp = 0;
    std::vector<double> dp;
    for (std::int64_t j = first; j <= i; ++j) {
      double& weight = p[static_cast<std::size_t>(j - first)];
      weight /= total;
      dp.push_back(0);
      for (std::int64_t d = 0; d < hd; ++d) {
        const double g = t.dout.get(i, h * hd + d);
        add(out, i, h * hd + d, weight * t.v.get(j, kv + d));
        add(dv, j, kv + d, weight * g);
        dp.back() += g * t.v.get(j, kv + d);
      }
      expected_dp += weight * dp.back();
    }
    for (std::int64_t j = first; j <= i; ++j) {
      const auto at = static_cast<std::size_t>(j - first);
      const double ds =
          p[at] * (dp[at] - expected_dp) * slope[at] * static_cast<double>(t.shape.scale);
      for (std::int64_t d = 0; d < hd; ++d) {
        add(dq, i, h * hd + d, ds * t.k.get(j, kv + d));
        add(dk, j, kv + d, ds * t.q.get(i, h * hd + d));
      }
    }
  }

  static void add(Matrix& m, std::int64_t r, std::int64_t c, double x) {
    m.set(r, c, m.get(r, c) + x);
  }
};

const std::vector<std::int32_t> kLengths = {1, 2, 63, 64, 65, 200};

// Those of bf16 data also in f32.
std::vector<Case> with_widened(std::vector<Case> cases) {
  const std::vector<Case> given = cases;
  for (Case c : given) {
    if (c.dtype != DType::kBf16) continue;
    c.name += "Widened";
    c.widen = true;
    cases.push_back(c);
  }
  return cases;
}

std::vector<Case> cases() {
  return with_widened({
      {"PlainHeads", kLengths, 2, 2, 16, 0},
      {"GroupedQueries", kLengths, 6, 2, 8, 0},
      {"OneKeyValueHeadAndAnOddSize", {70, 3}, 3, 1, 20, 0},
      {"LargeHeads", {130}, 2, 1, 256, 0},
      {"WindowWithinABlock", kLengths, 2, 1, 16, 5},
      {"WindowOfOne", {66}, 1, 1, 8, 1},
      {"WindowOfABlock", {200}, 2, 2, 8, 64},
      {"WindowAcrossBlocks", {300}, 2, 2, 8, 100},
      {"EmptyRows", {0, 5, 0, 66, 0}, 2, 1, 8, 0},
      {"ManyUnits", {10, 70, 20, 65, 3, 9, 130, 5, 7}, 4, 2, 16, 0},
      {"Bf16", {1, 65, 130}, 4, 2, 32, 0, DType::kBf16},
      {"Bf16Window", {150}, 4, 1, 80, 70, DType::kBf16},
      {"Bf16OddSizes", {70, 3, 0, 193}, 3, 1, 19, 0, DType::kBf16},
      {"Bf16WindowOfOne", {67}, 2, 1, 8, 1, DType::kBf16},
      {"Bf16ManyUnits", {10, 70, 20, 65, 3, 9, 130, 5, 7}, 4, 2, 64, 33, DType::kBf16},
      {"SoftCap", kLengths, 4, 2, 16, 0, DType::kF32, 0.7F},
      {"SoftCapAndWindow", {150, 66}, 2, 1, 24, 70, DType::kF32, 1.5F},
      {"Bf16SoftCap", {130}, 2, 1, 256, 0, DType::kBf16, 50.0F},
      {"Bf16SoftCapAndWindow", {150, 66}, 2, 1, 24, 70, DType::kBf16, 1.5F},
  });
}

class AttentionTest : public testing::TestWithParam<Case> {};

TEST_P(AttentionTest, ForwardIsTheSoftmaxOfTheSeenScores) {
  Tensors t(GetParam());
  t.forward();
  const Reference wanted(t);
  EXPECT_LE(distance(t.out, wanted.out), tolerance(GetParam().dtype));
  for (std::size_t i = 0; i < t.log_sum_exp.size(); ++i) {
    ASSERT_NEAR(static_cast<double>(t.log_sum_exp[i]), wanted.log_sum_exp[i], 1e-4);
  }
  EXPECT_TRUE(t.out.gaps_untouched());
}

TEST_P(AttentionTest, BackwardIsTheGradientOfTheDefinition) {
  Tensors t(GetParam());
  t.forward();
  t.backward();
  const Reference wanted(t);
  const double allowed = tolerance(GetParam().dtype) * 4;
  EXPECT_LE(distance(t.dq, wanted.dq), allowed);
  EXPECT_LE(distance(t.dk, wanted.dk), allowed);
  EXPECT_LE(distance(t.dv, wanted.dv), allowed);
  EXPECT_TRUE(t.dq.gaps_untouched() && t.dk.gaps_untouched() && t.dv.gaps_untouched());
}

TEST_P(AttentionTest, TwiceTheSameBits) {
  Tensors a(GetParam());
  Tensors b(GetParam());
  for (Tensors* t : {&a, &b}) {
    t->forward();
    t->backward();
  }
  EXPECT_TRUE(a.out == b.out && a.dq == b.dq && a.dk == b.dk && a.dv == b.dv);
  EXPECT_EQ(a.log_sum_exp, b.log_sum_exp);
}

INSTANTIATE_TEST_SUITE_P(Shapes, AttentionTest, testing::ValuesIn(cases()),
                         [](const auto& c) { return c.param.name; });

// The reference's own gradient against differences of the reference's forward.
void expect_gradient_of_reference(const Case& c) {
  Tensors t(c);
  const Reference reference(t);
  const auto loss = [&] {
    const Reference at(t);
    double sum = 0;
    for (std::int64_t i = 0; i < t.tokens; ++i) {
      for (std::int64_t j = 0; j < t.q.cols(); ++j) sum += at.out.get(i, j) * t.dout.get(i, j);
    }
    return sum;
  };
  const auto check = [&](Matrix& x, const Matrix& gradient) {
    for (std::int64_t i = 0; i < x.rows(); ++i) {
      for (std::int64_t j = 0; j < x.cols(); ++j) {
        const double before = x.get(i, j);
        x.set(i, j, before + 0.0078125);
        const double up = loss();
        x.set(i, j, before - 0.0078125);
        const double down = loss();
        x.set(i, j, before);
        EXPECT_NEAR((up - down) / 0.015625, gradient.get(i, j), 2e-3);
      }
    }
  };
  check(t.q, reference.dq);
  check(t.k, reference.dk);
  check(t.v, reference.dv);
}

TEST(AttentionReferenceTest, GradientAgreesWithFiniteDifferences) {
  for (const float softcap : {0.0F, 0.8F}) {
    const Case c{"", {5, 3}, 2, 1, 4, 3, DType::kF32, softcap};
    expect_gradient_of_reference(c);
  }
}

class AttentionFailureTest : public testing::TestWithParam<DType> {};

TEST_P(AttentionFailureTest, ANotANumberReachesTheOutput) {
  Tensors t({"", {70}, 1, 1, 8, 0, GetParam()});
  t.k.set(10, 3, std::numeric_limits<double>::quiet_NaN());
  t.forward();
  EXPECT_FALSE(std::isnan(t.out.get(9, 0)));
  EXPECT_TRUE(std::isnan(t.out.get(10, 0)));
  EXPECT_TRUE(std::isnan(t.out.get(69, 0)));
}

TEST_P(AttentionFailureTest, LargeScoresDoNotOverflow) {
  Tensors t({"", {70}, 1, 1, 8, 0, GetParam()});
  for (std::int64_t i = 0; i < t.tokens; ++i) {
    for (std::int64_t d = 0; d < 8; ++d) t.q.set(i, d, t.q.get(i, d) * 1000);
  }
  t.forward();
  t.backward();
  for (std::int64_t i = 0; i < t.tokens; ++i) {
    ASSERT_TRUE(std::isfinite(t.out.get(i, 0)) && std::isfinite(t.dq.get(i, 0)) &&
                std::isfinite(t.dk.get(i, 0)));
  }
}

TEST_P(AttentionFailureTest, ScratchThatHeldNotANumbersLeavesNoTrace) {
  for (const std::int64_t window : {0, 40}) {
    const Case c{"", {70, 129, 33}, 2, 1, 20, window, GetParam()};
    Tensors clean(c);
    Tensors used(c);
    std::fill(used.scratch.begin(), used.scratch.end(), std::byte{0xff});
    for (Tensors* t : {&clean, &used}) {
      t->forward();
      t->backward();
    }
    EXPECT_TRUE(clean.out == used.out && clean.dq == used.dq && clean.dk == used.dk &&
                clean.dv == used.dv);
  }
}

INSTANTIATE_TEST_SUITE_P(Types, AttentionFailureTest, testing::Values(DType::kF32, DType::kBf16),
                         [](const auto& type) { return std::string(name_of(type.param)); });

TEST(AttentionRefusalTest, WrongShapesAndSmallScratchAreRefused) {
  Tensors t({"", {5}, 2, 1, 8, 0});
  t.starts.back() = 6;
  EXPECT_THROW(t.forward(), std::logic_error);
  t.starts.back() = 5;
  t.scratch.resize(100);
  EXPECT_THROW(t.forward(), std::logic_error);
  EXPECT_THROW(t.backward(), std::logic_error);
}

}  // namespace
}  // namespace loadline
