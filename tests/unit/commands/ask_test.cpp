// What a search's journal answers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "commands/asked_run.h"
#include "commands/command.h"
#include "training/trainer.h"
#include "trial/journal.h"
#include "unit/training/packed_fixture.h"

namespace loadline {
namespace {

using testing::HasSubstr;

// A run of the demo model, whose 1024 positions are more than its rows of 128 tokens need.
class AskTest : public testing::Test {
 protected:
  AskTest() {
    settings_.model = LOADLINE_SOURCE_DIR "/demo/model";
    settings_.train_rows =
        write_packed(folder_.path() / "rows", rows_of_lengths(std::vector<std::int64_t>(16, 200)));
    settings_.max_seq_length = 128;
    settings_.lora = {.rank = 8, .alpha = 16, .layers = 4, .targets = {Projection::kQ}};
    settings_.adapter_path = folder_.path() / "adapter";
  }

  // Each peak is the plan's.
  void run_trials(const std::vector<std::int64_t>& batches, Bytes budget) {
    const PackedRows rows(settings_.train_rows);
    const ModelConfig model = read_config(settings_.model);
    Journal journal(folder_.path());
    TrialSpec spec;
    spec.lora_rank = settings_.lora.rank;
    spec.lora_layers = settings_.lora.layers;
    spec.budget = spec.cap = budget;
    spec.margin = margin_;
    spec.id = static_cast<int>(journal.entries().size());
    for (const std::int64_t batch : batches) {
      ++spec.id;
      spec.batch_size = settings_.batch_size = batch;
      spec.planned =
          plan_memory(model, settings_.lora, step_shape(settings_, rows, nullptr)).total();
      TrainingSettings settings = settings_;
      if (model_is_gone_) settings.model = folder_.path() / "gone";
      spec.worker = to_json(settings);
      TrialOutcome outcome;
      outcome.peak = MeasuredBytes{spec.planned.bytes};
      outcome.tokens_per_second = speed_;
      outcome.noise.neighbour_cores = neighbours_;
      outcome.verdict =
          outcome.adjusted_peak(spec.margin) <= budget ? Verdict::kFits : Verdict::kExceedsBudget;
      journal.started(spec);
      journal.finished(spec, outcome);
    }
  }

  [[nodiscard]] std::string ask(std::vector<std::string> flags) const {
    CLI::App app;
    const CommandFunction run = add_ask(Flags(app));
    flags.insert(flags.begin(), folder_.path().string());
    app.parse(std::vector<std::string>(flags.rbegin(), flags.rend()));
    testing::internal::CaptureStdout();
    try {
      static_cast<void>(run());
    } catch (const Error& error) {
      return testing::internal::GetCapturedStdout() + error.what();
    }
    return testing::internal::GetCapturedStdout();
  }

