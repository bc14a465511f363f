// The main job end to end on the demo model: find under a limit that binds, train with the profile
// that it saved.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <sstream>
#include <string>
#include <vector>

#include "base/json.h"
#include "cli/harness/program.h"

namespace loadline::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

std::vector<Json> lines_of(const fs::path& file) {
  std::vector<Json> lines;
  std::istringstream text(read_file(file, 16_MiB));
  for (std::string line; std::getline(text, line);)
    lines.push_back(parse_json(line, file.string()));
  return lines;
}

std::vector<double> valid_losses(const fs::path& metrics) {
  std::vector<double> losses;
  for (const Json& line : lines_of(metrics)) {
    if (line.contains("valid_loss")) losses.push_back(line["valid_loss"].get<double>());
  }
  return losses;
}

const std::vector<std::string> kFind = on_demo(
    "find --ranks 8,16 --layers-grid 2,4 --max-seq-length 256 --memory-limit 72MiB --max-batch 64 "
    "--compute-dtype f32 --steps 5 --yes --json");

// The trials of the result with these values, in order.
std::vector<Json> trials_with(const Json& result, const Json& chosen, std::int64_t batch_size) {
  std::vector<Json> found;
  for (const Json& trial : result["trials"]) {
    const Json& spec = trial["spec"];
    if (spec["batch_size"] == batch_size && spec["lora_rank"] == chosen["lora_rank"] &&
        spec["lora_layers"] == chosen["lora_layers"]) {
      found.push_back(trial);
    }
  }
  return found;
}

// What was measured is answered as measured; what was not says so.
void expect_answers(const Program& program, const Json& result) {
  const auto run = result["run_dir"].get<std::string>();
  const Ended measured = program.run({"ask", run, "--json"});
  ASSERT_EQ(measured.exit_code, 0) << measured.err;
  const Json answer = parse_json(measured.out, "stdout");
  EXPECT_EQ(answer["support"], "measured");
  EXPECT_EQ(answer["peak_bytes"]["value"].get<double>(),
            result["optimal"]["peak_bytes"].get<double>());
  const Ended largest = program.run({"ask", run, "--max", "batch", "--json"});
  EXPECT_EQ(parse_json(largest.out, "stdout")["batch_size"], result["optimal"]["batch_size"]);
  const Ended memory = program.run({"ask", run, "--batch-size", "16", "--memory"});
  EXPECT_THAT(memory.out, AllOf(HasSubstr("Memory:"), Not(HasSubstr("Speed:"))));
  const Ended far = program.run({"ask", run, "--batch-size", "500"});
  EXPECT_EQ(far.exit_code, 1) << far.out;
  EXPECT_THAT(far.out, HasSubstr("[extrapolated]"));
  const Ended longest = program.run({"ask", run, "--batch-size", "2", "--max", "seq"});
  EXPECT_EQ(longest.exit_code, 0) << longest.err;
  EXPECT_THAT(longest.out, HasSubstr("Largest seq: "));
}

