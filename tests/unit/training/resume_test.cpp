// Checkpoints: interrupted and continued, damaged, mixed up.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <csignal>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "base/error.h"
#include "base/json.h"
#include "training/metrics.h"
#include "training/run_folder.h"
#include "training/training_state.h"
#include "training_fixture.h"

namespace loadline {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
namespace fs = std::filesystem;

class Resume : public TrainingRun {
 protected:
  TrainingSettings long_settings(const std::string& name) {
    TrainingSettings s = settings(name);
    s.valid_rows = folder_.path() / "valid.packed";
    if (!fs::exists(*s.valid_rows)) pack("valid.packed", made_up_rows(5, 77));
    s.max_steps = 8;
    s.lora.dropout = 0.1;
    s.grad_accumulation_steps = 2;
    s.batch_size = 3;
    s.warmup_steps = 3;
    s.schedule = LearningRateSchedule::kCosine;
    s.weight_decay = 0.01;
    s.distrust.mode = DistrustMode::kWeighted;
    s.steps_per_eval = 2;
    return s;
  }
  static TrainingSettings resumed(TrainingSettings s) {
    s.resume = true;
    return s;
  }
  static std::string refusal(const TrainingSettings& s) {
    try {
      run(s);
    } catch (const Error& error) {
      return error.what();
    }
    return "(no error)";
  }
  // The lines without what a clock says.
  static std::vector<Json> timeless(const fs::path& folder) {
    std::vector<Json> lines = json_lines(folder / "metrics.jsonl");
    for (Json& line : lines) {
      line.erase("seconds");
      line.erase("tokens_per_second");
    }
    return lines;
  }
  static std::set<std::string> names_in(const fs::path& folder) {
    std::set<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder)) {
      names.insert(entry.path().filename().string());
    }
    return names;
  }
  static std::set<std::string> all_files(const fs::path& folder) {
    std::set<std::string> names;
    for (const auto& entry : fs::recursive_directory_iterator(folder)) {
      if (entry.is_regular_file()) names.insert(fs::relative(entry.path(), folder).string());
    }
    return names;
  }
  static std::map<std::string, std::string> hashes_in(const fs::path& folder,
                                                      const std::set<std::string>& names) {
    std::map<std::string, std::string> hashes;
    for (const std::string& name : names) hashes[name] = sha256_hex(content(folder / name));
    return hashes;
  }
  static std::set<std::string> checkpoints(const TrainingSettings& s) {
    return names_in(s.adapter_path / "checkpoints");
  }
};

TEST_F(Resume, InterruptedAtAnyStepTheRunEndsAsIfItHadNeverStopped) {
  const TrainingSettings whole = long_settings("whole");
  run(whole);
  for (const std::int64_t stop : {1, 2, 5, 7}) {
    const TrainingSettings s = long_settings(fmt::format("stopped at {}", stop));
    const Recorder first = run(s, stop);
    EXPECT_EQ(first.end.reason, TrainingEnd::Reason::kInterrupted);
    EXPECT_EQ(first.end.step, stop);
    EXPECT_THAT(first.end.detail, HasSubstr("--resume"));
    const Recorder second = run(resumed(s));
    EXPECT_EQ(second.end.reason, TrainingEnd::Reason::kDone);
    EXPECT_EQ(second.steps.front().step, stop + 1);
    EXPECT_EQ(adapter_hash(s), adapter_hash(whole)) << "stopped at " << stop;
    const fs::path state = fs::path("checkpoints") / "0000008" / "training_state.safetensors";
    EXPECT_EQ(sha256_hex(content(s.adapter_path / state)),
              sha256_hex(content(whole.adapter_path / state)));
  }
}

TEST_F(Resume, InAnyOrderOfRowsAndWithQuantizedWeightsItEndsAsIfItHadNeverStopped) {
  TrainingSettings balanced = long_settings("balanced");
  balanced.order = RowOrder::kBalanced;
  TrainingSettings unshuffled = long_settings("unshuffled");
  unshuffled.order = RowOrder::kFile;
  TrainingSettings quantized = long_settings("quantized");
  quantized.quantize = Quantization::kNf4;
  for (const TrainingSettings& whole : {balanced, unshuffled, quantized}) {
    SCOPED_TRACE(whole.adapter_path.filename());
    run(whole);
    TrainingSettings s = whole;
    s.adapter_path += " and stopped";
    EXPECT_EQ(run(s, 3).end.step, 3);
    EXPECT_EQ(run(resumed(s)).steps.size(), 5U);
    EXPECT_EQ(adapter_hash(s), adapter_hash(whole));
    EXPECT_EQ(timeless(s.adapter_path), timeless(whole.adapter_path));
  }
}

TEST_F(Resume, StoppedBetweenTheMicroBatchesOfAnUpdateItDoesThatUpdateAgain) {
  TrainingSettings whole = long_settings("whole");
  whole.grad_accumulation_steps = 4;
  run(whole);
  for (const std::size_t done : {0U, 3U}) {
    TrainingSettings s = whole;
    s.adapter_path = folder_.path() / fmt::format("stopped after {}", done);
    Recorder recorder;
    int asked = 0;  // in the update that comes next
    const auto in_next_update = [&] {
      return recorder.evaluations.size() == done / 2 + 1 && recorder.steps.size() == done;
    };
    const TrainingHost host{.peak_memory = [] { return 1_MiB; },
                            .stop_requested = [&] { return in_next_update() && ++asked > 2; }};
    recorder.end = run_training(s, host, recorder);
    EXPECT_EQ(recorder.end.reason, TrainingEnd::Reason::kInterrupted);
    EXPECT_EQ(recorder.end.step, done);
    EXPECT_EQ(recorder.end.rows.uses, static_cast<std::int64_t>(done) * 12);
    EXPECT_THAT(recorder.end.detail,
                HasSubstr(done == 0 ? "before the first update was done: nothing was saved"
                                    : "after step 3, which is saved"));
    run(done == 0 ? s : resumed(s));
    EXPECT_EQ(adapter_hash(s), adapter_hash(whole));
    EXPECT_EQ(timeless(s.adapter_path), timeless(whole.adapter_path));
  }
}

