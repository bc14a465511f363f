#include "training/trainer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "base/json.h"
#include "training/best_adapter.h"
#include "training_fixture.h"

namespace loadline {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::MatchesRegex;
using testing::Not;

using Trainer = TrainingRun;

template <typename Action>
std::string error_of(Action action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "(no error)";
}

TEST_F(Trainer, ReportsEachStepAndTheLoad) {
  const TrainingSettings s = settings("a");
  const Recorder seen = run(s);
  EXPECT_EQ(seen.end.reason, TrainingEnd::Reason::kDone);
  EXPECT_EQ(seen.end.step, 3);
  ASSERT_EQ(seen.steps.size(), 3U);
  EXPECT_EQ(seen.load.rows, 20);
  // q and down: (192 + 192), (512 + 192); v: (192 + 64); rank 4, 2 layers.
  EXPECT_EQ(seen.load.trainable_parameters, 2 * 4 * (192 + 192 + 192 + 64 + 512 + 192));
  EXPECT_GT(seen.load.planned.bytes.count, 0U);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(seen.steps[i].step, static_cast<std::int64_t>(i) + 1);
    EXPECT_GT(seen.steps[i].cross_entropy, 0);
    EXPECT_EQ(seen.steps[i].loss, seen.steps[i].cross_entropy);
    EXPECT_GT(seen.steps[i].grad_norm, 0);
    EXPECT_GT(seen.steps[i].tokens, 9);
    EXPECT_EQ(seen.steps[i].peak, 1_MiB);
  }
  EXPECT_THAT(seen.saves, ElementsAre(3));
  EXPECT_EQ(adapter_of(s).lora.rank, 4);
}

TEST_F(Trainer, AnAdapterNamesTheModelOfTheHubThatWasAskedForElseTheFolder) {
  TrainingSettings s = settings("a");
  run(s);
  EXPECT_EQ(adapter_of(s).base_model, s.model.string());
  s = settings("b");
  s.base_model = "org/name";
  s.base_revision = "v1.0";
  s.adapter_format = AdapterFormat::kBoth;
  run(s);
  const Json peft = read_json(s.adapter_path / "adapter_config.json");
  EXPECT_EQ(peft["base_model_name_or_path"], "org/name");
  EXPECT_EQ(peft["revision"], "v1.0");
  EXPECT_EQ(read_json(s.adapter_path / "mlx/adapter_config.json")["model"], "org/name");
}

TEST_F(Trainer, TheLongestRowThatIsSaidIsOfTheTrainingRows) {
  TrainingSettings s = settings("a");
  s.train_rows = pack("short.packed", rows_of_lengths({9, 12}));
  s.valid_rows = pack("long.packed", rows_of_lengths({30}));
  EXPECT_EQ(run(s).load.longest_row, 12);
  s.adapter_path = folder_.path() / "cut";
  s.max_seq_length = 10;
  EXPECT_EQ(run(s).load.longest_row, 10);
}

TEST_F(Trainer, TwoTimesFourRowsAreOneBatchOfEight) {
  pack("train.packed", made_up_rows(24));
  for (const DistrustMode mode : {DistrustMode::kOff, DistrustMode::kWeighted}) {
    TrainingSettings whole = settings("whole" + std::string(name_of(mode)));
    whole.order = RowOrder::kFile;
    whole.batch_size = 8;
    whole.distrust.mode = mode;
    whole.lora.targets = parse_targets("all", {});
    TrainingSettings parts = whole;
    parts.adapter_path = folder_.path() / ("parts" + std::string(name_of(mode)));
    parts.batch_size = 4;
    parts.grad_accumulation_steps = 2;
    const Recorder a = run(whole);
    const Recorder b = run(parts);
    for (std::size_t i = 0; i < 3; ++i) {
      EXPECT_NEAR(a.steps[i].loss, b.steps[i].loss, 1e-5 * a.steps[i].loss);
      EXPECT_NEAR(a.steps[i].grad_norm, b.steps[i].grad_norm, 1e-4 * a.steps[i].grad_norm);
      EXPECT_EQ(a.steps[i].tokens, b.steps[i].tokens);
    }
    EXPECT_LT(relative_distance(adapter_of(whole), adapter_of(parts)), 1e-3);
  }
}

TEST_F(Trainer, AdditiveDistrustShowsInTheLossAndNotInTheAdapter) {
  const TrainingSettings off = settings("off");
  TrainingSettings additive = settings("additive");
  additive.distrust.mode = DistrustMode::kAdditive;
  const Recorder a = run(off);
  const Recorder b = run(additive);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(a.steps[i].cross_entropy, b.steps[i].cross_entropy);
    EXPECT_EQ(a.steps[i].distrust, 0);
    EXPECT_GT(b.steps[i].distrust, 1);
    EXPECT_EQ(b.steps[i].loss, b.steps[i].cross_entropy + b.steps[i].distrust);
  }
  EXPECT_EQ(adapter_hash(off), adapter_hash(additive));
}

