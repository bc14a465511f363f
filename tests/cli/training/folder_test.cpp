// The folder of a training run belongs to one run at a time.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "cli/harness/program.h"

namespace loadline::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;

std::vector<std::string> training_into(const fs::path& adapter) {
  return on_demo(
      "train --max-seq-length 16 --batch-size 1 --lora-rank 2 --lora-layers 2 --max-steps 100000 "
      "--save-every 1 --steps-per-eval 0 --steps-per-report 1 --val-batches 1",
      {"--adapter-path", adapter.string()});
}

TEST(AdapterFolder, ASecondRunIntoItIsRefusedAndTheFirstGoesOn) {
  const Program program;
  const fs::path adapter = program.home() / "adapter";
  std::vector<Ended> others;
  const Ended first = program.run_and_look(training_into(adapter), [&](pid_t pid) {
    if (!others.empty() || !fs::exists(adapter / "checkpoints/latest")) return;
    others = {program.run(training_into(adapter)),
              program.run(with(training_into(adapter), {"--resume"}))};
    ::kill(pid, SIGINT);
  });
  ASSERT_EQ(others.size(), 2U) << first.err;
  for (const Ended& other : others) {
    EXPECT_EQ(other.exit_code, 4) << other.err;
    EXPECT_THAT(other.err, AllOf(HasSubstr(adapter.string()), HasSubstr("another training")));
  }
  EXPECT_EQ(first.exit_code, 3) << first.err;
  EXPECT_THAT(first.err, HasSubstr("which is saved; continue with --resume"));
  const Ended read =
      program.run({"adapter", "--model", demo_model(), "--adapter-path", adapter.string()});
  EXPECT_EQ(read.exit_code, 0) << read.err;
}

std::string step_of_latest(const fs::path& adapter) {
  return read_file(adapter / "checkpoints/latest", 1_KiB).substr(0, 7);
}

TEST(AdapterFolder, ResumeTellsTheChatTemplateTheDayOnWhichTheRunWasStarted) {
  const Program program;
  const std::string model = (program.home() / "model").string();
  fs::copy(demo_model(), model);
  replace_file(fs::path(model) / "chat_template.jinja",
               "{{ strftime_now('%d %b %Y') }}{% for m in messages %}{{ m.content }}{% endfor %}");
  const std::string rows =
      program.write("rows.jsonl", R"({"messages":[{"role":"user","content":"one two three"}]})");
  const std::string adapter = (program.home() / "adapter").string();
  const Ended stopped = program.run_and_signal(
      {"train", "--model",       model,      "--data",         rows,   "--max-seq-length",
       "32",    "--batch-size",  "1",        "--lora-rank",    "2",    "--lora-layers",
       "2",     "--max-steps",   "100000",   "--save-every",   "0",    "--steps-per-report",
       "1",     "--lr-schedule", "constant", "--adapter-path", adapter},
      "Iter 2:", SIGINT);
  ASSERT_EQ(stopped.exit_code, 3) << stopped.err;
  EXPECT_THAT(read_file(fs::path(adapter) / "command.json", 64_KiB), HasSubstr("--template-date"));
  const std::vector<std::string> resume{"train", "--resume", "--adapter-path", adapter};
  const Ended refused = program.run(with(resume, {"--template-date", "2024-07-26"}));
  EXPECT_EQ(refused.exit_code, 2) << refused.err;
  EXPECT_THAT(refused.err, AllOf(HasSubstr("--resume: the data"), HasSubstr("--template-date")));
  const std::string last = std::to_string(std::stoll(step_of_latest(adapter)) + 1);
  const Ended done = program.run(with(resume, {"--max-steps", last}));
  EXPECT_EQ(done.exit_code, 0) << done.err;
  const Ended useless = program.run(on_demo("data", {"--template-date", "2024-07-26"}));
  EXPECT_EQ(useless.exit_code, 2);
  EXPECT_THAT(useless.err, HasSubstr("does not ask for the date"));
}