TEST(MainJob, FindProvesABatchThatFitsAndShowsThatTheNextDoesNotThenTrainUsesTheProfile) {
  const Program program;
  const Ended find = program.run(kFind);
  ASSERT_EQ(find.exit_code, 0) << find.err << find.out;
  const Json result = parse_json(find.out, "stdout");
  EXPECT_EQ(result["status"], "complete");
  const Json& optimal = result["optimal"];
  const auto batch = optimal["batch_size"].get<std::int64_t>();
  EXPECT_LE(optimal["adjusted_bytes"].get<std::int64_t>(),
            result["budget_bytes"].get<std::int64_t>());
  ASSERT_FALSE(trials_with(result, optimal, batch).empty());
  for (const Json& trial : trials_with(result, optimal, batch)) EXPECT_EQ(trial["outcome"], "fits");
  ASSERT_LT(batch, 64) << "the limit should bind";
  const std::vector<Json> next = trials_with(result, optimal, batch + 1);
  ASSERT_FALSE(next.empty());
  EXPECT_NE(next[0]["outcome"], "fits");

  EXPECT_EQ(result["confirmed_by_trial"], optimal["trial"]);
  EXPECT_FALSE(result["binds"].empty());
  expect_answers(program, result);

  const fs::path adapter = program.home() / "adapter";
  const Ended train = program.run(
      on_demo("train --max-seq-length 256 --compute-dtype f32 --max-steps 12 --steps-per-eval 6 "
              "--learning-rate 2e-3 --lr-schedule constant",
              {"--adapter-path", adapter.string()}));
  ASSERT_EQ(train.exit_code, 0) << train.err << train.out;
  EXPECT_THAT(train.out, HasSubstr("profile"));
  EXPECT_TRUE(fs::exists(adapter / "adapter_config.json"));
  EXPECT_TRUE(fs::exists(adapter / "adapter_model.safetensors"));
  const std::vector<double> losses = valid_losses(adapter / "metrics.jsonl");
  ASSERT_GE(losses.size(), 2U);
  EXPECT_LT(losses.back(), losses.front());
  const Json config = read_json(adapter / "adapter_config.json");
  EXPECT_EQ(config["r"], optimal["lora_rank"]);
}

TEST(MainJob, BeforeTheDownloadAProfileIsProvenWithGeneratedWeightsAndAnotherLengthIsVerified) {
  const Program program;
  const fs::path model = program.home() / "model";
  fs::create_directories(model);
  for (const char* name : {"config.json", "tokenizer.json"}) {
    fs::copy_file(fs::path(demo_model()) / name, model / name);
  }
  const Ended find = program.run(
      on_demo("find --ranks 8 --layers-grid 2 --max-batch 1 --max-seq-length 64 --steps 3 --yes "
              "--json",
              {"--model", model.string()}));
  ASSERT_EQ(find.exit_code, 0) << find.err;
  EXPECT_EQ(parse_json(find.out, "stdout")["generated_weights"], true);
  const Json profiles = parse_json(program.run({"profile", "list", "--json"}).out, "stdout");
  const auto name = profiles["profiles"][0]["name"].get<std::string>();
  EXPECT_EQ(parse_json(program.run({"profile", "show", name, "--json"}).out, "stdout")["name"],
            name);

  const auto train = [&](const std::string& length, const std::vector<std::string>& more) {
    return program.run(with(on_demo("train --max-steps 1 --steps-per-eval 0 --val-batches 1",
                                    {"--max-seq-length", length, "--adapter-path",
                                     (program.home() / ("adapter" + length)).string()}),
                            more));
  };
  const Ended same = train("64", {});
  ASSERT_EQ(same.exit_code, 0) << same.err;
  EXPECT_THAT(same.out, HasSubstr("proven with generated weights"));
  const Ended longer = train("128", {});
  EXPECT_EQ(longer.exit_code, 2);
  EXPECT_THAT(longer.err, HasSubstr("max_seq_length: profile 64, now 128"));
  EXPECT_THAT(longer.err, HasSubstr("--verify"));
  const Ended verified = train("128", {"--verify"});
  ASSERT_EQ(verified.exit_code, 0) << verified.err << verified.out;
  EXPECT_THAT(verified.out, HasSubstr("Verified by one trial"));
}

TEST(MainJob, WhereNotEvenBatchOneFitsNothingIsSavedAndTheExitCodeIsOne) {
  const Program program;
  const Ended ended = program.run(
      on_demo("find --ranks 8 --layers-grid 2 --memory-limit 16MiB --steps 3 --yes --json"));
  EXPECT_EQ(ended.exit_code, 1) << ended.err;
  EXPECT_EQ(parse_json(ended.out, "stdout")["status"], "nothing_fits");
  const Ended list = program.run({"profile", "list", "--json"});
  EXPECT_TRUE(parse_json(list.out, "stdout")["profiles"].empty());
}