TEST_F(Trainer, WeightedDistrustChangesTheAdapter) {
  TrainingSettings off = settings("off");
  off.batch_size = 6;  // weights are relative to the rows of the update that carry the fields
  TrainingSettings weighted = off;
  weighted.adapter_path = folder_.path() / "weighted";
  weighted.distrust.mode = DistrustMode::kWeighted;
  const Recorder a = run(off);
  const Recorder b = run(weighted);
  EXPECT_EQ(a.steps[0].cross_entropy, b.steps[0].cross_entropy);
  EXPECT_GT(std::abs(a.steps[0].loss - b.steps[0].loss), 1e-3);
  EXPECT_GT(std::abs(a.steps[0].grad_norm - b.steps[0].grad_norm), 1e-4);
  EXPECT_GT(relative_distance(adapter_of(off), adapter_of(weighted)), 1e-4);
}

TEST_F(Trainer, MaskedTokensAreNotInTheLoss) {
  const auto first_loss = [&](const std::string& name, bool first_half, bool second_half) {
    std::vector<TokenizedRow> rows = made_up_rows(1);
    rows[0].ids.resize(11, 7);
    rows[0].in_loss.assign(11, true);
    for (std::size_t t = 0; t < 11; ++t) rows[0].in_loss[t] = t < 4 ? first_half : second_half;
    TrainingSettings s = settings(name);
    s.train_rows = pack(name + ".packed", rows);
    s.batch_size = 1;
    s.max_steps = 1;
    return run(s).steps.front().cross_entropy;
  };
  // Tokens 1..3 and 4..10 are predicted: sums over the halves make the whole.
  const double whole = 10 * first_loss("whole", true, true);
  const double halves =
      3 * first_loss("first", true, false) + 7 * first_loss("second", false, true);
  EXPECT_NEAR(whole, halves, 1e-4 * whole);
}

// Else they would be steps with a loss of 0, and validation rows with a perplexity of 1.
TEST_F(Trainer, RowsThatAreCutBeforeTheirTargetsAreAsGoodAsNotThere) {
  TokenizedRow long_prompt;
  long_prompt.ids.resize(40, 7);
  long_prompt.in_loss.assign(40, false);
  std::fill(long_prompt.in_loss.begin() + 31, long_prompt.in_loss.end(), true);
  std::vector<TokenizedRow> rows = made_up_rows(6);
  TrainingSettings without = settings("without");
  without.train_rows = pack("without.packed", rows);
  without.max_seq_length = 30;
  const Recorder short_run = run(without);
  for (const std::size_t place : {0, 3, 7}) {
    rows.insert(rows.begin() + static_cast<std::ptrdiff_t>(place), long_prompt);
  }
  TrainingSettings with = without;
  with.adapter_path = folder_.path() / "with";
  with.train_rows = pack("with.packed", rows);
  const Recorder long_run = run(with);
  EXPECT_EQ(long_run.load.rows, 6);
  EXPECT_EQ(long_run.load.worst_batch_tokens, short_run.load.worst_batch_tokens);
  EXPECT_EQ(adapter_hash(with), adapter_hash(without));
  with.adapter_path = folder_.path() / "refused";
  with.valid_rows = pack("valid.packed", {long_prompt});
  EXPECT_THAT(error_of([&] { run(with); }),
              AllOf(HasSubstr("valid.packed"), HasSubstr("to predict within 30 tokens")));
}

TEST_F(Trainer, RankChangesTheAdapter) {
  const TrainingSettings four = settings("four");
  TrainingSettings eight = settings("eight");
  eight.lora.rank = 8;
  run(four);
  run(eight);
  EXPECT_EQ(adapter_of(eight).pairs.front().a.size(), 2 * adapter_of(four).pairs.front().a.size());
  EXPECT_NE(adapter_hash(eight), adapter_hash(four));
}

TEST_F(Trainer, LossThatIsNotFiniteStopsBeforeTheUpdate) {
  TrainingSettings one = settings("one");
  one.learning_rate = 1e30;
  one.lora.targets = {Projection::kQ, Projection::kK};  // their product is infinite
  one.max_steps = 1;
  run(one);
  TrainingSettings s = one;
  s.adapter_path = folder_.path() / "diverges";
  s.max_steps = 3;
  s.save_every = 1;
  const Recorder seen = run(s);
  EXPECT_EQ(seen.end.reason, TrainingEnd::Reason::kDiverged);
  EXPECT_EQ(seen.end.step, 1) << "updates done";
  EXPECT_EQ(seen.end.rows.uses, 2);
  EXPECT_THAT(seen.end.detail,
              AllOf(HasSubstr("at step 2"), HasSubstr("of step 1"), HasSubstr("--learning-rate")));
  EXPECT_EQ(seen.steps.size(), 1U);
  EXPECT_EQ(adapter_hash(s), adapter_hash(one));
}

TEST_F(Trainer, WhatADivergedRunAdvisesIsNotRefused) {
  TrainingSettings s = settings("sound");
  s.lora.targets = {Projection::kQ, Projection::kK};
  s.max_steps = 4;
  run(s, 2);
  // From the third update on it is another rate's run, which an honest one could become.
  const std::filesystem::path state = s.adapter_path / "checkpoints/0000002/training_state.json";
  std::string text = content(state);
  const std::string rate = "\"learning_rate\": 0.001";
  ASSERT_NE(text.find(rate), text.npos);
  replace_file(state, text.replace(text.find(rate), rate.size(), "\"learning_rate\": 1e30"));
  s.learning_rate = 1e30;
  s.resume = true;
  const Recorder seen = run(s);
  ASSERT_EQ(seen.end.reason, TrainingEnd::Reason::kDiverged);
  EXPECT_THAT(seen.end.detail,
              AllOf(HasSubstr("of step 2"), HasSubstr("lower --learning-rate than 1e+30"),
                    HasSubstr("--resume-adapter-file " + s.adapter_path.string()),
                    HasSubstr("another --adapter-path")));
  TrainingSettings advised = settings("advised");
  advised.lora.targets = s.lora.targets;
  advised.resume_adapter_file = s.adapter_path;
  EXPECT_EQ(run(advised).end.reason, TrainingEnd::Reason::kDone);
}

