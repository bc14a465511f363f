#include "training/batches.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <numeric>
#include <set>
#include <stdexcept>

#include "packed_fixture.h"
#include "training/effective_batch.h"
#include "training/trainer.h"

namespace loadline {
namespace {

using testing::Each;
using testing::ElementsAre;

std::vector<std::int64_t> ramp(std::int64_t count) {
  std::vector<std::int64_t> lengths(static_cast<std::size_t>(count));
  std::iota(lengths.begin(), lengths.end(), 2);
  return lengths;
}

class Batches : public testing::Test {
 protected:
  PackedRows packed(const std::vector<std::int64_t>& lengths) {
    return PackedRows(write_packed(folder_.path() / "rows.packed", rows_of_lengths(lengths)));
  }
  static TrainingSettings settings(std::int64_t batch_size, RowOrder order) {
    TrainingSettings s;
    s.batch_size = batch_size;
    s.order = order;
    s.seed = 7;
    return s;
  }
  static std::vector<std::int64_t> rows_of(BatchOrder& order, std::int64_t number,
                                           std::int64_t batch_size) {
    std::vector<std::int64_t> rows(static_cast<std::size_t>(batch_size));
    order.rows_of(number, rows);
    return rows;
  }
  static std::vector<std::int64_t> stream(BatchOrder& order, std::int64_t batches,
                                          std::int64_t batch_size) {
    std::vector<std::int64_t> all;
    for (std::int64_t n = 0; n < batches; ++n) {
      for (const std::int64_t row : rows_of(order, n, batch_size)) all.push_back(row);
    }
    return all;
  }
  TemporaryFolder folder_;
};

TEST_F(Batches, EachEpochIsAPermutationAlsoWhereBatchesSpanTwo) {
  for (const std::int64_t rows : {5, 7, 9, 16, 31, 80}) {
    for (const std::int64_t batch : {1, 2, 3, 4, 5, -2, -3}) {  // below 0: balanced
      const PackedRows data = packed(ramp(rows));
      BatchOrder order(
          data, settings(std::abs(batch), batch < 0 ? RowOrder::kBalanced : RowOrder::kShuffled));
      const std::vector<std::int64_t> all = stream(order, 6 * rows, std::abs(batch));
      for (std::int64_t epoch = 0; epoch < 6; ++epoch) {
        const auto begin = all.begin() + epoch * rows;
        EXPECT_EQ(std::set<std::int64_t>(begin, begin + rows).size(), rows)
            << rows << " rows, batch " << batch << ", epoch " << epoch;
      }
    }
  }
}

TEST_F(Batches, NoBatchHoldsARowTwice) {
  for (const std::int64_t rows : {5, 6, 7, 11, 33}) {
    const PackedRows data = packed(ramp(rows));
    BatchOrder order(data, settings(5, rows == 33 ? RowOrder::kBalanced : RowOrder::kShuffled));
    for (std::int64_t n = 0; n < 100; ++n) {
      const std::vector<std::int64_t> batch = rows_of(order, n, 5);
      EXPECT_EQ(std::set<std::int64_t>(batch.begin(), batch.end()).size(), 5U) << "batch " << n;
    }
  }
}

TEST_F(Batches, AnyBatchIsTheSameWhetherReachedInOrderOrAtOnce) {
  for (const std::int64_t rows : {7, 8, 9, 10, 100, 101}) {
    const PackedRows data = packed(ramp(rows));
    const RowOrder kind = rows % 2 == 1 ? RowOrder::kBalanced : RowOrder::kShuffled;
    BatchOrder in_order(data, settings(6, kind));
    std::vector<std::vector<std::int64_t>> expected;
    for (std::int64_t n = 0; n < 60; ++n) expected.push_back(rows_of(in_order, n, 6));
    for (const std::int64_t n : {59, 3, 31, 30, 0, 17}) {
      BatchOrder at_once(data, settings(6, kind));
      EXPECT_EQ(rows_of(at_once, n, 6), expected[static_cast<std::size_t>(n)])
          << rows << " rows, batch " << n;
    }
    EXPECT_EQ(rows_of(in_order, 2, 6), expected[2]) << "going back";
  }
}

TEST_F(Batches, EpochsAndSeedsDiffer) {
  const PackedRows data = packed(ramp(50));
  BatchOrder order(data, settings(50, RowOrder::kShuffled));
  TrainingSettings other = settings(50, RowOrder::kShuffled);
  other.seed = 8;
  BatchOrder other_order(data, other);
  EXPECT_NE(rows_of(order, 0, 50), rows_of(order, 1, 50));
  EXPECT_NE(rows_of(order, 0, 50), rows_of(other_order, 0, 50));
}

TEST_F(Batches, EveryRowIsFirstAboutEquallyOften) {
  const PackedRows data = packed(ramp(5));
  BatchOrder order(data, settings(5, RowOrder::kShuffled));
  std::map<std::int64_t, int> first;
  for (std::int64_t n = 0; n < 5000; ++n) ++first[rows_of(order, n, 5).front()];
  // 1000 expected, standard deviation 28.
  for (std::int64_t row = 0; row < 5; ++row) EXPECT_NEAR(first[row], 1000, 150) << "row " << row;
}

TEST_F(Batches, FileOrderGoesRoundAndRound) {
  const PackedRows data = packed(ramp(5));
  BatchOrder order(data, settings(3, RowOrder::kFile));
  EXPECT_THAT(rows_of(order, 0, 3), ElementsAre(0, 1, 2));
  EXPECT_THAT(rows_of(order, 1, 3), ElementsAre(3, 4, 0));
  EXPECT_THAT(rows_of(order, 4, 3), ElementsAre(2, 3, 4));
}

TEST_F(Batches, WorstFirstBeginsTwiceWithTheLongestRowsAfterTruncation) {
  const PackedRows data = packed({3, 90, 4, 80, 70, 5});
  TrainingSettings s = settings(2, RowOrder::kWorstFirst);
  BatchOrder order(data, s);
  EXPECT_THAT(rows_of(order, 0, 2), ElementsAre(1, 3));
  EXPECT_THAT(rows_of(order, 1, 2), ElementsAre(1, 3));
  EXPECT_THAT(rows_of(order, 2, 2), ElementsAre(0, 1));
  EXPECT_THAT(rows_of(order, 3, 2), ElementsAre(2, 3));
  s.max_seq_length = 4;
  BatchOrder truncated(data, s);
  EXPECT_THAT(rows_of(truncated, 0, 2), ElementsAre(1, 2)) << "all of length 4, earlier first";
}

TEST_F(Batches, NoBatchOfAnyOrderHasMoreTokensThanTheWorst) {
  const std::vector<std::int64_t> lengths{40, 3, 3, 39, 3};
  const PackedRows data = packed(lengths);
  for (const std::int64_t batch : {1, 2, 3, 4, 5, 7, 12}) {
    const std::int64_t worst = worst_batch_tokens(settings(batch, RowOrder::kShuffled), data);
    for (const RowOrder kind :
         {RowOrder::kShuffled, RowOrder::kFile, RowOrder::kWorstFirst, RowOrder::kBalanced}) {
      BatchOrder order(data, settings(batch, kind));
      for (std::int64_t n = 0; n < 200; ++n) {
        std::int64_t tokens = 0;
        for (const std::int64_t row : rows_of(order, n, batch)) tokens += data.length(row);
        ASSERT_LE(tokens, worst) << "batch size " << batch << ", batch " << n;
        if (kind == RowOrder::kWorstFirst && n == 0) {
          ASSERT_EQ(tokens, worst) << batch;
        }
      }
    }
  }
}

TEST_F(Batches, BalancedBatchesAreNearlyAlikeAndTheLargestIsKnownBeforehand) {
  std::vector<std::int64_t> lengths;
  for (std::int64_t r = 0; r < 203; ++r) lengths.push_back(2 + r * r * 37 % 211);
  const PackedRows data = packed(lengths);
  TrainingSettings s = settings(4, RowOrder::kBalanced);
  s.grad_accumulation_steps = 2;
  s.max_steps = 60;
  BatchOrder order(data, s);
  std::int64_t largest = 0;
  for (std::int64_t n = 0; n < 120; ++n) {
    std::int64_t tokens = 0;
    for (const std::int64_t row : rows_of(order, n, 4)) tokens += data.length(row);
    largest = std::max(largest, tokens);
  }
  EXPECT_EQ(worst_batch_tokens(s, data), largest);
  TrainingSettings shuffled = s;
  shuffled.order = RowOrder::kShuffled;
  EXPECT_LT(largest, worst_batch_tokens(shuffled, data) * 7 / 10);
  s.max_seq_length = 50;
  EXPECT_LE(worst_batch_tokens(s, data), 200);
}

TEST_F(Batches, WithBalancedBatchesEachTargetOfAnEpochWeighsTheSame) {
  std::vector<std::int64_t> lengths;
  for (std::int64_t r = 0; r < 24; ++r) lengths.push_back(2 + r * r * 37 % 83);
  const PackedRows data = packed(lengths);
  TrainingSettings s = settings(3, RowOrder::kBalanced);
  s.grad_accumulation_steps = 2;
  EffectiveBatch batch(data, s, 2048);
  std::map<float, std::int64_t> coefficients;  // of targets, with their number
  double sum = 0;
  for (std::int64_t step = 1; step <= 4; ++step) {  // an epoch
    batch.select(step);
    for (std::int64_t m = 0; m < batch.micro_batches(); ++m) {
      for (const float c : batch.micro_batch(m).coefficients) {
        if (c > 0) ++coefficients[c];
        sum += static_cast<double>(c);
      }
    }
  }
  ASSERT_EQ(coefficients.size(), 1U);
  EXPECT_EQ(coefficients.begin()->second, data.tokens() - data.size());
  EXPECT_NEAR(sum, 4, 1e-4) << "an update's gradient is a mean, on average";
}

TEST_F(Batches, BalancedBatchesHoldNoRowBeforeTheFirstUpdate) {
  const PackedRows data = packed(std::vector<std::int64_t>(4000, 300));  // 6 MB
  const EffectiveBatch batch(data, settings(4, RowOrder::kBalanced), 2048);
  EXPECT_LT(resident_of(folder_.path() / "rows.packed"), 1_MiB);
}

TEST_F(Batches, RowUseCountsWhatTheUpdatesTook) {
  const PackedRows data = packed(ramp(7));
  TrainingSettings s = settings(2, RowOrder::kFile);
  BatchOrder order(data, s);
  RowUse use = row_use(data, s, 2, order);  // rows 0 to 3
  EXPECT_EQ(use.rows, 7);
  EXPECT_EQ(use.uses, 4);
  EXPECT_EQ(use.least, 0);
  EXPECT_EQ(use.most, 1);
  EXPECT_EQ(use.unused, 3);
  s.grad_accumulation_steps = 2;
  use = row_use(data, s, 2, order);  // 8 uses
  EXPECT_EQ(use.least, 1);
  EXPECT_EQ(use.most, 2);
}

TEST_F(Batches, RowUseIsThatOfEachRowCountedInAnyOrder) {
  const PackedRows data = packed(ramp(11));
  for (const RowOrder kind :
       {RowOrder::kShuffled, RowOrder::kFile, RowOrder::kWorstFirst, RowOrder::kBalanced}) {
    for (const std::int64_t batch : {1, 3, 4, 11, 13}) {
      for (const std::int64_t updates : {0, 1, 2, 5, 11}) {
        TrainingSettings s = settings(batch, kind);
        s.grad_accumulation_steps = 2;
        s.max_seq_length = 9;
        BatchOrder order(data, s);
        std::vector<std::int64_t> uses(11);
        std::int64_t tokens = 0;
        for (const std::int64_t row : stream(order, updates * 2, batch)) {
          ++uses[static_cast<std::size_t>(row)];
          tokens += std::min<std::int64_t>(data.length(row), 9);
        }
        const RowUse use = row_use(data, s, updates, order);
        const std::string of = std::string(name_of(kind)) + ", " + std::to_string(batch) + ", " +
                               std::to_string(updates);
        EXPECT_EQ(use.uses, updates * 2 * batch) << of;
        EXPECT_EQ(use.tokens, tokens) << of;
        EXPECT_EQ(use.least, std::ranges::min(uses)) << of;
        EXPECT_EQ(use.most, std::ranges::max(uses)) << of;
        EXPECT_EQ(use.unused, std::ranges::count(uses, 0)) << of;
      }
    }
  }
}

TEST_F(Batches, FewerRowsThanABatchAreUsedAsOftenAsNeeded) {
  const PackedRows data = packed(ramp(3));
  BatchOrder order(data, settings(7, RowOrder::kShuffled));
  std::map<std::int64_t, int> uses;
  for (const std::int64_t row : rows_of(order, 5, 7)) ++uses[row];
  EXPECT_EQ(uses.size(), 3U);
  for (const auto& [row, count] : uses) EXPECT_THAT(count, testing::AnyOf(2, 3));
}

TEST_F(Batches, ABatchPredictsTheNextTokenOfTheSameRowOnly) {
  const PackedRows data = packed({3, 2});
  BatchBuffer buffer(5, 2);
  const Batch batch = buffer.fill(data, std::vector<std::int64_t>{1, 0}, 2048);
  EXPECT_THAT(batch.ids, ElementsAre(16, 17, 0, 1, 2));
  EXPECT_THAT(batch.row_starts, ElementsAre(0, 2, 5));
  EXPECT_THAT(batch.targets, ElementsAre(17, -1, 1, 2, -1));
  EXPECT_THAT(batch.coefficients, ElementsAre(1.0F, 0.0F, 1.0F, 1.0F, 0.0F));
}

TEST_F(Batches, TruncationDropsTheTargetsBeyondIt) {
  const PackedRows data = packed({9});
  BatchBuffer buffer(4, 1);
  const Batch batch = buffer.fill(data, std::vector<std::int64_t>{0}, 4);
  EXPECT_THAT(batch.ids, ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(batch.targets, ElementsAre(1, 2, 3, -1));
  EXPECT_EQ(targets_of(data.row(0), 4), 3);
  EXPECT_EQ(targets_of(data.row(0), 2048), 8);
}

TEST_F(Batches, MaskedTokensAreReadButNotPredicted) {
  std::vector<TokenizedRow> rows = rows_of_lengths({5});
  rows[0].in_loss = {true, false, false, true, true};
  const PackedRows data(write_packed(folder_.path() / "masked.packed", rows));
  BatchBuffer buffer(5, 1);
  const Batch batch = buffer.fill(data, std::vector<std::int64_t>{0}, 2048);
  EXPECT_THAT(batch.targets, ElementsAre(-1, -1, 3, 4, -1));
  EXPECT_EQ(targets_of(data.row(0), 2048), 2);
  EXPECT_EQ(targets_of(data.row(0), 3), 0) << "truncated to the prompt";
}

TEST_F(Batches, MoreTokensThanTheStorageAreRefused) {
  const PackedRows data = packed({3, 3});
  BatchBuffer few_tokens(5, 2);
  EXPECT_THROW(few_tokens.fill(data, std::vector<std::int64_t>{0, 1}, 2048), std::logic_error);
  BatchBuffer few_rows(6, 1);
  EXPECT_THROW(few_rows.fill(data, std::vector<std::int64_t>{0, 1}, 2048), std::logic_error);
}

}  // namespace
}  // namespace loadline
