// The plan against the whole program: trials of the demo in which every byte was foreseen.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

#include "base/json.h"
#include "cli/harness/program.h"

namespace loadline::testing {
namespace {

constexpr double kRelative = 0.01;
constexpr double kUnder = 0.005;
const double kAbsolute = static_cast<double>((16_MiB).count);

struct Sizes {
  double planned = 0;
  double measured = 0;
};

// Every trial that ran to its end in a search of the demo with these flags.
std::vector<Sizes> trials_of(const std::vector<std::string>& flags) {
  // Other processes may hold the cores: threads that wait should then not spin.
  ::setenv("OMP_WAIT_POLICY", "passive", 1);
  const Program program;
  const Ended ended =
      program.run(with({"find", "--demo", "--json", "--memory-limit", "1GiB", "--no-save",
                        "--run-dir", (program.home() / "run").string(), "--steps", "3"},
                       flags));
  EXPECT_EQ(ended.exit_code, 0) << ended.err;
  if (ended.exit_code != 0) return {};
  std::vector<Sizes> all;
  const Json document = parse_json(ended.out, "find --json");
  for (const Json& trial : document.at("trials")) {
    if (!trial.at("peak_bytes").is_number()) continue;
    all.push_back({trial.at("planned_bytes").get<double>(), trial.at("peak_bytes").get<double>()});
  }
  return all;
}

void expect_right(const Sizes& sizes) {
  const auto& [planned, measured] = sizes;
  const double error = planned - measured;
  std::cout << "planned " << Bytes{static_cast<std::uint64_t>(planned)}.mib() << " MiB, measured "
            << Bytes{static_cast<std::uint64_t>(measured)}.mib()
            << " MiB: " << 100 * error / measured << " %\n";
  EXPECT_GE(error, -kUnder * measured);
  EXPECT_LE(error, std::max(kRelative * measured, kAbsolute));
}

void expect_planned(const std::vector<std::string>& flags) {
  const std::vector<Sizes> trials = trials_of(flags);
  ASSERT_FALSE(trials.empty());
  for (const Sizes& trial : trials) expect_right(trial);
}

// What a command that plans and measures itself says with --json.
void expect_right_by_itself(const std::vector<std::string>& arguments) {
  const Program program;
  const Ended ended = program.run(arguments);
  ASSERT_EQ(ended.exit_code, 0) << ended.err;
  const Json document = parse_json(ended.out, "its --json");
  expect_right(
      {document.at("planned_bytes").get<double>(), document.at("peak_bytes").get<double>()});
}

const std::string kAllTargets = "q_proj,k_proj,v_proj,o_proj,gate_proj,up_proj,down_proj";

TEST(PlanAgainstTheProgram, SmallF32BatchesAreNeverUnder) {
  expect_planned({"--compute-dtype", "f32", "--max-seq-length", "64", "--ranks", "8",
                  "--layers-grid", "2", "--max-batch", "1", "--grad-checkpoint", "off"});
}

TEST(PlanAgainstTheProgram, SixShortRowsInF32AreNeverUnder) {
  expect_planned({"--compute-dtype", "f32", "--max-seq-length", "256", "--ranks", "8",
                  "--layers-grid", "2", "--max-batch", "6", "--grad-checkpoint", "off"});
}

TEST(PlanAgainstTheProgram, AllTargetsWithCheckpointingInF32) {
  expect_planned({"--compute-dtype", "f32", "--max-seq-length", "512", "--ranks", "64",
                  "--layers-grid", "6", "--max-batch", "3", "--grad-checkpoint", "on",
                  "--target-modules", kAllTargets});
}

TEST(PlanAgainstTheProgram, AllTargetsWithALargeRankInBf16) {
  expect_planned({"--compute-dtype", "bf16", "--max-seq-length", "512", "--ranks", "128",
                  "--layers-grid", "6", "--max-batch", "2", "--grad-checkpoint", "off",
                  "--target-modules", kAllTargets});
}

TEST(PlanAgainstTheProgram, ALargeBatchWithCheckpointingInBf16) {
  expect_planned({"--compute-dtype", "bf16", "--max-seq-length", "256", "--ranks", "16",
                  "--layers-grid", "4", "--max-batch", "12", "--grad-checkpoint", "on"});
}

TEST(PlanAgainstTheProgram, QuantizedWeightsAreNeverUnder) {
  expect_planned({"--compute-dtype", "bf16", "--max-seq-length", "256", "--ranks", "16",
                  "--layers-grid", "4", "--max-batch", "4", "--quantize", "nf4"});
}

// It also packs the rows, unpacks the demo and writes the metrics.
TEST(PlanAgainstTheProgram, TrainingWithoutASearchIsNeverUnder) {
  const Program place;
  for (const std::string compute : {"f32", "bf16"}) {
    expect_right_by_itself({"train", "--demo", "--json", "--compute-dtype", compute, "--batch-size",
                            "4", "--lora-rank", "8", "--lora-layers", "4", "--max-steps", "3",
                            "--adapter-path", (place.home() / compute).string()});
  }
}

// So many that what is kept for each row is more than the plan may be wrong by; not counted, the
// order alone would be 4 MiB, and a file of which no page was let go 30.
TEST(PlanAgainstTheProgram, HalfAMillionShortRowsAreNeverUnderInAnyOrder) {
  const Program place;
  std::string rows;
  for (int i = 0; i < 500'000; ++i) rows += "{\"text\":\"the ship\"}\n";
  const std::string file = place.write("rows.jsonl", rows);
  for (const std::vector<std::string>& order : {std::vector<std::string>{"--batching", "shuffled"},
                                                {"--batching", "balanced"},
                                                {"--no-shuffle"}}) {
    expect_right_by_itself(
        with({"train", "--model", demo_model(), "--data", file, "--json", "--compute-dtype", "f32",
              "--batch-size", "4", "--lora-rank", "2", "--lora-layers", "1", "--max-steps", "3",
              "--adapter-path", (place.home() / ("adapter" + order.back())).string()},
             order));
  }
}

// What its start touched, 7 MiB and more, is let go before the steps.
TEST(ProgramInMemory, ATrialHoldsWhatItsStepsNeedOfIt) {
  const Program program;
  const std::string run = (program.home() / "run").string();
  const Ended ended =
      program.run({"find", "--demo", "--json", "--memory-limit", "1GiB", "--no-save", "--run-dir",
                   run, "--steps", "3", "--ranks", "8", "--layers-grid", "2", "--max-batch", "1"});
  ASSERT_EQ(ended.exit_code, 0) << ended.err;
  const Json outcome = read_json(run + "/trials/001/outcome.json");
  const Bytes held{outcome.at("file_bytes").get<std::uint64_t>()};
  EXPECT_GT(held, 2_MiB);
  EXPECT_LT(held, 12_MiB);
}

TEST(GenerationPlan, IsWhatGeneratingMeasures) {
  for (const std::vector<std::string>& flags :
       {std::vector<std::string>{"--compute-dtype", "f32"}, {"--quantize", "nf4"}}) {
    expect_right_by_itself(with(
        {"generate", "--model", demo_model(), "--prompt", "Who?", "--json", "--max-tokens", "20"},
        flags));
  }
}

}  // namespace
}  // namespace loadline::testing