TEST_F(Trainer, AnAdapterWhoseOwnLossIsNotFiniteIsNotAdvisedToBeTrainedOn) {
  TrainingSettings s = settings("spoiled");
  s.learning_rate = 1e30;
  s.lora.targets = {Projection::kQ, Projection::kK};  // their product is infinite
  s.save_every = 1;
  EXPECT_THAT(run(s).end.detail,
              AllOf(HasSubstr("of step 1"), HasSubstr("lower --learning-rate"),
                    HasSubstr("another --adapter-path"), Not(HasSubstr("--resume-adapter-file"))));
}

// The rate is raised beyond all bounds after update `after`, as if the run's own were too high.
Recorder diverging(TrainingSettings& s, std::int64_t after) {
  struct Raised : Recorder {
    void stepped(const StepReport& report) override {
      Recorder::stepped(report);
      if (report.step == after) settings->learning_rate = 1e30;
    }
    TrainingSettings* settings = nullptr;
    std::int64_t after = 0;
  } seen;
  seen.settings = &s;
  seen.after = after;
  const double rate = s.learning_rate;
  const TrainingHost host{.peak_memory = [] { return 1_MiB; },
                          .stop_requested = [] { return false; }};
  seen.end = run_training(s, host, seen);
  s.learning_rate = rate;
  return seen;
}

TEST_F(Trainer, ARunThatDivergesNamesItsBestAdapterToGoOnFrom) {
  TrainingSettings s = settings("unsaved");
  s.valid_rows = pack("valid.packed", made_up_rows(7, 99));
  s.lora.targets = {Projection::kQ, Projection::kK};
  s.max_steps = 6;
  s.steps_per_eval = 2;
  for (const std::int64_t save_every : {0, 1, 3}) {
    s.adapter_path = folder_.path() / fmt::format("saved every {}", save_every);
    s.save_every = save_every;
    const TrainingEnd end = diverging(s, 2).end;
    ASSERT_EQ(end.reason, TrainingEnd::Reason::kDiverged);
    ASSERT_EQ(end.step, 3);
    ASSERT_EQ(end.best->step, 2);
    const std::filesystem::path best = s.adapter_path / "best";
    EXPECT_THAT(
        end.detail,
        AllOf(HasSubstr(fmt::format("of step 2 (validation loss {:.3f})", end.best->valid_loss)),
              HasSubstr("in " + best.string()), Not(HasSubstr("no adapter")),
              HasSubstr("lower --learning-rate"),
              HasSubstr("--resume-adapter-file '" + best.string() + "'"),
              HasSubstr("another --adapter-path")));
    EXPECT_EQ(std::filesystem::exists(s.adapter_path / "checkpoints/0000003"), save_every > 0);
    TrainingSettings advised = s;
    advised.adapter_path += " advised";
    advised.resume_adapter_file = best;
    EXPECT_EQ(run(advised).end.reason, TrainingEnd::Reason::kDone);
  }
}

TEST_F(Trainer, WhereTheLossOfTheLastSaveIsNotFiniteTheCheckpointBeforeItIsNamed) {
  TrainingSettings s = settings("spoiled last");
  s.lora.targets = {Projection::kQ, Projection::kK};
  s.max_steps = 6;
  s.save_every = 1;
  const TrainingEnd end = diverging(s, 2).end;
  ASSERT_EQ(end.reason, TrainingEnd::Reason::kDiverged);
  ASSERT_EQ(end.step, 3);
  const std::filesystem::path before = s.adapter_path / "checkpoints/0000002";
  EXPECT_THAT(end.detail, AllOf(HasSubstr("the checkpoint of step 2"),
                                HasSubstr("--resume-adapter-file '" + before.string() + "'"),
                                HasSubstr("another --adapter-path")));
  TrainingSettings advised = s;
  advised.adapter_path += " advised";
  advised.resume_adapter_file = before;
  EXPECT_EQ(run(advised).end.reason, TrainingEnd::Reason::kDone);
}

TEST_F(Trainer, ARunThatDivergesDoesNotAdviseAnAdapterThatIsWorseThanNone) {
  TrainingSettings s = settings("worse");
  TokenizedRow known;  // "In the beginning": random rows teach nothing of it
  known.ids = {1271, 262, 1664, 1307};
  known.in_loss.assign(known.ids.size(), true);
  s.valid_rows = pack("valid.packed", {known});
  s.lora.targets = {Projection::kQ, Projection::kK};
  s.learning_rate = 3;
  s.max_steps = 6;
  s.steps_per_eval = 2;
  for (const std::int64_t save_every : {0, 1}) {
    s.adapter_path = folder_.path() / fmt::format("worse saved every {}", save_every);
    s.save_every = save_every;
    const Recorder seen = diverging(s, 2);
    ASSERT_EQ(seen.end.reason, TrainingEnd::Reason::kDiverged);
    ASSERT_TRUE(seen.end.best);
    ASSERT_GE(seen.end.best->valid_loss, seen.evaluations.front().valid_loss);
    EXPECT_THAT(seen.end.detail,
                AllOf(HasSubstr(fmt::format(", before training {:.3f})",
                                            seen.evaluations.front().valid_loss)),
                      HasSubstr("No evaluation was better than before training"),
                      HasSubstr("lower --learning-rate"), Not(HasSubstr("--resume-adapter-file"))));
    EXPECT_EQ(seen.end.detail.find("another --adapter-path") != std::string::npos, save_every > 0);
  }
  s.adapter_path = folder_.path() / "worse saved every 0";
  s.learning_rate = 1e-3;
  EXPECT_EQ(run(s).end.reason, TrainingEnd::Reason::kDone) << "the folder is free";
}