  TemporaryFolder folder_;
  TrainingSettings settings_;
  double margin_ = 0.15;
  double speed_ = 0;
  double neighbours_ = 0;
  bool model_is_gone_ = false;
};

TEST_F(AskTest, NoSequenceIsLongerThanTheModelHasPositions) {
  run_trials({1, 6}, 4_GiB);
  EXPECT_THAT(ask({"--batch-size", "1", "--max", "seq"}), HasSubstr("Largest seq: 1024\n"));
  EXPECT_THAT(ask({"--max-seq-length", "1025"}), HasSubstr("should be between 1 and 1024"));
}

TEST_F(AskTest, WhereTheModelIsGoneItsPositionsAreThoseThatTheRunRecorded) {
  model_is_gone_ = true;
  run_trials({1, 2, 4, 6}, 4_GiB);
  EXPECT_THAT(ask({"--max-seq-length", "1025"}), HasSubstr("seq=1025\n")) << "an older run";
  replace_file(folder_.path() / "run.json", R"({"model":{"max_positions":1024}})");
  EXPECT_THAT(ask({"--max-seq-length", "1025"}), HasSubstr("should be between 1 and 1024"));
}

TEST_F(AskTest, TheSequenceThatAllTrialsShareIsMeasured) {
  run_trials({1, 6}, 4_GiB);
  EXPECT_THAT(ask({"--batch-size", "6", "--max-seq-length", "128"}),
              testing::AllOf(HasSubstr("seq=128\n"), HasSubstr(": fits [measured]")));
  EXPECT_THAT(ask({"--batch-size", "6", "--max-seq-length", "127"}), HasSubstr("polated]"));
}

TEST_F(AskTest, WhatIsLeftOutIsTheOptimumThatTheRunChose) {
  run_trials({1, 6}, 4_GiB);
  EXPECT_THAT(ask({}), HasSubstr("batch=6")) << "without a result: the largest";
  replace_file(folder_.path() / "result.json", R"({"objective":"fastest","optimal":{"trial":1}})");
  EXPECT_THAT(ask({}), HasSubstr("batch=1"));
}

TEST_F(AskTest, WhatNeedsManyTimesTheBudgetDoesNotFitAlthoughItWasNotRun) {
  run_trials({1, 2, 4, 6}, 128_MiB);
  EXPECT_THAT(ask({"--batch-size", "999"}), HasSubstr(": does not fit [extrapolated]"));
  const Json answer = parse_json(ask({"--batch-size", "999", "--json"}), "stdout");
  for (const char* member : {"value", "low", "high"}) {
    EXPECT_TRUE(answer["peak_bytes"][member].is_number_integer()) << member;
  }
}

TEST_F(AskTest, WhatWasMeasuredNotToFitDoesNotFit) {
  run_trials({1, 6}, 64_MiB);
  EXPECT_THAT(ask({"--batch-size", "6"}), HasSubstr(": does not fit [measured]"));
  EXPECT_THAT(ask({"--batch-size", "7"}), HasSubstr(": does not fit [extrapolated]"));
}

TEST_F(AskTest, OneTrialAnswersForAllThatNeedsNoMoreThanIt) {
  model_is_gone_ = true;
  run_trials({8}, 100_MiB);
  EXPECT_THAT(ask({"--max", "batch"}), HasSubstr("Largest batch: 8\n"));
  EXPECT_THAT(ask({"--lora-layers", "2"}), HasSubstr(": fits [extrapolated]"));
}

TEST_F(AskTest, WhatMayFitOrNotByTheDoubtThereIsDoesNotSurelyFit) {
  run_trials({1, 6}, 4_GiB);
  const Json peak = parse_json(ask({"--batch-size", "7", "--json"}), "stdout")["peak_bytes"];
  std::filesystem::remove(folder_.path() / "journal.jsonl");
  const Bytes middle{peak["value"].get<std::uint64_t>()};
  run_trials({1, 6}, adjusted(middle, 0.15));
  EXPECT_THAT(ask({"--batch-size", "7"}), HasSubstr(": does not surely fit [extrapolated]"));
}

// The search went on on a day with another budget: all of its trials are compared with that.
TEST_F(AskTest, WhatFitsIsSaidByTheBudgetOfTheLastDay) {
  run_trials({6}, 64_MiB);
  run_trials({1}, 4_GiB);
  EXPECT_THAT(ask({"--batch-size", "6"}), HasSubstr(": fits [measured]"));
  run_trials({1}, 64_MiB);
  EXPECT_THAT(ask({"--batch-size", "6"}), HasSubstr(": does not fit [measured]"));
}

TEST_F(AskTest, ARankWhoseSpeedIsTooUncertainForTheLossIsNotKnown) {
  speed_ = 6600;
  run_trials({1}, 4_GiB);
  EXPECT_THAT(ask({"--max", "rank", "--speed-loss", "2"}),
              testing::AllOf(HasSubstr("Largest rank: not known"), HasSubstr("--ranks 8,")));
  EXPECT_EQ(parse_json(ask({"--max", "rank", "--speed-loss", "2", "--json"}), "stdout")
                .at("largest_is_known"),
            false);
}

TEST_F(AskTest, WhereALargerRankIsNotKnownTheLargestThatWasMeasuredIsTheAnswer) {
  neighbours_ = 1.5;  // of such speeds little is known
  for (const auto& [rank, speed] : {std::pair{32, 6600.0}, {79, 6500.0}, {128, 6000.0}}) {
    settings_.lora.rank = rank;
    speed_ = speed;
    if (rank == 128) neighbours_ = 0;
    run_trials({1}, 4_GiB);
  }
  const std::string answer = ask({"--max", "rank", "--speed-loss", "2"});
  EXPECT_THAT(answer,
              testing::AllOf(HasSubstr("Largest rank that was measured: 79; 128 was too slow\n"),
                             HasSubstr("not known beyond it"), HasSubstr("rank=79")));
  const Json document = parse_json(ask({"--max", "rank", "--speed-loss", "2", "--json"}), "stdout");
  EXPECT_EQ(document.at("lora_rank"), 79);
  EXPECT_EQ(document.at("largest_is_known"), false);
}

TEST_F(AskTest, NoRankIsLargestThatIsMoreThanAModuleCanUse) {
  run_trials({1, 6}, 4_GiB);
  EXPECT_THAT(ask({"--max", "rank"}),
              testing::AllOf(HasSubstr("Largest rank: 192\n"),
                             HasSubstr("nothing to any module (q_proj, 192 x 192)")));
}

TEST_F(AskTest, NoBatchIsLargestThatHasMoreThanAllRowsOfTheData) {
  run_trials({1, 6}, 4_GiB);
  EXPECT_THAT(ask({"--max", "batch"}),
              testing::AllOf(HasSubstr("Largest batch: 16\n"),
                             HasSubstr("  The data has 16 rows: in a larger batch rows would")));
  EXPECT_EQ(parse_json(ask({"--max", "batch", "--json"}), "stdout").at("batch_size"), 16);
  run_trials({1, 6}, 64_MiB);
  EXPECT_THAT(ask({"--max", "batch"}), testing::Not(HasSubstr("The data has")));
}

TEST_F(AskTest, WhereTheRowsAreGoneTheirNumberIsTheOneThatTheRunRecorded) {
  run_trials({1, 6}, 4_GiB);
  std::filesystem::remove(settings_.train_rows);
  EXPECT_THAT(ask({"--max", "batch"}), testing::Not(HasSubstr("The data has"))) << "an older run";
  replace_file(folder_.path() / "run.json", R"({"data": {"rows": 6}})");
  EXPECT_THAT(ask({"--max", "batch"}), HasSubstr("The data has 6 rows"));
}

TEST_F(AskTest, ASpeedThatOthersSlowedIsMarkedAsALowerBoundUntilOneWasMeasuredInQuiet) {
  speed_ = 6600;
  neighbours_ = 1.5;
  run_trials({1}, 4_GiB);
  const auto slowed = [&] {
    return parse_json(ask({"--json"}), "stdout")["tokens_per_second"]["slowed_by_others"];
  };
  const auto high = [&] {
    return parse_json(ask({"--json"}), "stdout")["tokens_per_second"]["high"];
  };
  EXPECT_THAT(ask({}), HasSubstr("Speed:  ≥ 6600 tokens/s (other processes slowed it) [measured]"));
  EXPECT_EQ(slowed(), true);
  EXPECT_EQ(high(), nullptr) << "it is not known";
  neighbours_ = 0;
  run_trials({1}, 4_GiB);
  EXPECT_THAT(ask({}), HasSubstr("Speed:  6600 tokens/s [measured]"));
  EXPECT_EQ(slowed(), false);
  EXPECT_EQ(high(), 6600);
}

TEST_F(AskTest, ARankWhoseSpeedWasMeasuredIsKnown) {
  for (const std::int64_t rank : {8, 16, 32, 64}) {
    settings_.lora.rank = rank;
    speed_ = 6600 - 10 * static_cast<double>(rank);
    run_trials({1, 2}, 4_GiB);
  }
  EXPECT_THAT(ask({"--max", "rank", "--speed-loss", "30"}), HasSubstr("Largest rank: "));
  EXPECT_THAT(ask({"--max", "rank", "--speed-loss", "30"}), testing::Not(HasSubstr("not known")));
}

TEST_F(AskTest, WithoutAMarginATrialUnderTheBudgetWasUnderTheMarginToo) {
  margin_ = 0;
  run_trials({1}, 4_GiB);
  EXPECT_TRUE(AskedRun(folder_.path()).trials().front().under_margin);
}

TEST_F(AskTest, WithAMarginATrialUnderTheBudgetWasNotUnderIt) {
  run_trials({1}, 4_GiB);
  EXPECT_FALSE(AskedRun(folder_.path()).trials().front().under_margin);
}

}  // namespace
}  // namespace loadline