// Each bit of the weights is set, which is no number in any type.
std::string model_without_numbers(const Program& program) {
  const fs::path folder = program.home() / "model";
  fs::copy(demo_model(), folder);
  std::string weights = read_file(folder / "model.safetensors", 64_MiB);
  std::uint64_t header = 0;
  std::memcpy(&header, weights.data(), sizeof header);
  std::fill(weights.begin() + static_cast<std::ptrdiff_t>(sizeof header + header), weights.end(),
            '\xff');
  replace_file(folder / "model.safetensors", weights);
  return folder.string();
}

TEST(MainJob, WhereEveryTrialDivergesTheExitCodeIsOneAndNoFlagIsBlamed) {
  const Program program;
  const Ended ended = program.run(with(kFind, {"--model", model_without_numbers(program)}));
  EXPECT_EQ(ended.exit_code, 1) << ended.err;
  EXPECT_THAT(
      ended.err,
      AllOf(HasSubstr("Not usable (diverged)"), HasSubstr("before its first step: the loss"),
            HasSubstr("would not come further"), Not(HasSubstr("--learning-rate"))));
}

TEST(MainJob, WhereSigchldIsIgnoredOnEntryASearchEnds) {
  const Ended ended = Program().run_in_shell(
      "trap '' CHLD; exec timeout 120 \"$LOADLINE\" find --demo --ranks 8 --layers-grid 1 "
      "--max-batch 1 --steps 3 --no-save");
  EXPECT_EQ(ended.exit_code, 0) << ended.err;
}

TEST(MainJob, CtrlCEndsASearchWithThreeAndTheSameCommandGoesOn) {
  const Program program;
  const Ended stopped = program.run_and_signal(kFind, "SUCCESS", SIGINT);
  ASSERT_EQ(stopped.exit_code, 3) << stopped.err;
  const Json half = parse_json(stopped.out, "stdout");
  EXPECT_EQ(half["status"], "unfinished");
  const Ended again = program.run(kFind);
  ASSERT_EQ(again.exit_code, 0) << again.err;
  const Json whole = parse_json(again.out, "stdout");
  EXPECT_EQ(whole["run_dir"], half["run_dir"]);
  EXPECT_EQ(whole["trials"][0]["id"], half["trials"][0]["id"]);
}

TEST(MainJob, ASearchThatWasKilledGoesOnWhereItWasAndRestartBeginsAnew) {
  const Program program;
  const fs::path run = program.home() / "run";
  const std::vector<std::string> find = on_demo(
      "find --ranks 8 --layers-grid 2 --max-batch 4 --memory-limit 200MiB --steps 3 --yes "
      "--json",
      {"--run-dir", run.string()});
  const Ended killed = program.run_and_signal(find, "SUCCESS", SIGKILL);
  ASSERT_EQ(killed.exit_code, 128 + SIGKILL) << killed.err;
  const Ended again = program.run(find);
  ASSERT_EQ(again.exit_code, 0) << again.err;
  const auto tested = [](const std::string& text) {
    int count = 0;
    for (std::size_t at = text.find("Testing:"); at != std::string::npos;
         at = text.find("Testing:", at + 1)) {
      ++count;
    }
    return count;
  };
  EXPECT_EQ(parse_json(again.out, "stdout")["trials"][0]["id"], 1);
  const Ended anew = program.run(with(find, {"--restart"}));
  ASSERT_EQ(anew.exit_code, 0) << anew.err;
  EXPECT_LT(tested(again.err), tested(anew.err)) << "what was answered is not asked again";
  const auto kept = std::count_if(fs::directory_iterator(program.home()), {},
                                  [](const fs::directory_entry& entry) {
                                    return entry.path().filename().string().starts_with("run.") &&
                                           fs::exists(entry.path() / "journal.jsonl");
                                  });
  EXPECT_GE(kept, 1) << "the old answers stand beside it";
}