TEST_F(Trainer, ARunThatDivergesBeforeItReplacesAFinishedOneLeavesItsBestAdapterAndItsLogs) {
  TrainingSettings s = settings("replaced");
  s.valid_rows = pack("valid.packed", made_up_rows(7, 99));
  s.lora.targets = {Projection::kQ, Projection::kK};
  s.max_steps = 6;
  s.steps_per_eval = 2;
  run(s);
  const std::string before = adapter_hash(s);
  const Recorder seen = diverging(s, 2);
  ASSERT_EQ(seen.end.reason, TrainingEnd::Reason::kDiverged);
  EXPECT_THAT(seen.end.detail, HasSubstr("the finished run in "));
  EXPECT_EQ(adapter_hash(s), before);
  EXPECT_EQ(seen.end.folder, s.adapter_path / "unfinished");
  ASSERT_TRUE(seen.end.best);
  EXPECT_EQ(read_adapter(seen.end.folder / "best", read_config(s.model)).lora.rank, 4);
  EXPECT_EQ(json_lines(seen.end.folder / "metrics.jsonl").size(), 5U) << "3 updates, 2 evaluations";
  EXPECT_FALSE(std::filesystem::is_empty(seen.end.folder / "tensorboard"));
}

TEST_F(Trainer, ARunThatHasSavedNothingBeforeItDivergedMayBeginAgainWhereItWas) {
  TrainingSettings s = settings("unsaved");
  s.learning_rate = 1e30;
  s.lora.targets = {Projection::kQ, Projection::kK};
  EXPECT_THAT(run(s).end.detail,
              AllOf(HasSubstr("lower --learning-rate"), Not(HasSubstr("--adapter-path"))));
  s.learning_rate = 1e-3;
  EXPECT_EQ(run(s).end.reason, TrainingEnd::Reason::kDone);
}

// The demo model; each bit of its weights is set, which is no number in any type.
std::filesystem::path model_without_numbers(const std::filesystem::path& folder) {
  std::filesystem::copy(LOADLINE_SOURCE_DIR "/demo/model", folder);
  std::string weights = content(folder / "model.safetensors");
  std::uint64_t header = 0;
  std::memcpy(&header, weights.data(), sizeof header);
  std::fill(weights.begin() + static_cast<std::ptrdiff_t>(sizeof header + header), weights.end(),
            '\xff');
  replace_file(folder / "model.safetensors", weights);
  return folder;
}

TEST_F(Trainer, ALossThatIsNotFiniteBeforeAnyUpdateIsNotBlamedOnTheLearningRate) {
  TrainingSettings s = settings("never");
  s.model = model_without_numbers(folder_.path() / "model");
  for (const bool evaluates : {false, true}) {
    if (evaluates) s.valid_rows = s.train_rows;
    const Recorder seen = run(s);
    EXPECT_EQ(seen.end.reason, TrainingEnd::Reason::kDiverged);
    EXPECT_THAT(seen.end.detail, AllOf(HasSubstr(evaluates ? "after step 0" : "at step 1"),
                                       HasSubstr("look at the weights in " + s.model.string()),
                                       Not(HasSubstr("--learning-rate"))));
  }
}

TEST_F(Trainer, AnEvaluationThatIsNotFiniteIsSaidWithItsRows) {
  for (const bool test : {false, true}) {
    TrainingSettings s = settings(test ? "tested" : "validated");
    s.learning_rate = 1e30;
    s.lora.targets = {Projection::kQ, Projection::kK};  // their product is infinite
    s.max_steps = 1;
    (test ? s.test_rows : s.valid_rows) = s.train_rows;
    const Recorder seen = run(s);
    EXPECT_EQ(seen.end.reason, TrainingEnd::Reason::kDiverged);
    EXPECT_THAT(seen.end.detail, HasSubstr(test ? "the test loss is" : "the validation loss is"));
  }
}

TEST_F(Trainer, ATrialThatDivergesSaysOnlyWhatWasSeen) {
  TrainingSettings s = settings("trial");
  s.model = model_without_numbers(folder_.path() / "model");
  s.order = RowOrder::kWorstFirst;
  EXPECT_THAT(run(s).end.detail, MatchesRegex("the loss is not a number, .* at step 1"));
}

TEST_F(Trainer, AnAdapterThatIsNotFiniteIsNotSaved) {
  TrainingSettings s = settings("infinite");
  s.learning_rate = 1e39;  // beyond f32
  s.max_steps = 1;
  const Recorder seen = run(s);
  EXPECT_EQ(seen.end.reason, TrainingEnd::Reason::kDiverged);
  EXPECT_THAT(seen.saves, ElementsAre());
  EXPECT_FALSE(std::filesystem::exists(s.adapter_path / "adapter_model.safetensors"));
}