TEST(AdapterFolder, ResumeTakesFromItWhatItsRunWasStartedWith) {
  const Program program;
  const fs::path adapter = program.home() / "my adapter";
  std::vector<std::string> words = training_into(adapter);
  words.insert(words.end(),
               {"--save-every", "0", "--lr-schedule", "constant", "--lora-alpha", "3"});
  const Ended stopped = program.run_and_signal(words, "Iter 2:", SIGINT);
  ASSERT_EQ(stopped.exit_code, 3) << stopped.err;
  EXPECT_THAT(stopped.err,
              HasSubstr("  loadline train --resume --adapter-path '" + adapter.string() + "'\n"));
  const std::vector<std::string> resume{"train", "--resume", "--adapter-path", adapter.string()};
  std::vector<std::string> other = resume;
  other.insert(other.end(), {"--lora-rank", "3"});
  const Ended refused = program.run(other);
  EXPECT_EQ(refused.exit_code, 2) << refused.err;
  EXPECT_THAT(refused.err, AllOf(HasSubstr("--lora-rank is 3"), HasSubstr("made with 2")));
  const Json state =
      read_json(adapter / "checkpoints" / step_of_latest(adapter) / "training_state.json");
  std::vector<std::string> longer = resume;
  longer.insert(longer.end(),
                {"--max-steps", std::to_string(state["step"].get<std::int64_t>() + 2)});
  const Ended done = program.run(longer);
  EXPECT_EQ(done.exit_code, 0) << done.err;
  EXPECT_THAT(done.out, HasSubstr("alpha 3, "));
  fs::remove(adapter / "command.json");
  const Ended unknown = program.run(resume);
  EXPECT_EQ(unknown.exit_code, 2);
  EXPECT_THAT(unknown.err, AllOf(HasSubstr("started with"), HasSubstr("--model, --data")));
}

TEST(AdapterFolder, BesideARunningTrainingResumeIsRefusedAsAnyOtherBeforeItsFirstSave) {
  const Program program;
  const fs::path adapter = program.home() / "adapter";
  std::vector<std::string> first = training_into(adapter);
  first.insert(first.end(), {"--save-every", "0"});
  std::vector<std::string> resumed = first;
  resumed.emplace_back("--resume");
  std::optional<Ended> other;
  static_cast<void>(program.run_and_look(first, [&](pid_t pid) {
    if (other || !fs::exists(adapter / "metrics.jsonl")) return;
    other = program.run(resumed);
    ::kill(pid, SIGINT);
  }));
  ASSERT_TRUE(other);
  EXPECT_EQ(other->exit_code, 4) << other->err;
  EXPECT_THAT(other->err, HasSubstr("another training"));
}

TEST(AdapterFolder, AFinishedRunStaysWhenItsCommandIsTypedAgainAndStopped) {
  const Program program;
  const fs::path adapter = program.home() / "adapter";
  std::vector<std::string> words = training_into(adapter);
  words.insert(words.end(), {"--max-steps", "2"});
  ASSERT_EQ(program.run(words).exit_code, 0);
  const std::string tensors = read_file(adapter / "adapter_model.safetensors", 64_MiB);
  const std::string metrics = read_file(adapter / "metrics.jsonl", 1_MiB);
  const Ended stopped = program.run_and_signal(training_into(adapter), "Iter 3:", SIGINT);
  ASSERT_EQ(stopped.exit_code, 3) << stopped.err;
  EXPECT_THAT(stopped.out, HasSubstr("Replaces the finished run in "));
  EXPECT_THAT(stopped.err,
              AllOf(HasSubstr("continue with --resume"),
                    HasSubstr("the finished run in " + adapter.string() + " is as it was")));
  EXPECT_EQ(read_file(adapter / "adapter_model.safetensors", 64_MiB), tensors);
  EXPECT_EQ(read_file(adapter / "metrics.jsonl", 1_MiB), metrics);
}

