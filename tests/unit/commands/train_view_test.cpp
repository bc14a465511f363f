#include "commands/train_view.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <memory>

namespace loadline {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class TrainViewTest : public testing::Test {
 protected:
  TrainViewTest() {
    settings_.model = "/models/it's";
    settings_.adapter_path = "/runs/a";
    settings_.max_steps = 4;
    settings_.steps_per_report = 2;
  }
  static LoadReport load(std::int64_t first_step, std::int64_t trained_tokens) {
    return {.seconds = 1,
            .planned = {50_MiB},
            .peak = 40_MiB,
            .rows = 10,
            .worst_batch_tokens = 64,
            .longest_row = 32,
            .trainable_parameters = 1000,
            .first_step = first_step,
            .trained_tokens = trained_tokens};
  }
  static StepReport step(std::int64_t number, double cross_entropy, double distrust) {
    return {.step = number,
            .loss = cross_entropy + distrust,
            .cross_entropy = cross_entropy,
            .distrust = distrust,
            .learning_rate = 1e-4,
            .grad_norm = 1,
            .tokens = 100,
            .seconds = 2,
            .peak = 45_MiB};
  }
  static EvaluationReport evaluation(std::int64_t step, double loss) {
    return {.rows = EvaluationReport::Rows::kValidation,
            .step = step,
            .valid_loss = loss,
            .targets = 10,
            .is_best = step > 0,
            .seconds = 1,
            .peak = 46_MiB};
  }
  std::string shown() {
    std::fflush(out_.get());
    std::string text(static_cast<std::size_t>(std::ftell(out_.get())), '\0');
    std::rewind(out_.get());
    text.resize(std::fread(text.data(), 1, text.size(), out_.get()));
    return text;
  }