TEST_F(Trainer, ClippingBoundsTheUpdateAndReportsTheNormBefore) {
  TrainingSettings free = settings("free");
  free.max_grad_norm = 0;
  TrainingSettings clipped = settings("clipped");
  clipped.max_grad_norm = 1e-3;
  const Recorder a = run(free);
  const Recorder b = run(clipped);
  EXPECT_EQ(a.steps[0].grad_norm, b.steps[0].grad_norm);
  EXPECT_GT(a.steps[0].grad_norm, 1e-3);
  EXPECT_NE(adapter_hash(free), adapter_hash(clipped));
}

TEST_F(Trainer, StartsFromTheWeightsOfAnAdapter) {
  TrainingSettings first = settings("first");
  first.order = RowOrder::kFile;
  first.batch_size = 20;
  first.max_steps = 5;
  const Recorder a = run(first);
  TrainingSettings second = settings("second");
  second.order = RowOrder::kFile;
  second.batch_size = 20;
  second.resume_adapter_file = first.adapter_path;
  const Recorder b = run(second);
  EXPECT_LT(b.steps.front().cross_entropy, a.steps.back().cross_entropy);
  EXPECT_EQ(b.steps.front().step, 1);
}

TEST_F(Trainer, TrialWithoutValidationRowsEvaluatesTheLongestAndSaves) {
  TrainingSettings s = settings("trial");
  s.order = RowOrder::kWorstFirst;
  s.max_steps = 4;
  const Recorder seen = run(s);
  ASSERT_EQ(seen.evaluations.size(), 1U);
  EXPECT_EQ(seen.evaluations[0].step, 4);
  const PackedRows rows(s.train_rows);
  const LengthHistogram lengths(rows, s.max_seq_length);
  const std::int64_t worst = lengths.descending()[0] + lengths.descending()[1];
  EXPECT_EQ(seen.evaluations[0].targets, worst - 2);
  EXPECT_EQ(seen.steps[0].tokens, worst);
  EXPECT_EQ(seen.steps[1].tokens, worst);
  EXPECT_EQ(seen.load.worst_batch_tokens, worst);
  EXPECT_THAT(seen.saves, ElementsAre(4));
}

TEST_F(Trainer, ATrialTimesAReferenceOfItsLongestRowAndNoOtherRunDoes) {
  TrainingSettings s = settings("trial");
  s.order = RowOrder::kWorstFirst;
  for (const auto& [most, tokens] : {std::pair(1000, 512), std::pair(300, 300)}) {
    s.train_rows = pack("long.packed", rows_of_lengths({9, 600, 12, 14}));
    s.max_seq_length = most;
    for (const StepReport& step : run(s).steps) {
      ASSERT_EQ(step.reference.has_value(), step.step > 1);
      if (!step.reference) continue;
      EXPECT_EQ(step.reference->tokens, tokens);
      EXPECT_GT(step.reference->seconds, 0);
    }
  }
  for (const StepReport& step : run(settings("run")).steps) EXPECT_FALSE(step.reference);
}

TEST_F(Trainer, ATrialOfSlowStepsEndsAfterThreeWithItsEvaluationAndSave) {
  TrainingSettings s = settings("slow");
  s.order = RowOrder::kWorstFirst;
  s.max_steps = 15;
  s.enough_seconds = 1e-9;
  const Recorder seen = run(s);
  EXPECT_EQ(seen.steps.size(), 3U);
  ASSERT_EQ(seen.evaluations.size(), 1U);
  EXPECT_EQ(seen.evaluations[0].step, 3);
  EXPECT_THAT(seen.saves, ElementsAre(3));
}

TEST_F(Trainer, GeneratedWeightsNeedNoWeightFiles) {
  TrainingSettings s = settings("generated");
  s.model = folder_.path() / "config_only";
  std::filesystem::create_directories(s.model);
  std::filesystem::copy_file(LOADLINE_SOURCE_DIR "/demo/model/config.json",
                             s.model / "config.json");
  s.generated_weights = true;
  const Recorder seen = run(s);
  ASSERT_EQ(seen.steps.size(), 3U);
  // Knowing nothing, it is about as wrong as a guess among all tokens.
  EXPECT_NEAR(seen.steps[0].cross_entropy, std::log(2048.0), 3);
}

TEST_F(Trainer, EvaluatesBeforeEveryNStepsAndAtTheEnd) {
  TrainingSettings s = settings("evals");
  s.valid_rows = pack("valid.packed", made_up_rows(7, 99));
  s.max_steps = 5;
  s.steps_per_eval = 2;
  const Recorder seen = run(s);
  std::vector<std::int64_t> steps;
  for (const EvaluationReport& e : seen.evaluations) steps.push_back(e.step);
  EXPECT_THAT(steps, ElementsAre(0, 2, 4, 5));
  s.adapter_path = folder_.path() / "end only";
  s.steps_per_eval = 0;
  EXPECT_EQ(run(s).evaluations.size(), 1U);
}