TEST(AdapterFolder, AMistypedOneIsNotMadeByResume) {
  const Program program;
  const fs::path adapter = program.home() / "adatper";
  const Ended ended = program.run(with(training_into(adapter), {"--resume"}));
  EXPECT_EQ(ended.exit_code, 2) << ended.err;
  EXPECT_FALSE(fs::exists(adapter));
}

TEST(AdapterFolder, WithoutACheckpointResumeSaysThatAndAsksForNothing) {
  const Program program;
  const fs::path empty = program.home() / "empty";
  const fs::path killed = program.home() / "killed";
  fs::create_directory(empty);
  fs::create_directory(killed);
  replace_file(killed / "command.json", R"({"schema_version": 1, "flags": ["--demo"]})");
  replace_file(killed / ".train.lock", "");
  for (const fs::path& folder : {program.home() / "adatper", empty, killed}) {
    const Ended ended = program.run({"train", "--resume", "--adapter-path", folder.string()});
    EXPECT_EQ(ended.exit_code, 2) << ended.err;
    EXPECT_THAT(ended.err, HasSubstr(folder.string() + " holds no checkpoint. Leave --resume out"));
  }
  EXPECT_FALSE(fs::exists(program.home() / "adatper"));
  EXPECT_TRUE(fs::is_empty(empty));
  const Ended plain = program.run_in_shell("cd \"$HOME\" && \"$LOADLINE\" train --resume");
  EXPECT_THAT(plain.err, HasSubstr("adapters holds no checkpoint. Leave --resume out"));
}

TEST(AdapterFolder, ResumeAloneBesideARunningTrainingIsRefusedBeforeItsFirstSave) {
  const Program program;
  const fs::path adapter = program.home() / "adapter";
  std::optional<Ended> other;
  static_cast<void>(
      program.run_and_look(with(training_into(adapter), {"--save-every", "0"}), [&](pid_t pid) {
        if (other || !fs::exists(adapter / "metrics.jsonl")) return;
        other = program.run({"train", "--resume", "--adapter-path", adapter.string()});
        ::kill(pid, SIGINT);
      }));
  ASSERT_TRUE(other);
  EXPECT_EQ(other->exit_code, 4) << other->err;
  EXPECT_THAT(other->err, HasSubstr("another training"));
}

TEST(AdapterFolder, ResumeAndAnotherAdapterContradictBeforeAnythingElseIsSaid) {
  const Ended ended = Program().run({"train", "--resume", "--resume-adapter-file", "a1"});
  EXPECT_EQ(ended.exit_code, 2);
  EXPECT_THAT(ended.err, HasSubstr("--resume and --resume-adapter-file a1: "));
}

TEST(AdapterFolder, WhereItsFilesHaveMovedResumeTakesTheirNewPlaceAndKeepsTheRest) {
  const Program program;
  const fs::path adapter = program.home() / "adapter";
  const fs::path model = program.home() / "model";
  const std::string rows = program.write("rows.jsonl", read_file(demo_train(), 64_MiB));
  fs::copy(demo_model(), model, fs::copy_options::recursive);
  const Ended stopped = program.run_and_signal(
      with(training_into(adapter),
           {"--model", model.string(), "--data", rows, "--valid-data", demo_data() + "/valid.jsonl",
            "--lr-schedule", "constant", "--lora-alpha", "3"}),
      "Iter 2:", SIGINT);
  ASSERT_EQ(stopped.exit_code, 3) << stopped.err;
  const std::vector<std::string> resume{"train",          "--resume",    "--adapter-path",
                                        adapter.string(), "--max-steps", "100"};
  fs::rename(rows, rows + "l");
  const Ended gone = program.run(resume);
  EXPECT_EQ(gone.exit_code, 2);
  EXPECT_THAT(gone.err, AllOf(HasSubstr(rows + ": "), HasSubstr("its new place with --data FILE")));
  fs::rename(model, program.home() / "moved");
  const std::vector<std::string> data{"--data", rows + "l"};
  const Ended both = program.run(with(resume, data));
  EXPECT_EQ(both.exit_code, 2);
  EXPECT_THAT(both.err, HasSubstr("its new place with --model DIR"));
  const Ended done =
      program.run(with(with(resume, data), {"--model", (program.home() / "moved").string()}));
  EXPECT_EQ(done.exit_code, 0) << done.err;
  EXPECT_THAT(done.out, HasSubstr("alpha 3, "));
}