// Seen: the journal gave no cause, and neither did the terminal.
TEST(MainJob, AWorkerThatSomebodyElseEndsIsSaidToHaveBeenEndedFromOutside) {
  const Program program;
  const Ended ended = program.run_in_shell(R"(
      "$LOADLINE" find --demo --ranks 8 --layers-grid 1 --max-batch 1 --steps 10000 --no-save \
          --run-dir "$HOME/run" &
      until grep -qs '"event":"step"' "$HOME/run/trials/001/events.jsonl"; do
        kill -0 $! || exit 99
        sleep 0.05
      done
      kill -TERM $(grep -lsa "$HOME/run/trials/00[1]/spec.json" /proc/[0-9]*/cmdline | cut -d/ -f3)
      wait $!)");
  EXPECT_THAT(ended.out, HasSubstr("from outside after step ")) << ended.exit_code;
  EXPECT_THAT(read_file(program.home() / "run/journal.jsonl", 64_MiB),
              HasSubstr(R"("cause":"interrupted from outside after step )"));
}

std::vector<std::string> small_find(const fs::path& run) {
  return on_demo("find --ranks 8 --layers-grid 2 --max-seq-length 64 --max-batch 2 --steps 3 --yes",
                 {"--run-dir", run.string()});
}

TEST(MainJob, AnAnswerWhoseProfileIsNotSavedYetIsNotSearchedForAgain) {
  const Program program;
  const fs::path run = program.home() / "run";
  const std::vector<std::string> find = small_find(run);
  ASSERT_EQ(program.run(find).exit_code, 0);
  Json answer = read_json(run / "result.json");
  fs::remove(answer["profile"].get<std::string>());
  answer["profile"] = nullptr;
  answer["profile_pending"] = true;  // as a find leaves it that is killed at its question
  replace_file(run / "result.json", answer.dump());
  const Ended again = program.run(find);
  EXPECT_EQ(again.exit_code, 0) << again.err;
  EXPECT_THAT(again.out, AllOf(Not(HasSubstr("Testing:")), HasSubstr("Profile saved: ")));
  EXPECT_FALSE(read_json(run / "result.json").contains("profile_pending"));
}

TEST(MainJob, AFinishedSearchTypedAgainIsAnsweredFromItsTrialsAndRestartLosesNoEvidence) {
  const Program program;
  const fs::path run = program.home() / "run";
  std::vector<std::string> find{
      "find", "--model",       demo_model(), "--data",           demo_train(), "--ranks",
      "8",    "--layers-grid", "2",          "--max-seq-length", "64",         "--max-batch",
      "2",    "--steps",       "3",          "--run-dir",        run.string()};
  const Ended unasked = program.run(find);
  ASSERT_EQ(unasked.exit_code, 0) << unasked.err;
  EXPECT_THAT(unasked.out, AllOf(HasSubstr("Not saved as a profile"), HasSubstr("--yes")));
  EXPECT_EQ(read_json(run / "result.json")["profile"], nullptr);
  find.emplace_back("--yes");
  const Ended saved = program.run(find);
  ASSERT_EQ(saved.exit_code, 0) << saved.err;
  EXPECT_THAT(saved.out, AllOf(HasSubstr("finished before"), HasSubstr("--restart"),
                               Not(HasSubstr("Testing:")), HasSubstr("Profile saved: ")));
  const Ended again = program.run(find);
  EXPECT_THAT(again.out, AllOf(Not(HasSubstr("Testing:")), Not(HasSubstr("Profile saved: "))));
  const Json result = read_json(run / "result.json");
  const fs::path profile = result["profile"].get<std::string>();
  find.back() = "--no-save";
  EXPECT_THAT(program.run(find).out, HasSubstr("Profile: " + profile.string() +
                                               " (saved before; --no-save leaves it as it is)\n"));
  find.back() = "--yes";

  find.emplace_back("--restart");
  const Ended stopped = program.run_and_signal(find, "Testing:", SIGINT);
  EXPECT_EQ(stopped.exit_code, 3) << stopped.err;
  EXPECT_THAT(stopped.out, HasSubstr("The earlier search is kept in "));
  const fs::path evidence = read_json(profile)["run_folder"].get<std::string>();
  EXPECT_NE(evidence, run);
  EXPECT_EQ(read_json(evidence / "result.json")["optimal"], result["optimal"]);
  EXPECT_EQ(std::distance(fs::directory_iterator(profile.parent_path()), {}), 1);
}

TEST(MainJob, RunsAreListedWithWhatTheyChoseAndRemoved) {
  const Program program;
  EXPECT_THAT(program.run({"run", "list"}).out, HasSubstr("No runs in "));
  const std::vector<std::string> find = {"find",          "--demo", "--ranks",     "8",
                                         "--layers-grid", "1",      "--max-batch", "1",
                                         "--steps",       "3",      "--yes"};
  ASSERT_EQ(program.run(find).exit_code, 0);
  EXPECT_THAT(program.run({"run", "list"}).out,
              AllOf(HasSubstr("complete, batch 1, rank 8, layers 1; "), HasSubstr("data ")));
  const Json document = Json::parse(program.run({"run", "list", "--json"}).out);
  ASSERT_EQ(document["runs"].size(), 1U);
  const std::string name = document["runs"][0]["name"].get<std::string>();
  const fs::path folder = document["runs"][0]["run_dir"].get<std::string>();
  EXPECT_EQ(document["runs"][0]["optimal"]["lora_rank"], 8);
  EXPECT_EQ(program.run({"ask", name, "--memory"}).exit_code, 0);

  for (const std::string& other : {"../runs/" + name, std::string("."), name + "x"}) {
    EXPECT_EQ(program.run({"run", "remove", other}).exit_code, 2) << other;
  }
  EXPECT_TRUE(fs::exists(folder / "run.json"));
  fs::create_directory_symlink(folder, folder.parent_path() / "link");
  EXPECT_EQ(program.run({"run", "remove", "link"}).exit_code, 2);
  EXPECT_TRUE(fs::exists(folder / "run.json"));
  fs::remove(folder.parent_path() / "link");
  fs::create_directory(folder.parent_path() / "damaged");
  EXPECT_THAT(program.run({"run", "list"}).err, HasSubstr("damaged: left out: "));
  const std::vector<std::string> show{
      "profile", "show", fs::path(document["runs"][0]["profile"].get<std::string>()).stem()};
  EXPECT_THAT(program.run(show).out, Not(HasSubstr("no longer there")));
  EXPECT_EQ(program.run({"run", "remove", name}).exit_code, 0);
  EXPECT_FALSE(fs::exists(folder));
  EXPECT_THAT(program.run(show).out, HasSubstr("(no longer there; what was proven still counts)"));

  // The same trial of a new search is another measurement.
  const Ended again = program.run(find);
  EXPECT_THAT(again.out, AllOf(HasSubstr("Testing:"), HasSubstr("Profile saved: "),
                               HasSubstr("loadline train --demo --batch-size 1 ")));
  const Json result = read_json(folder / "result.json");
  const Json profile = read_json(result["profile"].get<std::string>());
  EXPECT_EQ(profile["step_seconds"], result["optimal"]["step_seconds"]);
}

// The files there, which are profiles.
std::vector<fs::path> profiles_beside(const fs::path& profile) {
  return {fs::directory_iterator(profile.parent_path()), fs::directory_iterator()};
}

TEST(MainJob, OneTrialHasOneProfileWithTheFlagsThatWereTypedLast) {
  const Program program;
  const fs::path run = program.home() / "run";
  ASSERT_EQ(program.run(small_find(run)).exit_code, 0);
  const fs::path profile = read_json(run / "result.json")["profile"].get<std::string>();
  const Ended other = program.run(with(small_find(run), {"--lora-alpha", "64", "--rslora"}));
  EXPECT_THAT(other.out, AllOf(Not(HasSubstr("Testing:")), HasSubstr("Profile saved: ")));
  EXPECT_THAT(profiles_beside(profile), ::testing::ElementsAre(profile));
  EXPECT_EQ(read_json(profile)["train_flags"], Json({"--lora-alpha", "64", "--rslora"}));
}

TEST(MainJob, ALookAtTheAnswerWithoutSavingMakesNoSecondProfile) {
  const Program program;
  const fs::path run = program.home() / "run";
  ASSERT_EQ(program.run(small_find(run)).exit_code, 0);
  Json answer = read_json(run / "result.json");
  const fs::path profile = answer["profile"].get<std::string>();
  answer["profile"] = nullptr;  // as another objective leaves it under --no-save
  replace_file(run / "result.json", answer.dump());
  ASSERT_EQ(program.run(small_find(run)).exit_code, 0);
  EXPECT_THAT(profiles_beside(profile), ::testing::ElementsAre(profile));
}

TEST(MainJob, WithoutACacheASearchGoesOnAllTheSame) {
  Program program;
  program.set_environment("XDG_CACHE_HOME", program.write("file", "in the way of a folder"));
  const fs::path run = program.home() / "run";
  ASSERT_EQ(program.run(small_find(run)).exit_code, 0);
  const Ended again = program.run(small_find(run));
  EXPECT_EQ(again.exit_code, 0) << again.err;
  EXPECT_THAT(again.out, Not(HasSubstr("Testing:")));
}

TEST(MainJob, ALimitThatNobodyTypedIsNotSaidToBeAFlagsValue) {
  const Program program;
  const Ended demo = program.run_and_signal({"find", "--demo", "--no-save"}, "Testing:", SIGINT);
  EXPECT_THAT(demo.out, HasSubstr("(set by --demo)"));
}

TEST(MainJob, AReaderThatGoesAwayCostsNeitherTheSearchNorItsProfile) {
  const Program program;
  const fs::path run = program.home() / "run";
  const Ended ended = program.run_and_close_output(small_find(run), "Testing:");
  EXPECT_EQ(ended.exit_code, 0) << ended.err;
  EXPECT_EQ(read_json(run / "result.json")["status"], "complete");
  EXPECT_TRUE(fs::exists(read_json(run / "result.json")["profile"].get<std::string>()));
}

TEST(MainJob, CtrlCEndsTrainingWithThreeAndTheAdapterIsThere) {
  const Program program;
  const fs::path adapter = program.home() / "adapter";
  const Ended ended = program.run_and_signal(
      on_demo("train --batch-size 2 --lora-rank 4 --lora-layers 2 --max-steps 100000 "
              "--steps-per-report 1",
              {"--adapter-path", adapter.string()}),
      "Iter 2:", SIGINT);
  EXPECT_EQ(ended.exit_code, 3) << ended.err;
  EXPECT_TRUE(fs::exists(adapter / "adapter_model.safetensors"));
}

TEST(MainJob, FlagsWinOverTheProfileAndTheConservativeTableIsNamedAsUntested) {
  const Program program;
  const Ended ended =
      program.run(on_demo("train --conservative --batch-size 1 --max-steps 1 --max-seq-length 64",
                          {"--adapter-path", (program.home() / "adapter").string()}));
  ASSERT_EQ(ended.exit_code, 0) << ended.err;
  EXPECT_THAT(ended.out, HasSubstr("not tested on this machine"));
  EXPECT_THAT(ended.out,
              HasSubstr("batch 1 (--batch-size), rank 64 (conservative table), layers 6"));
}

}  // namespace
}  // namespace loadline::testing