TEST_F(Trainer, ValidationLossDoesNotDependOnTheBatchSize) {
  const auto loss = [&](std::int64_t batch_size, std::int64_t eval_batches) {
    TrainingSettings s = settings(fmt::format("b{}-{}", batch_size, eval_batches));
    s.valid_rows = pack("valid.packed", made_up_rows(9, 99));
    s.batch_size = batch_size;
    s.eval_batches = eval_batches;
    return run(s).evaluations.front();
  };
  const EvaluationReport one = loss(1, 0);
  const EvaluationReport four = loss(4, 0);
  EXPECT_EQ(one.targets, four.targets);
  EXPECT_NEAR(one.valid_loss, four.valid_loss, 1e-6 * one.valid_loss);
  EXPECT_LT(loss(1, 2).targets, one.targets);
}

TEST_F(Trainer, ValidationRowLongerThanAnyTrainingBatchHasRoom) {
  TrainingSettings s = settings("long");
  std::vector<TokenizedRow> rows = made_up_rows(2, 5);
  rows[1].ids.resize(200, 9);
  rows[1].in_loss.resize(200, true);
  s.valid_rows = pack("valid.packed", rows);
  s.max_steps = 1;
  const PackedRows train(s.train_rows);
  const PackedRows valid(*s.valid_rows);
  const StepShape shape = step_shape(s, train, &valid);
  EXPECT_EQ(shape.tokens, 200);
  EXPECT_EQ(shape.longest_row, 200);
  EXPECT_EQ(shape.rows, 2);
  EXPECT_LT(step_shape(s, train, nullptr).tokens, 50);
  EXPECT_EQ(run(s).evaluations.size(), 2U);
}

TEST_F(Trainer, TheAdapterWithTheLowestValidationLossIsKept) {
  TrainingSettings s = settings("best");
  s.valid_rows = pack("valid.packed", made_up_rows(7, 99));
  s.max_steps = 8;
  s.steps_per_eval = 2;
  s.learning_rate = 0.3;  // too much: it gets worse again
  const Recorder seen = run(s);
  const EvaluationReport* best = nullptr;
  for (const EvaluationReport& e : seen.evaluations) {
    if (e.step == 0) continue;
    const bool is_best = best == nullptr || e.valid_loss < best->valid_loss;
    EXPECT_EQ(e.is_best, is_best) << "step " << e.step;
    if (is_best) best = &e;
  }
  ASSERT_LT(best->step, 8) << "the test shows nothing when the last one is the best";
  const Json document = read_json(s.adapter_path / "best" / "best.json");
  EXPECT_EQ(document.at("step"), best->step);
  EXPECT_EQ(document.at("valid_loss"), best->valid_loss);
  BestAdapter others(s.adapter_path, "other rows");
  const auto kept = s.adapter_path / fmt::format("best.step-{}", best->step);
  EXPECT_THAT(others.take_up(), HasSubstr(kept.string()));
  EXPECT_FALSE(others.best()) << "losses of other rows cannot be compared";
  TrainingSettings until = s;
  until.adapter_path = folder_.path() / "until the best";
  until.max_steps = best->step;
  run(until);
  const auto hash = [](const std::filesystem::path& folder) {
    return sha256_hex(content(folder / "adapter_model.safetensors"));
  };
  EXPECT_EQ(hash(kept), hash(until.adapter_path));
  EXPECT_NE(hash(s.adapter_path), hash(until.adapter_path));
}

TEST_F(Trainer, EndsAfterSoManyEvaluationsWithoutANewBestAndGoesOnWithMorePatience) {
  TrainingSettings s = settings("patient");
  s.valid_rows = pack("valid.packed", made_up_rows(7, 99));
  s.max_steps = 12;
  s.steps_per_eval = 2;
  s.learning_rate = 0.3;  // too much: it gets worse again
  s.patience = 2;
  const TrainingEnd end = run(s).end;
  EXPECT_EQ(end.reason, TrainingEnd::Reason::kDone);
  EXPECT_TRUE(end.is_early);
  ASSERT_LT(end.step, 12);
  EXPECT_EQ(end.step, end.best->step + 4);
  EXPECT_EQ(read_json(s.adapter_path / "best" / "best.json").at("step"), end.best->step);
  EXPECT_FALSE(content(s.adapter_path / "adapter_model.safetensors").empty());

  s.resume = true;
  const Recorder none = run(s);
  EXPECT_EQ(none.end.step, end.step);
  EXPECT_TRUE(none.steps.empty());
  s.patience = 3;
  const TrainingEnd later = run(s).end;
  EXPECT_GT(later.step, end.step);
  EXPECT_EQ(later.step, std::min<std::int64_t>(12, later.best->step + 6));
}

TEST_F(Trainer, ABalancedRunTooShortToMeetTheLongestRowHasRoomForIt) {
  TrainingSettings s = settings("short");
  s.order = RowOrder::kBalanced;
  s.batch_size = 1;
  s.max_steps = 1;
  const PackedRows train(s.train_rows);
  ASSERT_LT(worst_batch_tokens(s, train), longest_row_tokens(s, train));
  EXPECT_EQ(step_shape(s, train, nullptr).tokens, longest_row_tokens(s, train));
  EXPECT_EQ(run(s).end.reason, TrainingEnd::Reason::kDone);
}

TEST_F(Trainer, PatienceCountsTheEvaluationInWhichARunWasStopped) {
  TrainingSettings s = settings("stopped");
  s.valid_rows = pack("valid.packed", made_up_rows(7, 99));
  s.max_steps = 6;
  s.steps_per_eval = 2;
  s.patience = 1;
  EXPECT_EQ(run(s, 4).end.reason, TrainingEnd::Reason::kInterrupted);
  s.resume = true;
  const Recorder rest = run(s);
  EXPECT_TRUE(rest.evaluations.front().is_best) << "the test shows nothing else";
  EXPECT_FALSE(rest.end.is_early);
  EXPECT_EQ(rest.end.step, 6);
}