  TrainingSettings settings_;
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> out_{std::tmpfile(), std::fclose};
};

TEST_F(TrainViewTest, ALineHasTheMeansSinceTheLastAsMlxLmPrintsThem) {
  TrainView view(settings_, out_.get(), false);
  view.loaded(load(0, 0));
  view.stepped(step(1, 3, 0));
  view.stepped(step(2, 2, 0));
  view.stepped(step(3, 2, 0));
  view.stepped(step(4, 1, 0));
  EXPECT_THAT(shown(), AllOf(HasSubstr("Iter 1: Train loss 3.000, Learning Rate 1.000e-04, It/sec "
                                       "0.500, Tokens/sec 50.0, Trained Tokens 100, Peak mem "
                                       "0.047 GB\n"),
                             HasSubstr("Iter 2: Train loss 2.000"), Not(HasSubstr("Iter 3")),
                             HasSubstr("Iter 4: Train loss 1.500"), Not(HasSubstr("\x1b"))));
}

TEST_F(TrainViewTest, WithDistrustInTheLossTheCrossEntropyStandsApart) {
  TrainView view(settings_, out_.get(), true);
  view.loaded(load(0, 0));
  view.stepped(step(1, 3, 90));
  EXPECT_THAT(shown(), AllOf(HasSubstr("Train loss 93.000"), HasSubstr(", Cross-entropy 3.000\n"),
                             HasSubstr("step 1 of 4, cross-entropy 3.000, about 6 s left")));
}

TEST_F(TrainViewTest, WhatWasRefusedAndEndsNothingIsAWarningHereAndInTheDocument) {
  TrainView view(settings_, out_.get(), false);
  view.loaded(load(0, 0));
  view.stepped(step(1, 3, 0));
  view.warned(1, "/runs/a/metrics.jsonl: cannot be written: No space left on device");
  EXPECT_THAT(shown(), HasSubstr("Iter 1: Warning: /runs/a/metrics.jsonl: cannot be written: No "
                                 "space left on device.\n"));
  const Json warnings = view.document({}).at("warnings");
  ASSERT_EQ(warnings.size(), 1U);
  EXPECT_EQ(warnings[0].at("step"), 1);
}

TEST_F(TrainViewTest, ATrunkCacheThatWasGivenUpSaysWhy) {
  TrainView view(settings_, out_.get(), false);
  view.loaded(load(0, 0));
  TrainingEnd end;
  end.trunk_batches = 31;
  end.trunk_given_up = "/runs/a/trunk_cache.bin: cannot be written: No space left on device";
  view.ended(end, "--demo");
  EXPECT_THAT(shown(), HasSubstr("Trunk cache: 0 of 31 batches were read instead of computed; it "
                                 "was given up: " +
                                 end.trunk_given_up + "\n"));
}

TEST_F(TrainViewTest, OnATerminalALongFirstUpdateAndALongEvaluationShowABar) {
  TrainView view(settings_, out_.get(), true);
  view.loaded(load(0, 0));
  view.evaluating(EvaluationReport::Rows::kValidation, 0, 40);
  EXPECT_THAT(shown(), AllOf(HasSubstr("] step 0 of 4"), HasSubstr("Validation: 0 of 40 rows"),
                             Not(HasSubstr("left"))));
}

TEST_F(TrainViewTest, AResumedRunGoesOnWithItsTokensAndItsBest) {
  TrainView view(settings_, out_.get(), false);
  view.loaded(load(2, 777));
  view.stepped(step(3, 2, 0));
  TrainingEnd end;
  end.step = 3;
  end.best = BestLoss{.step = 2, .valid_loss = 1.5};
  end.folder = settings_.adapter_path;
  view.ended(end, "--model '/models/it'\\''s'");
  EXPECT_THAT(
      shown(),
      AllOf(HasSubstr("Resumed after step 2 of 4"), HasSubstr("Iter 3: Train loss 2.000"),
            HasSubstr("Trained Tokens 877"), HasSubstr("Done: 1 update with 100 tokens"),
            HasSubstr("peak 45.0 MiB, 50.0 MiB were planned"),
            HasSubstr("Best: validation loss 1.500 after step 2, in /runs/a/best"),
            HasSubstr("--model '/models/it'\\''s' --adapter-path /runs/a --prompt \"...\"`")));
  EXPECT_EQ(view.document(end)["best"]["step"], 2);
}

TEST_F(TrainViewTest, WithoutAnUpdateThereIsNoLossAndThePeakIsThatOfTheLoad) {
  TrainView view(settings_, out_.get(), false);
  view.loaded(load(4, 777));
  const Json document = view.document(TrainingEnd{});
  EXPECT_TRUE(document["loss"].is_null()) << document["loss"];
  EXPECT_EQ(document["peak_bytes"], (40_MiB).count);
  EXPECT_EQ(document["steps"], 4);
}

TEST_F(TrainViewTest, AValidationLineBeginsAsMlxLmPrintsIt) {
  TrainView view(settings_, out_.get(), false);
  view.loaded(load(0, 0));
  view.evaluated(evaluation(2, 2));
  EXPECT_THAT(shown(), HasSubstr("Iter 2: Val loss 2.000, Val took 1.000s, Perplexity 7.39, the "
                                 "best so far\n"));
}

TEST_F(TrainViewTest, RowsThatAreNotUsedAreNotCountedAmongTheUsed) {
  TrainView view(settings_, out_.get(), false);
  view.loaded(load(0, 0));
  view.stepped(step(1, 2, 0));
  TrainingEnd end;
  end.rows = {.rows = 890, .uses = 4, .tokens = 40, .least = 0, .most = 1, .unused = 886};
  view.ended(end, "--demo");
  EXPECT_THAT(shown(), HasSubstr("Rows: 4 of 890 used, each 1 time (0.00 epochs).\n"));
}

TEST_F(TrainViewTest, ThatNoUpdateIsLeftToDoIsSaid) {
  TrainView view(settings_, out_.get(), false);
  view.loaded(load(4, 777));
  EXPECT_THAT(shown(), HasSubstr("Resumed after step 4 of 4: no update is left to do\n"));
}

TEST_F(TrainViewTest, ARunThatGoesOnWithOtherThreadsIsToldWhatThatChanges) {
  for (const int before : {0, 1, 2}) {
    TrainView view(settings_, out_.get(), false);
    LoadReport report = load(2, 777);
    report.threads = 1;
    report.threads_before = before;
    view.loaded(report);
    const char* const told =
        "It ran on 2 threads and runs on 1 thread now: its numbers are the same "
        "to rounding, not to the last bit";
    EXPECT_EQ(shown().find(told) != std::string::npos, before == 2) << before;
  }
}

TEST_F(TrainViewTest, AnUpdateThatDivergedWasNotDone) {
  TrainView view(settings_, out_.get(), false);
  view.loaded(load(0, 0));
  view.stepped(step(1, 2, 0));
  TrainingEnd end;
  end.reason = TrainingEnd::Reason::kDiverged;
  end.step = 2;
  view.ended(end, "--demo");
  EXPECT_THAT(shown(), HasSubstr("Diverged: 1 update with 100 tokens"));
  EXPECT_EQ(view.document(end)["steps"], 1);
}

TEST_F(TrainViewTest, TheSpeedAtTheEndIsThatOfTheUpdatesWithoutEvaluations) {
  TrainView view(settings_, out_.get(), false);
  view.loaded(load(0, 0));
  view.stepped(step(1, 3, 90));
  view.stepped(step(2, 2, 90));
  view.ended(TrainingEnd{}, "--demo");
  EXPECT_THAT(shown(), HasSubstr("(updates 4.0 s, 50.0 tokens/s); peak "));
  const Json document = view.document(TrainingEnd{});
  EXPECT_EQ(document["update_seconds"], 4);
  EXPECT_EQ(document["tokens_per_second"], 50);
  EXPECT_EQ(document["loss"], 92);
  EXPECT_EQ(document["cross_entropy"], 2);
}

TEST_F(TrainViewTest, ARunThatStopsEarlySaysWhy) {
  settings_.patience = 3;
  TrainView view(settings_, out_.get(), false);
  view.loaded(load(0, 0));
  TrainingEnd end;
  end.is_early = true;
  end.best = BestLoss{.step = 4, .valid_loss = 1};
  view.ended(end, "--demo");
  EXPECT_THAT(shown(), HasSubstr("Stopped early: no evaluation of the last 3 was better than that "
                                 "after step 4"));
  EXPECT_EQ(view.document(end)["stopped_early"], true);
}

TEST_F(TrainViewTest, ABestThatIsWorseThanNoTrainingIsSaidSo) {
  TrainView view(settings_, out_.get(), false);
  view.loaded(load(0, 0));
  view.evaluated(evaluation(0, 2));
  view.evaluated(evaluation(4, 3));
  TrainingEnd end;
  end.best = BestLoss{.step = 4, .valid_loss = 3};
  view.ended(end, "--demo");
  EXPECT_THAT(shown(),
              AllOf(HasSubstr("Iter 4: Val loss 3.000"),
                    HasSubstr("the best so far, but no better than before training (2.000)\n"),
                    HasSubstr("Best: validation loss 3.000 after step 4 (before training 2.000)"),
                    HasSubstr("No evaluation was better than before training: ")));
}

TEST_F(TrainViewTest, ARunThatGoesOnKnowsTheLossBeforeTraining) {
  TrainView view(settings_, out_.get(), false);
  LoadReport report = load(2, 777);
  report.untrained_loss = 2;
  view.loaded(report);
  view.evaluated(evaluation(4, 3));
  TrainingEnd end;
  end.best = BestLoss{.step = 4, .valid_loss = 3};
  view.ended(end, "--demo");
  EXPECT_THAT(shown(),
              AllOf(HasSubstr("the best so far, but no better than before training (2.000)\n"),
                    HasSubstr("No evaluation was better than before training: ")));
}

TEST_F(TrainViewTest, ABestThatIsBetterThanNoTrainingIsNotBelittled) {
  TrainView view(settings_, out_.get(), false);
  view.loaded(load(0, 0));
  view.evaluated(evaluation(0, 2));
  view.evaluated(evaluation(4, 1));
  TrainingEnd end;
  end.best = BestLoss{.step = 4, .valid_loss = 1};
  view.ended(end, "--demo");
  EXPECT_THAT(shown(), AllOf(HasSubstr(", the best so far\n"), Not(HasSubstr("before training"))));
}

TEST_F(TrainViewTest, TheCommandThatReadsAnAdapterQuantizesAsItsTrainingDid) {
  for (const Quantization quantize : {Quantization::kNone, Quantization::kNf4}) {
    settings_.quantize = quantize;
    TrainView view(settings_, out_.get(), false);
    view.ended({}, "--model m");
    const std::string flag = quantize == Quantization::kNf4 ? " --quantize nf4" : "";
    EXPECT_THAT(shown(), HasSubstr("`loadline generate --model m" + flag +
                                   " --adapter-path /runs/a --prompt \"...\"` reads it"));
    std::rewind(out_.get());
  }
}

}  // namespace
}  // namespace loadline