TEST_F(Resume, MetricsHaveEachUpdateOnce) {
  const TrainingSettings whole = long_settings("whole");
  run(whole);
  TrainingSettings s = long_settings("crashed");
  s.save_every = 3;
  run(s, 5);
  // As after a power cut at step 5, when only the save of step 3 was made, and a torn line.
  replace_file(s.adapter_path / "checkpoints" / "latest", "0000003\n");
  AppendFile(s.adapter_path / "metrics.jsonl", AppendFile::Durability::kBuffered)
      .append_line("{\"step\": 6, \"lo");
  run(resumed(s));
  EXPECT_EQ(timeless(s.adapter_path), timeless(whole.adapter_path));
  EXPECT_EQ(adapter_hash(s), adapter_hash(whole));
}

// Far more lines than are read at once, a foreign one longer than that, and a torn last one.
TEST_F(Resume, AllMetricsUpToTheStepAreKeptHoweverManyThereAre) {
  const fs::path file = folder_.path() / "metrics.jsonl";
  std::string kept;
  std::string text;
  for (int step = 1; step <= 30'000; ++step) {
    const std::string line = fmt::format("{{\"step\":{},\"loss\":2.{}}}\n", step, step);
    text += line;
    if (step <= 20'000) kept += line;
    if (step == 10'000) text += "{\"step\":1,\"notes\":\"" + std::string(1 << 20, 'x') + "\"}\n";
    if (step == 15'000) text += "{\"step\":1,\"notes\":\"no end\n[]\n\n";
  }
  kept += "{\"step\":20000,\"valid_loss\":1.5}\n";
  replace_file(file, text + "{\"step\":20000,\"valid_loss\":1.5}\n{\"step\":7,\"lo");
  const Metrics metrics(folder_.path(), 20'000);
  EXPECT_TRUE(metrics.has(EvaluationReport::Rows::kValidation, 20'000));
  EXPECT_FALSE(metrics.has(EvaluationReport::Rows::kTest, 20'000));
  EXPECT_TRUE(content(file) == kept);
}

TEST_F(Resume, TheLastTwoCheckpointsAreKept) {
  TrainingSettings s = long_settings("kept");
  s.save_every = 2;
  const Recorder seen = run(s);
  EXPECT_THAT(seen.saves, ElementsAre(2, 4, 6, 8));
  EXPECT_THAT(checkpoints(s), ElementsAre("0000006", "0000008", "latest"));
  EXPECT_EQ(content(s.adapter_path / "checkpoints" / "latest"), "0000008\n");
  EXPECT_EQ(
      sha256_hex(content(s.adapter_path / "checkpoints" / "0000008" / "adapter_model.safetensors")),
      adapter_hash(s));
}

TEST_F(Resume, AsManyCheckpointsAsAskedForAreKeptAndTornOnesGo) {
  TrainingSettings s = long_settings("three");
  s.save_every = 1;
  s.keep_checkpoints = 3;
  run(s, 4);
  EXPECT_THAT(checkpoints(s), ElementsAre("0000002", "0000003", "0000004", "latest"));
  // As a kill leaves them: a save that never counted, a file that was being replaced.
  const fs::path folder = s.adapter_path / "checkpoints";
  replace_file(folder / "latest", "0000003\n");
  make_folder(folder / "0000009");
  replace_file(folder / "0000009" / "adapter_config.json", "{");
  const fs::path backup = s.adapter_path / "adapter_model.safetensors.backup";
  const fs::path half = s.adapter_path / "adapter_model.safetensors.loadline-a1B2c3";
  const fs::path half_best = s.adapter_path / "best" / "best.json.loadline-a1B2c3";
  replace_file(half, "half");
  fs::create_directories(half_best.parent_path());
  replace_file(half_best, "half");
  replace_file(backup, "somebody's own");
  s.max_steps = 8;
  s.keep_checkpoints = 1;
  run(resumed(s));
  EXPECT_THAT(checkpoints(s), ElementsAre("0000008", "latest"));
  EXPECT_FALSE(fs::exists(half));
  EXPECT_FALSE(fs::exists(half_best));
  EXPECT_TRUE(fs::exists(backup));
}

TEST_F(Resume, WhatAKillLeftOfAFileIsRemovedWhereverARunWritesOne) {
  TrainingSettings s = long_settings("halves");
  s.adapter_format = AdapterFormat::kBoth;
  run(s);
  const std::set<std::string> files = all_files(s.adapter_path);
  for (const std::string& name : files) {
    if (name.starts_with("tensorboard")) continue;  // is appended to
    replace_file(s.adapter_path / (name + ".loadline-a1B2c3"), "half");
  }
  run(resumed(s));
  for (const std::string& name : all_files(s.adapter_path)) {
    EXPECT_THAT(name, testing::Not(HasSubstr(".loadline-")));
  }
}

TEST_F(Resume, KilledBetweenTheLastCheckpointAndTheAdapterTheAdapterIsBroughtUpToDate) {
  TrainingSettings s = long_settings("stale");
  s.save_every = 2;
  run(s);
  const std::string last = adapter_hash(s);
  fs::copy_file(s.adapter_path / "checkpoints" / "0000006" / "adapter_model.safetensors",
                s.adapter_path / "adapter_model.safetensors", fs::copy_options::overwrite_existing);
  ASSERT_NE(adapter_hash(s), last);
  run(resumed(s));
  EXPECT_EQ(adapter_hash(s), last);
}

TEST_F(Resume, AnEvaluationThatWasInterruptedIsMadeUpFor) {
  const TrainingSettings whole = long_settings("whole");
  run(whole);
  const TrainingSettings s = long_settings("in evaluation");
  // Ctrl-C comes when update 4 is done and its evaluation has begun.
  Recorder recorder;
  int asked_after_four = 0;
  const TrainingHost host{
      .peak_memory = [] { return 1_MiB; },
      .stop_requested = [&] { return recorder.steps.size() == 4 && ++asked_after_four > 1; }};
  recorder.end = run_training(s, host, recorder);
  ASSERT_EQ(recorder.end.reason, TrainingEnd::Reason::kInterrupted);
  ASSERT_EQ(recorder.evaluations.size(), 2U) << "of steps 0 and 2";
  run(resumed(s));
  EXPECT_EQ(timeless(s.adapter_path), timeless(whole.adapter_path));
}

// All updates are done, but not all that the run was to say.
TEST_F(Resume, ARunThatWasInterruptedInItsLastEvaluationIsNotFinished) {
  for (const bool in_test : {false, true}) {
    TrainingSettings s = long_settings(in_test ? "in the test" : "in the last evaluation");
    if (in_test) s.test_rows = s.valid_rows;
    Recorder recorder;
    const std::size_t before = in_test ? 5 : 4;  // of steps 0, 2, 4, 6, and 8
    const TrainingHost host{
        .peak_memory = [] { return 1_MiB; },
        .stop_requested =
            [&] { return recorder.steps.size() == 8 && recorder.evaluations.size() == before; }};
    recorder.end = run_training(s, host, recorder);
    ASSERT_EQ(recorder.end.reason, TrainingEnd::Reason::kInterrupted);
    ASSERT_EQ(recorder.end.step, 8);
    EXPECT_TRUE(Checkpoints(s.adapter_path).holds_unfinished_run());
    run(resumed(s));
    EXPECT_TRUE(Checkpoints(s.adapter_path).holds_finished_run());
  }
}

TEST_F(Resume, TheLossBeforeTheFirstUpdateIsKnownToARunThatGoesOn) {
  const TrainingSettings s = long_settings("continued");
  const Recorder begun = run(s, 3);
  EXPECT_FALSE(begun.load.untrained_loss);
  ASSERT_EQ(begun.evaluations.front().step, 0);
  EXPECT_EQ(run(resumed(s)).load.untrained_loss, begun.evaluations.front().valid_loss);
}

TEST_F(Resume, LossesOfOtherRowsAreNotTakenForThoseOfTodays) {
  TrainingSettings s = long_settings("continued");
  s.test_rows = s.valid_rows;
  const double before = run(s).evaluations.front().valid_loss;
  const auto lines_with = [&](const char* loss) {
    const std::vector<Json> lines = json_lines(s.adapter_path / "metrics.jsonl");
    return std::count_if(lines.begin(), lines.end(), [&](const Json& line) {
      return line.contains(loss) && line.at("step") == 8;
    });
  };
  TrainingSettings other = resumed(s);
  other.valid_rows = other.test_rows = pack("other valid.packed", made_up_rows(6, 78));
  EXPECT_FALSE(run(other).load.untrained_loss);
  EXPECT_EQ(lines_with("valid_loss"), 2);
  EXPECT_EQ(lines_with("test_loss"), 2);
  TrainingSettings fewer = resumed(s);
  fewer.eval_batches = 1;
  EXPECT_FALSE(run(fewer).load.untrained_loss);
  EXPECT_EQ(run(resumed(s)).load.untrained_loss, before);
  EXPECT_EQ(lines_with("valid_loss"), 3) << "each line once";
  EXPECT_EQ(lines_with("test_loss"), 2);
}

TEST_F(Resume, LossesThatDoNotSayOfWhichRowsTheyAreAreTodays) {
  const TrainingSettings s = long_settings("older");
  const double before = run(s).evaluations.front().valid_loss;
  std::string text;  // as programs wrote it before they kept that
  for (Json line : json_lines(s.adapter_path / "metrics.jsonl")) {
    line.erase("rows");
    text += line.dump() + "\n";
  }
  replace_file(s.adapter_path / "metrics.jsonl", text);
  EXPECT_EQ(run(resumed(s)).load.untrained_loss, before);
  EXPECT_EQ(content(s.adapter_path / "metrics.jsonl"), text);
}

TEST_F(Resume, TheBestAdapterByOtherValidationRowsIsKeptBeside) {
  TrainingSettings s = long_settings("other rows");
  s.schedule = LearningRateSchedule::kConstant;
  s.steps_per_eval = 1;
  run(s, 5);
  const auto best = recorded_best(s.adapter_path);
  ASSERT_TRUE(best.has_value());
  const std::string before = content(s.adapter_path / "best" / "adapter_model.safetensors");
  TrainingSettings other = resumed(s);
  other.valid_rows.reset();
  run(other, 1);
  EXPECT_EQ(content(s.adapter_path / "best" / "adapter_model.safetensors"), before)
      << "without validation rows nothing takes its place";
  other.valid_rows = pack("other valid.packed", made_up_rows(6, 78));
  const Recorder seen = run(other);
  const fs::path kept = s.adapter_path / fmt::format("best.step-{}", best->step);
  EXPECT_EQ(content(kept / "adapter_model.safetensors"), before);
  EXPECT_THAT(seen.warnings, ::testing::Contains(HasSubstr(kept.string())));
  EXPECT_TRUE(recorded_best(s.adapter_path).has_value()) << "and there is a best on these";
}

TEST_F(Resume, ABestAdapterWhoseRecordIsDamagedIsNone) {
  for (const char* damaged : {"[]", "3", "{", R"({"step":"x"})"}) {
    const TrainingSettings s = long_settings(fmt::format("damaged {}", damaged));
    run(s, 5);
    replace_file(s.adapter_path / "best" / "best.json", damaged);
    EXPECT_EQ(run(resumed(s)).end.reason, TrainingEnd::Reason::kDone);
    EXPECT_GT(json_int(read_json(s.adapter_path / "best" / "best.json"), "step", "best.json"), 5);
  }
}

TEST_F(Resume, AFinishedRunIsOnlyEvaluatedAgain) {
  const TrainingSettings s = long_settings("finished");
  run(s);
  const std::string before = adapter_hash(s);
  const std::vector<Json> metrics = timeless(s.adapter_path);
  const Recorder again = run(resumed(s));
  EXPECT_EQ(again.end.reason, TrainingEnd::Reason::kDone);
  EXPECT_TRUE(again.steps.empty());
  EXPECT_EQ(again.evaluations.size(), 1U);
  EXPECT_EQ(adapter_hash(s), before);
  EXPECT_EQ(timeless(s.adapter_path), metrics) << "each line once";
}

TEST_F(Resume, OtherSettingsModelOrDataAreRefusedByName) {
  const TrainingSettings s = long_settings("run");
  run(s, 2);
  TrainingSettings other = resumed(s);
  other.batch_size = 2;
  EXPECT_THAT(refusal(other), AllOf(HasSubstr("--batch-size is 2"), HasSubstr("made with 3")));
  other = resumed(s);
  other.max_steps = 9;
  EXPECT_THAT(refusal(other), AllOf(HasSubstr("--max-steps (over which the cosine schedule is "
                                              "stretched) is 9"),
                                    HasSubstr("made with 8")));
  other = resumed(s);
  other.learning_rate = 2e-3;
  EXPECT_THAT(refusal(other), HasSubstr("--learning-rate is 0.002"));
  other = resumed(s);
  other.train_rows = pack("other.packed", made_up_rows(20, 5));
  EXPECT_THAT(refusal(other), HasSubstr("the data"));
}

TEST_F(Resume, TheFlagThatMakesAnotherSettingOrOtherDataIsNamed) {
  const TrainingSettings s = long_settings("run");
  run(s, 3);
  const fs::path checkpoint = s.adapter_path / "checkpoints/0000003";
  const Json state = read_json(checkpoint / "training_state.json");
  const RunIdentity same{.model = state.at("model"), .data = state.at("data")};
  const auto refused = [&](const TrainingSettings& with, const RunIdentity& of) -> std::string {
    try {
      require_same_run(checkpoint, with, of, {"--rslora", "--mask-prompt", "--seed"});
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_EQ(refused(s, same), "");
  TrainingSettings stabilized = s;
  stabilized.lora.alpha *= 2;
  EXPECT_THAT(refused(stabilized, same),
              HasSubstr("--resume: --lora-alpha (--rslora is not as it was then) is 16.0, but"));
  EXPECT_THAT(refused(s, {.model = same.model, .data = "other"}),
              HasSubstr("--resume: the data (its hash; --mask-prompt is not as it was then) is"));
}

TEST_F(Resume, ReportsAndSavesMayDifferAndChangeNoNumber) {
  const TrainingSettings whole = long_settings("whole");
  run(whole);
  const TrainingSettings s = long_settings("run");
  run(s, 2);
  TrainingSettings other = resumed(s);
  other.save_every = 1;
  other.steps_per_report = 1;
  other.keep_checkpoints = 1;
  EXPECT_EQ(run(other).end.reason, TrainingEnd::Reason::kDone);
  EXPECT_EQ(adapter_hash(s), adapter_hash(whole));
}

// Sums of another order are the same to rounding, not to the last bit.
TEST_F(Resume, AnotherNumberOfThreadsIsSaid) {
  const TrainingSettings s = long_settings("run");
  run(s, 2);
  TrainingSettings other = resumed(s);
  other.threads = 2;
  const Recorder seen = run(other, 1);
  EXPECT_EQ(seen.load.threads, 2);
  EXPECT_EQ(seen.load.threads_before, 1);
  EXPECT_EQ(run(other, 1).load.threads_before, 2) << "that of the checkpoint, not of the first run";
  // As programs wrote it before they kept the number.
  const fs::path file = s.adapter_path / "checkpoints" / "0000004" / "training_state.json";
  Json state = read_json(file);
  state.erase("threads");
  replace_file(file, state.dump());
  EXPECT_EQ(run(resumed(s)).load.threads_before, 0);
}

TEST_F(Resume, AConstantScheduleMayBeMadeLonger) {
  TrainingSettings s = long_settings("longer");
  s.schedule = LearningRateSchedule::kConstant;
  run(s);
  TrainingSettings longer = resumed(s);
  longer.max_steps = 10;
  EXPECT_EQ(run(longer).steps.size(), 2U);
}

TEST_F(Resume, FewerUpdatesThanAreDoneAreRefusedAndAsManyAreNot) {
  TrainingSettings s = long_settings("shorter");
  s.schedule = LearningRateSchedule::kConstant;
  run(s, 6);
  TrainingSettings shorter = resumed(s);
  shorter.max_steps = 5;
  EXPECT_THAT(refusal(shorter), AllOf(HasSubstr("--max-steps is 5"), HasSubstr("is at step 6")));
  EXPECT_TRUE(Checkpoints(s.adapter_path).holds_unfinished_run());
  shorter.max_steps = 6;
  const Recorder seen = run(shorter);
  EXPECT_EQ(seen.end.reason, TrainingEnd::Reason::kDone);
  EXPECT_EQ(seen.steps.size(), 0U);
}

TEST_F(Resume, ANewRunDoesNotOverwriteAnUnfinishedOne) {
  const TrainingSettings s = long_settings("run");
  run(s, 2);
  const std::string before = adapter_hash(s);
  EXPECT_THAT(refusal(s), AllOf(HasSubstr("not finished"), HasSubstr("--resume")));
  EXPECT_EQ(adapter_hash(s), before);
  run(resumed(s));
  EXPECT_EQ(run(s).end.reason, TrainingEnd::Reason::kDone) << "a finished one may be replaced";
}

TEST_F(Resume, AnAdapterThatIsNotOfAFinishedRunThereIsNotOverwritten) {
  const TrainingSettings made = settings("made");
  run(made);
  for (const char* place : {".", "mlx", "best"}) {
    const TrainingSettings s = settings(fmt::format("foreign in {}", place));
    write_adapter(s.adapter_path / place, adapter_of(made));
    const fs::path tensors = s.adapter_path / place / "adapter_model.safetensors";
    const std::string before = sha256_hex(content(tensors));
    EXPECT_THAT(refusal(s), AllOf(HasSubstr("--adapter-path"), HasSubstr("Choose another")));
    EXPECT_EQ(sha256_hex(content(tensors)), before);
  }
}

TEST_F(Resume, TheBestAdapterOfARunThatWasKilledBeforeItsFirstSaveIsNotOverwritten) {
  for (const bool replaces : {false, true}) {
    TrainingSettings s = long_settings(replaces ? "killed beside" : "killed");
    s.max_steps = 4;
    s.grad_accumulation_steps = 1;
    if (replaces) run(s);
    s.save_every = 0;
    run(s, 3);
    const fs::path folder = replaces ? s.adapter_path / "unfinished" : s.adapter_path;
    fs::remove_all(folder / "checkpoints");  // only a stop saved it
    remove_adapters(folder);
    const fs::path best = folder / "best";
    const std::string before = sha256_hex(content(best / "adapter_model.safetensors"));
    const auto names_it = AllOf(HasSubstr(best.string() + " holds the best adapter"),
                                HasSubstr("validation loss"), HasSubstr("--resume-adapter-file"));
    EXPECT_THAT(refusal(s), names_it);
    const char* const why = replaces ? "before its first checkpoint" : "holds no checkpoint";
    EXPECT_THAT(refusal(resumed(s)), AllOf(HasSubstr(why), names_it));
    EXPECT_EQ(sha256_hex(content(best / "adapter_model.safetensors")), before);
    TrainingSettings advised = s;
    advised.adapter_path = folder_.path() / (replaces ? "advised beside" : "advised");
    advised.resume_adapter_file = best;
    EXPECT_EQ(run(advised).end.reason, TrainingEnd::Reason::kDone);
    fs::remove_all(best);
    EXPECT_EQ(run(s).end.reason, TrainingEnd::Reason::kDone);
  }
}

TEST_F(Resume, WhereARunThatWasToReplaceAFinishedOneCannotBeContinuedItIsNotThatOneThatIs) {
  TrainingSettings s = long_settings("finished");
  s.valid_rows.reset();
  run(s);
  s.save_every = 0;
  run(s, 2);
  const fs::path unfinished = s.adapter_path / "unfinished";
  fs::remove_all(unfinished / "checkpoints");  // as if it had been killed
  remove_adapters(unfinished);
  EXPECT_THAT(refusal(resumed(s)),
              AllOf(HasSubstr("--resume: " + unfinished.string()), HasSubstr("without --resume"),
                    HasSubstr("the finished run in " + s.adapter_path.string()),
                    HasSubstr("remove the folder " + unfinished.string())));
  fs::remove_all(unfinished);
  EXPECT_EQ(run(resumed(s)).steps.size(), 0U);
}

TEST_F(Resume, ARunThatReplacesAFinishedOneLeavesNothingOfItAndAllThatIsNotIts) {
  TrainingSettings s = settings("replaced");
  s.valid_rows = pack("valid.packed", made_up_rows(5, 77));
  s.adapter_format = AdapterFormat::kBoth;
  run(s);
  replace_file(s.adapter_path / "notes.txt", "mine");
  make_folder(s.adapter_path / "checkpoints" / "mine");
  make_folder(s.adapter_path / "mlx" / "mine");
  s.adapter_format = AdapterFormat::kMlx;
  s.valid_rows.reset();
  s.max_steps = 2;
  run(s);
  EXPECT_THAT(names_in(s.adapter_path),
              ElementsAre("adapter_config.json", "adapters.safetensors", "checkpoints",
                          "metrics.jsonl", "mlx", "notes.txt", "tensorboard"));
  EXPECT_THAT(names_in(s.adapter_path / "mlx"), ElementsAre("mine"));
  EXPECT_THAT(checkpoints(s), ElementsAre("0000002", "latest", "mine"));
}

TEST_F(Resume, AFinishedRunStaysUntilTheOneThatReplacesItIsFinishedToo) {
  const TrainingSettings old = long_settings("kept");
  run(old);
  const std::set<std::string> files = all_files(old.adapter_path);
  const std::map<std::string, std::string> before = hashes_in(old.adapter_path, files);
  TrainingSettings s = old;
  s.seed = 4;
  s.save_every = 1;
  const Recorder stopped = run(s, 3);
  EXPECT_THAT(stopped.end.detail,
              AllOf(HasSubstr("after step 3"), HasSubstr("the finished run in "),
                    HasSubstr(s.adapter_path.string())));
  EXPECT_EQ(stopped.end.folder, s.adapter_path / "unfinished");
  EXPECT_EQ(hashes_in(s.adapter_path, files), before);
  EXPECT_THAT(refusal(s), AllOf(HasSubstr("not finished"), HasSubstr("--resume"),
                                HasSubstr((s.adapter_path / "unfinished").string())));
  EXPECT_THAT(refusal(resumed(old)), HasSubstr("--seed")) << "it is the new one that goes on";

  const Recorder last = run(resumed(s));
  EXPECT_EQ(last.end.reason, TrainingEnd::Reason::kDone);
  EXPECT_EQ(last.end.folder, s.adapter_path);
  TrainingSettings whole = s;
  whole.adapter_path = folder_.path() / "whole";
  run(whole);
  EXPECT_EQ(adapter_hash(s), adapter_hash(whole));
  EXPECT_EQ(timeless(s.adapter_path), timeless(whole.adapter_path));
  EXPECT_THAT(names_in(s.adapter_path), names_in(whole.adapter_path));
  EXPECT_EQ(checkpoints(s), checkpoints(whole));
}

TEST_F(Resume, TheRunThatIsReplacedIsKeptBesideItWithAllOfItsFilesAndNoOthers) {
  TrainingSettings s = long_settings("named");
  s.adapter_format = AdapterFormat::kBoth;
  EXPECT_FALSE(run(s).end.earlier_run);
  replace_file(s.adapter_path / "command.json", "{}");
  const std::set<std::string> files = all_files(s.adapter_path);
  const std::map<std::string, std::string> before = hashes_in(s.adapter_path, files);
  replace_file(s.adapter_path / "notes.txt", "mine");
  make_folder(s.adapter_path / "checkpoints" / "mine");
  TrainingSettings next = s;
  next.adapter_path /= "";  // as "named/" is typed
  next.adapter_format = AdapterFormat::kPeft;
  next.seed = 4;
  next.resume_adapter_file = s.adapter_path;
  const fs::path foretold = earlier_run_folder(next.adapter_path);
  const std::optional<fs::path> kept = run(next).end.earlier_run;
  ASSERT_TRUE(kept);
  EXPECT_EQ(*kept, foretold);
  EXPECT_THAT(kept->string(),
              testing::MatchesRegex(".*/named\\.[0-9]+-[0-9]+-[0-9]+T[0-9]+-[0-9]+-[0-9]+Z"));
  EXPECT_EQ(all_files(*kept), files);
  EXPECT_EQ(hashes_in(*kept, files), before);
  EXPECT_TRUE(fs::exists(s.adapter_path / "notes.txt"));
  EXPECT_TRUE(fs::exists(s.adapter_path / "checkpoints" / "mine"));
  EXPECT_FALSE(fs::exists(s.adapter_path / "mlx"));
  TrainingSettings again = s;
  again.adapter_path = *kept;
  EXPECT_EQ(run(resumed(again)).steps.size(), 0U) << "it is a whole run";
  next.seed = 5;
  next.resume_adapter_file = std::nullopt;
  const std::optional<fs::path> second = run(next).end.earlier_run;
  ASSERT_TRUE(second);
  EXPECT_NE(*second, *kept);
  EXPECT_EQ(hashes_in(*kept, files).size(), before.size());
}

TEST_F(Resume, KilledWhileItWasSetAsideTheEarlierRunComesWholeIntoOneFolder) {
  const TrainingSettings s = long_settings("set aside");
  run(s);
  const std::set<std::string> files = all_files(s.adapter_path);
  const std::map<std::string, std::string> before = hashes_in(s.adapter_path, files);
  TrainingSettings made = s;
  made.adapter_path = folder_.path() / "made";
  made.seed = 4;
  run(made);
  const fs::path unfinished = s.adapter_path / "unfinished";
  const fs::path kept = folder_.path() / "set aside.then";
  fs::copy(made.adapter_path, unfinished, fs::copy_options::recursive);
  replace_file(unfinished / ".setting-aside", kept.string());
  make_folder(kept / "checkpoints");
  fs::rename(s.adapter_path / "checkpoints/latest", kept / "checkpoints/latest");
  EXPECT_EQ(settle_finished_run(s.adapter_path), kept);
  EXPECT_EQ(hashes_in(kept, files), before);
  EXPECT_EQ(adapter_hash(s), adapter_hash(made));
  EXPECT_EQ(names_in(s.adapter_path), names_in(made.adapter_path));
}

TEST_F(Resume, StoppedBeforeItsFirstStepARunLeavesTheFinishedOneAndNothingElse) {
  const TrainingSettings s = long_settings("early");
  run(s);
  const std::set<std::string> files = all_files(s.adapter_path);
  const std::map<std::string, std::string> before = hashes_in(s.adapter_path, files);
  Recorder recorder;
  const TrainingHost host{.peak_memory = [] { return 1_MiB; },
                          .stop_requested = [] { return true; }};
  const TrainingEnd end = run_training(s, host, recorder);
  EXPECT_THAT(end.detail, AllOf(HasSubstr("nothing was saved"), HasSubstr("the finished run in ")));
  EXPECT_EQ(all_files(s.adapter_path), files);
  EXPECT_EQ(hashes_in(s.adapter_path, files), before);
}

TEST_F(Resume, KilledWhileItTookThePlaceOfAnotherARunTakesItAtTheNextStart) {
  const TrainingSettings old = long_settings("old");
  TrainingSettings made = old;
  made.adapter_path = folder_.path() / "made";
  made.seed = 4;
  run(made);
  for (const char* moved : {"", "adapter_model.safetensors", "best/best.json"}) {
    TrainingSettings s = made;
    s.adapter_path = folder_.path() / fmt::format("at {}", fs::path(moved).filename().string());
    TrainingSettings first = old;
    first.adapter_path = s.adapter_path;
    run(first);
    const fs::path unfinished = s.adapter_path / "unfinished";
    fs::copy(made.adapter_path, unfinished, fs::copy_options::recursive);
    if (*moved != '\0') {
      replace_file(unfinished / ".settling", "");
      fs::rename(unfinished / moved, s.adapter_path / moved);
    }
    EXPECT_EQ(run(resumed(s)).steps.size(), 0U) << moved;
    EXPECT_EQ(adapter_hash(s), adapter_hash(made));
    EXPECT_EQ(content(s.adapter_path / "best/best.json"),
              content(made.adapter_path / "best/best.json"));
    EXPECT_EQ(checkpoints(s), checkpoints(made));
    EXPECT_FALSE(fs::exists(unfinished));
  }
}

// No file takes a byte from the end of update `from` on until update `until` is done.
class FullDisk : public Recorder {
 public:
  FullDisk(std::int64_t from, std::int64_t until) : from_(from), until_(until) {
    (void)::signal(SIGXFSZ, SIG_IGN);
    ::getrlimit(RLIMIT_FSIZE, &before_);
  }
  FullDisk(const FullDisk&) = delete;
  FullDisk& operator=(const FullDisk&) = delete;
  ~FullDisk() override { give_back(); }

  void stepped(const StepReport& report) override {
    Recorder::stepped(report);
    const rlimit full{0, before_.rlim_max};
    if (report.step == from_) ::setrlimit(RLIMIT_FSIZE, &full);
    if (report.step == until_) give_back();
  }
  void give_back() const { ::setrlimit(RLIMIT_FSIZE, &before_); }

 private:
  std::int64_t from_, until_;
  rlimit before_{};
};

TEST_F(Resume, ADiskThatIsFullForAWhileTakesLogsAndCheckpointsAndNotTheRun) {
  TrainingSettings whole = long_settings("whole");
  whole.save_every = 1;
  run(whole);
  TrainingSettings s = whole;
  s.adapter_path = folder_.path() / "full";
  FullDisk disk(2, 5);
  std::set<std::string> kept;  // while there was no room
  const auto look = [&] {
    if (disk.steps.size() == 4) kept = checkpoints(s);
    return false;
  };
  const TrainingHost host{.peak_memory = [] { return 1_MiB; }, .stop_requested = look};
  EXPECT_EQ(run_training(s, host, disk).reason, TrainingEnd::Reason::kDone);
  EXPECT_THAT(disk.saves, ElementsAre(1, 5, 6, 7, 8));
  EXPECT_THAT(kept, ElementsAre("0000001", "latest"));
  EXPECT_THAT(disk.warnings,
              ElementsAre(AllOf(HasSubstr("2: "), HasSubstr("best")),
                          AllOf(HasSubstr("2: "), HasSubstr("metrics.jsonl")),
                          AllOf(HasSubstr("2: "), HasSubstr("tensorboard")),
                          AllOf(HasSubstr("2: "), HasSubstr("the adapter of step 1 is in"),
                                HasSubstr("next save")),
                          AllOf(HasSubstr("3: "), HasSubstr("next save")),
                          AllOf(HasSubstr("4: "), HasSubstr("best")),
                          AllOf(HasSubstr("4: "), HasSubstr("next save"))));
  EXPECT_EQ(adapter_hash(s), adapter_hash(whole));
  EXPECT_EQ(content(s.adapter_path / "best/best.json"),
            content(whole.adapter_path / "best/best.json"));
  std::vector<Json> could_be_written = timeless(whole.adapter_path);
  std::erase_if(could_be_written, [](const Json& line) {
    const bool is_update = line.contains("loss");
    return line["step"] > (is_update ? 2 : 1) && line["step"] <= 5;
  });
  EXPECT_EQ(timeless(s.adapter_path), could_be_written);
}

TEST_F(Resume, TheRecordOfTheBestAdapterThatTheDiskRefusedIsWrittenAtTheNextSave) {
  TrainingSettings s = long_settings("unrecorded");
  struct Mended : Recorder {
    void stepped(const StepReport& report) override {
      Recorder::stepped(report);
      if (report.step == 3) fs::remove_all(record);
    }
    fs::path record;
  } seen;
  seen.record = s.adapter_path / "best/best.json";
  fs::create_directories(seen.record / "in the way");
  const TrainingHost host{.peak_memory = [] { return 1_MiB; },
                          .stop_requested = [&] { return seen.steps.size() == 3; }};
  EXPECT_EQ(run_training(s, host, seen).reason, TrainingEnd::Reason::kInterrupted);
  EXPECT_THAT(seen.warnings, ElementsAre(AllOf(HasSubstr("2: "), HasSubstr("best.json"),
                                               HasSubstr("the best adapter so far is written"),
                                               HasSubstr("tried again"))));
  EXPECT_TRUE(seen.evaluations.back().is_best);
  EXPECT_EQ(read_json(seen.record).at("step"), 2);
  EXPECT_EQ(read_json(seen.record).at("valid_loss"), seen.evaluations.back().valid_loss);
}

// What best.json says when the run is taken up again; the run then goes on to its end.
std::optional<BestLoss> best_at_resumption(TrainingSettings settings) {
  struct Look : Recorder {
    void loaded(const LoadReport&) override { found = recorded_best(folder); }
    fs::path folder;
    std::optional<BestLoss> found;
  } seen;
  seen.folder = settings.adapter_path;
  settings.resume = true;
  const TrainingHost host{.peak_memory = [] { return 1_MiB; },
                          .stop_requested = [] { return false; }};
  EXPECT_EQ(run_training(settings, host, seen).reason, TrainingEnd::Reason::kDone);
  return seen.found;
}

TEST_F(Resume, KilledBeforeTheDiskTookItTheRecordOfTheBestAdapterIsTakenFromTheMetrics) {
  const TrainingSettings s = long_settings("never recorded");
  const fs::path record = s.adapter_path / "best/best.json";
  fs::create_directories(record / "in the way");
  const Recorder stopped = run(s, 5);
  ASSERT_TRUE(stopped.end.best);
  fs::remove_all(record);
  const std::optional<BestLoss> found = best_at_resumption(s);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->step, stopped.end.best->step);
  EXPECT_EQ(found->valid_loss, stopped.end.best->valid_loss);
  EXPECT_EQ(found->untrained_loss, stopped.evaluations.front().valid_loss);
}

TEST_F(Resume, ABestAdapterOfAfterTheCheckpointIsNotRecordedAsOneOfBefore) {
  const TrainingSettings s = long_settings("later");
  const fs::path record = s.adapter_path / "best/best.json";
  fs::create_directories(record / "in the way");
  const Recorder stopped = run(s, 5);
  ASSERT_TRUE(stopped.end.best);
  fs::remove_all(record);
  const fs::path metrics = s.adapter_path / "metrics.jsonl";
  Json later;
  for (const Json& line : json_lines(metrics)) {
    if (line.contains("best")) later = line;
  }
  ASSERT_EQ(later.value("step", 0), stopped.end.best->step);
  later["step"] = 999;
  std::ofstream(metrics, std::ios::app) << later.dump() << "\n";
  EXPECT_FALSE(best_at_resumption(s));
}

TEST_F(Resume, WhereTheLastSaveIsRefusedItIsSaidWhatThereIsToGoOnFrom) {
  const TrainingSettings whole = long_settings("whole");
  run(whole);
  TrainingSettings s = long_settings("full");
  s.save_every = 3;
  FullDisk disk(7, 0);
  const TrainingHost host{.peak_memory = [] { return 1_MiB; },
                          .stop_requested = [] { return false; }};
  try {
    run_training(s, host, disk);
    ADD_FAILURE() << "nothing was said";
  } catch (const Error& error) {
    disk.give_back();
    EXPECT_EQ(error.kind(), ErrorKind::kEnvironment);
    EXPECT_THAT(error.what(), AllOf(HasSubstr("0000008"), HasSubstr("the adapter of step 6 is in"),
                                    HasSubstr("--resume")));
  }
  run(resumed(s));
  EXPECT_EQ(adapter_hash(s), adapter_hash(whole));
  EXPECT_EQ(timeless(s.adapter_path), timeless(whole.adapter_path));
}

TEST_F(Resume, WhereTheCheckpointIsSavedAndItsAdapterIsRefusedTheRunMayBeContinued) {
  const TrainingSettings whole = long_settings("whole");
  run(whole);
  const TrainingSettings s = long_settings("in the way");
  struct InTheWay : Recorder {
    void stepped(const StepReport& report) override {
      Recorder::stepped(report);
      fs::create_directories(adapter / "in the way");
    }
    fs::path adapter;
  } seen;
  seen.adapter = s.adapter_path / "adapter_model.safetensors";
  const TrainingHost host{.peak_memory = [] { return 1_MiB; },
                          .stop_requested = [] { return false; }};
  try {
    run_training(s, host, seen);
    ADD_FAILURE() << "nothing was said";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), AllOf(HasSubstr("the checkpoint of step 8 is in " +
                                              (s.adapter_path / "checkpoints/0000008").string()),
                                    HasSubstr("continue with --resume")));
  }
  fs::remove_all(seen.adapter);
  EXPECT_EQ(run(resumed(s)).steps.size(), 0U);
  EXPECT_EQ(adapter_hash(s), adapter_hash(whole));
}

TEST_F(Resume, ARunOfSlowUpdatesIsSavedAfterAQuarterOfAnHourToo) {
  const auto saves = [&](std::int64_t save_every) {
    TrainingSettings s = long_settings(fmt::format("slow {}", save_every));
    s.save_every = save_every;
    Recorder recorder;
    const auto now = [&] {
      return std::chrono::steady_clock::time_point(std::chrono::minutes(4) *
                                                   std::ssize(recorder.steps));
    };
    const TrainingHost host{
        .peak_memory = [] { return 1_MiB; }, .stop_requested = [] { return false; }, .now = now};
    run_training(s, host, recorder);
    return recorder.saves;
  };
  EXPECT_THAT(saves(100), ElementsAre(4, 8));
  EXPECT_THAT(saves(3), ElementsAre(3, 6, 8));
  EXPECT_THAT(saves(0), ElementsAre(8));
}

TEST_F(Resume, InAnotherFormatARunLeavesNoneOfItsOldAdapters) {
  TrainingSettings s = settings("other format");
  s.adapter_format = AdapterFormat::kBoth;
  run(s, 1);
  s.adapter_format = AdapterFormat::kMlx;
  run(resumed(s));
  EXPECT_THAT(names_in(s.adapter_path), ElementsAre("adapter_config.json", "adapters.safetensors",
                                                    "checkpoints", "metrics.jsonl", "tensorboard"));
  EXPECT_EQ(adapter_of(s).lora.rank, s.lora.rank);
}

TEST_F(Resume, NothingToResumeIsSaidSo) {
  EXPECT_THAT(refusal(resumed(long_settings("none"))), HasSubstr("no checkpoint"));
}

TEST_F(Resume, AdapterAndStateOfDifferentSavesAreNotMixed) {
  TrainingSettings s = long_settings("mixed");
  s.save_every = 2;
  run(s, 5);
  const fs::path folder = s.adapter_path / "checkpoints";
  fs::copy_file(folder / "0000004" / "adapter_model.safetensors",
                folder / "0000005" / "adapter_model.safetensors",
                fs::copy_options::overwrite_existing);
  EXPECT_THAT(refusal(resumed(s)), HasSubstr("is not the one"));
}

TEST_F(Resume, MomentsOfAnotherStepAreNotTaken) {
  TrainingSettings s = long_settings("moments");
  s.save_every = 2;
  run(s, 5);
  const fs::path folder = s.adapter_path / "checkpoints";
  fs::copy_file(folder / "0000004" / "training_state.safetensors",
                folder / "0000005" / "training_state.safetensors",
                fs::copy_options::overwrite_existing);
  EXPECT_THAT(refusal(resumed(s)), AllOf(HasSubstr("is of step 4"), HasSubstr("of step 5")));
}

TEST_F(Resume, DamagedStateIsRefusedWithItsFile) {
  const TrainingSettings s = long_settings("damaged");
  run(s, 2);
  const fs::path folder = s.adapter_path / "checkpoints";
  const std::string state = content(folder / "0000002" / "training_state.json");
  replace_file(folder / "latest", "../../../etc\n");
  EXPECT_THAT(refusal(resumed(s)), AllOf(HasSubstr("latest"), HasSubstr("damaged")));
  replace_file(folder / "latest", "0000002\n");
  replace_file(folder / "0000002" / "training_state.json", state.substr(0, state.size() / 2));
  EXPECT_THAT(refusal(resumed(s)), HasSubstr("training_state.json"));
  replace_file(folder / "0000002" / "training_state.json", state);
  const std::string moments = content(folder / "0000002" / "training_state.safetensors");
  replace_file(folder / "0000002" / "training_state.safetensors",
               moments.substr(0, moments.size() - 4));
  EXPECT_THAT(refusal(resumed(s)), HasSubstr("training_state.safetensors"));
}

}  // namespace
}  // namespace loadline