// Stopped right after so many evaluations, that of step 0 among them.
Recorder stopped_after(const TrainingSettings& s, std::size_t evaluations) {
  Recorder seen;
  const TrainingHost host{.peak_memory = [] { return 1_MiB; },
                          .stop_requested = [&] { return seen.evaluations.size() == evaluations; }};
  seen.end = run_training(s, host, seen);
  return seen;
}

TEST_F(Trainer, PatienceIsOfEvaluationsThatTookPlaceHoweverFarApart) {
  TrainingSettings s = settings("shorter");
  s.valid_rows = pack("valid.packed", made_up_rows(7, 99));
  s.max_steps = 14;
  s.steps_per_eval = 3;
  s.learning_rate = 0.3;  // too much: it gets worse again
  s.patience = 3;
  ASSERT_LT(stopped_after(s, 4).end.best->step, 9) << "the test shows nothing when it is the last";
  s.resume = true;
  s.steps_per_eval = 1;
  EXPECT_FALSE(run(s).steps.empty()) << "one or two are without a new best, however near the next";

  s.resume = false;
  s.adapter_path = folder_.path() / "longer";
  s.patience = 14;
  const std::int64_t best = stopped_after(s, 5).end.best->step;
  ASSERT_LE(best, 2) << "the test shows nothing with one evaluation after it";
  s.resume = true;
  s.steps_per_eval = 4;
  s.patience = 4 - best;
  const Recorder longer = run(s);
  EXPECT_TRUE(longer.steps.empty());
  EXPECT_TRUE(longer.end.is_early);
}

TEST_F(Trainer, PatienceGoesByTheLossesAlsoWhereTheDiskRefusesTheirAdapters) {
  TrainingSettings s = settings("refused");
  s.valid_rows = pack("valid.packed", made_up_rows(7, 99));
  s.max_steps = 2;
  s.steps_per_eval = 2;
  s.patience = 1;
  run(s);
  const std::filesystem::path best = s.adapter_path / "best";
  std::filesystem::remove(best / "adapter_model.safetensors");
  std::filesystem::create_directories(best / "adapter_model.safetensors" / "in the way");
  s.resume = true;
  s.max_steps = 6;
  const Recorder rest = run(s);
  EXPECT_FALSE(rest.warnings.empty());
  EXPECT_FALSE(rest.end.is_early);
  EXPECT_EQ(rest.end.step, 6);
  EXPECT_EQ(read_json(best / "best.json").at("step"), 2) << "what was kept before";
}

TEST_F(Trainer, TestRowsAreEvaluatedAfterTheLastUpdate) {
  TrainingSettings s = settings("tested");
  s.valid_rows = pack("valid.packed", made_up_rows(7, 99));
  s.test_rows = s.valid_rows;
  s.eval_batches = 1;
  const Recorder seen = run(s);
  ASSERT_EQ(seen.evaluations.size(), 3U);
  const EvaluationReport& test = seen.evaluations.back();
  EXPECT_EQ(test.rows, EvaluationReport::Rows::kTest);
  EXPECT_FALSE(test.is_best);
  EXPECT_GT(test.targets, seen.evaluations[1].targets) << "all of its rows, not eval_batches";
  EXPECT_EQ(json_lines(s.adapter_path / "metrics.jsonl").back().at("test_loss"), test.valid_loss);
}

// KiB of a mapped file that are in this process.
long resident(const std::filesystem::path& mapped) {
  std::ifstream maps("/proc/self/smaps");
  bool here = false;
  for (std::string line; std::getline(maps, line);) {
    if (line.ends_with(".packed")) here = line.ends_with(mapped.string());
    if (here && line.starts_with("Rss:")) return std::stol(line.substr(4));
  }
  return -1;
}

// Mapped pages count in the process, and would come to be the whole file.
TEST_F(Trainer, RowsThatWereEvaluatedAreForgottenBatchByBatch) {
  std::vector<TokenizedRow> rows = made_up_rows(40);
  for (TokenizedRow& row : rows) {
    row.ids.resize(2000, 3);
    row.in_loss.assign(row.ids.size(), true);
  }
  TrainingSettings s = settings("forgets");
  s.max_seq_length = 24;
  s.valid_rows = pack("valid.packed", rows);
  s.test_rows = pack("test.packed", rows);
  struct Looking : TrainingObserver {
    void evaluating(EvaluationReport::Rows of, std::int64_t done, std::int64_t /*rows*/) override {
      if (done > 0) look(of);
    }
    void evaluated(const EvaluationReport& report) override { look(report.rows); }
    void look(EvaluationReport::Rows of) {
      const bool test = of == EvaluationReport::Rows::kTest;
      const long found = resident(test ? test_rows : valid_rows);
      most = std::max(most, found);
      least = std::min(least, found);
      ++looks;
    }
    std::filesystem::path valid_rows, test_rows;
    long most = 0, least = 0;
    int looks = 0;
  } looking;
  looking.valid_rows = *s.valid_rows;
  looking.test_rows = *s.test_rows;
  const TrainingHost host{.peak_memory = [] { return 1_MiB; },
                          .stop_requested = [] { return false; }};
  run_training(s, host, looking);
  EXPECT_GE(looking.looks, 3 * 20) << "of steps 0 and 3, and the test: 20 batches each at least";
  EXPECT_EQ(looking.least, 0) << "the mappings were found";
  EXPECT_LE(looking.most, 8) << "the end of a file may share a page with what follows";
}