// The demo's model as a commit of org/demo, which main is from then on.
void put_into_cache(const fs::path& cache, const std::string& commit, const std::string& more) {
  const fs::path model = cache / "models--org--demo";
  fs::create_directories(model / "snapshots");
  fs::create_directories(model / "refs");
  fs::copy(demo_model(), model / "snapshots" / commit, fs::copy_options::recursive);
  const fs::path weights = model / "snapshots" / commit / "model.safetensors";
  std::string content = read_file(weights, 64_MiB);
  content.replace(content.size() - more.size(), more.size(), more);
  replace_file(weights, content);
  replace_file(model / "refs/main", commit);
}

TEST(AdapterFolder, ResumeGoesOnWithTheCommitThatAModelOfTheHubWasThen) {
  Program program;
  const fs::path cache = program.home() / "hub", adapter = program.home() / "adapter";
  program.set_environment("HF_HUB_CACHE", cache.string());
  program.set_environment("HF_HUB_OFFLINE", "1");
  const std::string then(40, 'a'), now(40, 'b');
  put_into_cache(cache, then, "");
  const auto steps = [&](const char* count) {
    return std::vector<std::string>{"--max-steps", count, "--lr-schedule", "constant"};
  };
  const Ended first = program.run(with(with(training_into(adapter), steps("2")),
                                       {"--model", "org/demo", "--data", demo_train()}));
  ASSERT_EQ(first.exit_code, 0) << first.err;
  const std::vector<std::string> resume{"train", "--resume", "--adapter-path", adapter.string()};
  put_into_cache(cache, now, "abcd");
  const Ended moved = program.run(with(resume, steps("3")));
  EXPECT_EQ(moved.exit_code, 0) << moved.err;
  EXPECT_THAT(moved.out, AllOf(HasSubstr("main in the Hub's cache is commit " + now),
                               HasSubstr("goes on with commit " + then)));
  EXPECT_THAT(read_file(adapter / "adapter_config.json", 1_MiB), HasSubstr(then));
  const Ended again = program.run(with(resume, with(steps("4"), {"--model", "org/demo"})));
  EXPECT_EQ(again.exit_code, 0) << again.err;
  fs::remove_all(cache / "models--org--demo/snapshots" / then);
  const Ended gone = program.run(with(resume, steps("5")));
  EXPECT_EQ(gone.exit_code, 2) << gone.err;
  EXPECT_THAT(gone.err, HasSubstr("`loadline pull org/demo@" + then + "`"));
  const Ended other = program.run(with(resume, with(steps("5"), {"--model", "org/demo@" + now})));
  EXPECT_THAT(other.err, HasSubstr("--resume: the model (its hash)"));
}

TEST(AdapterFolder, AModelsFolderIsRefusedAndStaysAsItIs) {
  const Program program;
  const fs::path model = program.home() / "model";
  fs::copy(demo_model(), model, fs::copy_options::recursive);
  const Ended ended = program.run(training_into(model));
  EXPECT_EQ(ended.exit_code, 2);
  EXPECT_THAT(ended.err, AllOf(HasSubstr(model.string() + ": is a model's folder"),
                               HasSubstr("model.safetensors")));
  EXPECT_FALSE(fs::exists(model / ".train.lock"));
}

}  // namespace
}  // namespace loadline::testing