TEST_F(Trainer, OnDangerACheckpointIsSavedBeforeItIsSaid) {
  TrainingSettings s = settings("danger");
  s.save_every = 0;
  struct Endangered : Recorder {
    void endangered(std::int64_t step, const std::string& what) override {
      said.push_back(what);
      saved_before = saves == std::vector<std::int64_t>{step};
    }
    std::vector<std::string> said;
    bool saved_before = false;
  } seen;
  const TrainingHost host{.peak_memory = [] { return 1_MiB; },
                          .stop_requested = [] { return false; },
                          .danger = [&]() -> std::optional<std::string> {
                            if (seen.steps.size() == 2) return "a neighbour took all";
                            return std::nullopt;
                          }};
  EXPECT_EQ(run_training(s, host, seen).reason, TrainingEnd::Reason::kDone) << "it goes on";
  EXPECT_THAT(seen.said, ElementsAre("a neighbour took all"));
  EXPECT_TRUE(seen.saved_before);
  EXPECT_THAT(seen.saves, ElementsAre(2, 3));
}

TEST_F(Trainer, LoraPlusChangesTheBMatricesAlone) {
  // In the first update A has no gradient, since B is zero: B's step is the ratio times as long.
  TrainingSettings plain = settings("plain");
  plain.max_steps = 1;
  TrainingSettings plus = plain;
  plus.adapter_path = folder_.path() / "plus";
  plus.lora_plus_ratio = 4;
  run(plain);
  run(plus);
  const Adapter a = adapter_of(plain);
  const Adapter b = adapter_of(plus);
  for (std::size_t p = 0; p < a.pairs.size(); ++p) {
    EXPECT_EQ(a.pairs[p].a, b.pairs[p].a);
    for (std::size_t i = 0; i < a.pairs[p].b.size(); ++i) {
      EXPECT_NEAR(4 * a.pairs[p].b[i], b.pairs[p].b[i], 1e-8);
    }
  }
}

TEST_F(Trainer, TheUseOfEachRowIsAccounted) {
  TrainingSettings s = settings("use");
  s.max_steps = 12;
  s.order = RowOrder::kBalanced;
  const Recorder seen = run(s);  // 24 rows of 20
  EXPECT_EQ(seen.end.rows.rows, 20);
  EXPECT_EQ(seen.end.rows.uses, 24);
  EXPECT_EQ(seen.end.rows.least, 1);
  EXPECT_EQ(seen.end.rows.most, 2);
  EXPECT_EQ(seen.end.rows.unused, 0);
}

TEST_F(Trainer, MetricsHaveALineAStepAndEvaluationsOfTheirOwn) {
  TrainingSettings s = settings("metrics");
  s.valid_rows = pack("valid.packed", made_up_rows(3, 99));
  s.steps_per_eval = 0;
  run(s);
  const std::vector<Json> lines = json_lines(s.adapter_path / "metrics.jsonl");
  ASSERT_EQ(lines.size(), 4U);
  for (std::size_t i = 0; i < 3; ++i) {
    std::vector<std::string> keys;
    for (const auto& item : lines[i].items()) keys.push_back(item.key());
    EXPECT_THAT(
        keys, ElementsAre("step", "loss", "cross_entropy", "distrust", "learning_rate", "grad_norm",
                          "tokens", "tokens_per_second", "seconds", "peak_bytes"));
    EXPECT_EQ(lines[i].at("step"), i + 1);
    EXPECT_EQ(lines[i].at("peak_bytes"), 1 << 20);
  }
  EXPECT_EQ(lines[3].at("step"), 3);
  EXPECT_GT(lines[3].at("valid_loss").get<double>(), 0);
  EXPECT_FALSE(lines[3].contains("loss"));
}

TEST_F(Trainer, BadInputIsRefusedBeforeAnythingIsWritten) {
  TrainingSettings s = settings("refused");
  std::vector<TokenizedRow> rows = made_up_rows(2);
  rows[1].ids[0] = 2048;
  s.train_rows = pack("foreign.packed", rows);
  EXPECT_THAT(error_of([&] { run(s); }), AllOf(HasSubstr("foreign.packed"), HasSubstr("2048")));
  rows[1].ids[0] = 5;
  rows[0].in_loss.assign(rows[0].ids.size(), false);
  rows[1].in_loss.assign(rows[1].ids.size(), false);
  s.train_rows = pack("masked.packed", rows);
  EXPECT_THAT(error_of([&] { run(s); }), HasSubstr("no row has a token to predict"));
  rows[0].ids.resize(1500, 5);
  rows[0].in_loss.assign(1500, true);
  s.train_rows = pack("long.packed", rows);
  EXPECT_THAT(error_of([&] { run(s); }), AllOf(HasSubstr("1500"), HasSubstr("1024 positions")));
  s.lora.rank = 0;
  EXPECT_THAT(error_of([&] { run(s); }), HasSubstr("--lora-rank 0"));
  EXPECT_FALSE(std::filesystem::exists(s.adapter_path));
}

}  // namespace
}  // namespace loadline
