// A configuration that a profile has proven, and what `train --verify` proves.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>
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

// Far below what the demo is planned to need.
constexpr const char* kLimit = "24MiB";

class Proof : public ::testing::Test {
 protected:
  // A search that saves a profile; as its evidence tells what it is told here.
  void save_profile(Bytes peak) {
    const Ended find = program_.run(
        on_demo("find --ranks 8 --layers-grid 2 --max-batch 1 --max-seq-length 64 --steps 3 --yes "
                "--json"));
    ASSERT_EQ(find.exit_code, 0) << find.err;
    const fs::path file = parse_json(find.out, "stdout")["profile"].get<std::string>();
    Json profile = read_json(file);
    profile["peak_bytes"] = peak.count;
    profile["adjusted_bytes"] = peak.scaled(1.15).count;
    replace_file(file, profile.dump());
  }

  Ended train(const std::vector<std::string>& flags) {
    return program_.run(
        with(on_demo("train --max-seq-length 64 --max-steps 1 --steps-per-eval 0 --val-batches 1",
                     {"--adapter-path", (program_.home() / "adapter").string()}),
             flags));
  }

  Program program_;
};

TEST_F(Proof, WhatAProfileHasProvenIsNotRefusedByThePlan) {
  save_profile(10_MiB);
  const Ended taken = train({"--memory-limit", kLimit});
  EXPECT_EQ(taken.exit_code, 0) << taken.err << taken.out;
  EXPECT_THAT(taken.out, HasSubstr("was measured to need 11.5 MiB with 15 % margin"));
  const Ended typed = train(
      {"--memory-limit", kLimit, "--batch-size", "1", "--lora-rank", "8", "--lora-layers", "2"});
  EXPECT_EQ(typed.exit_code, 0) << typed.err << typed.out;
}

TEST_F(Proof, WhatWasProvenOnLongerRowsIsProvenForShorterOnesToo) {
  save_profile(10_MiB);
  const Ended ended = train({"--memory-limit", kLimit, "--max-seq-length", "32"});
  EXPECT_EQ(ended.exit_code, 0) << ended.err << ended.out;
  EXPECT_THAT(ended.out, HasSubstr("at 64 tokens, so it fits at 32 too"));
  save_profile(500_MiB);  // then the plan decides
  EXPECT_EQ(train({"--memory-limit", "200MiB", "--max-seq-length", "32"}).exit_code, 0);
}

TEST_F(Proof, AProfileWithoutDropoutDoesNotProveARunWithIt) {
  save_profile(10_MiB);
  const Ended ended = train({"--lora-dropout", "0.1"});
  EXPECT_EQ(ended.exit_code, 2);
  EXPECT_THAT(ended.err, HasSubstr("dropout"));
}

TEST_F(Proof, CheckpointingIsAutoWhereTheProfileProvedAnotherConfiguration) {
  save_profile(10_MiB);
  const auto needed = [&](const char* checkpointing) {
    const Ended plan = program_.run(
        on_demo("plan --max-seq-length 64 --batch-size 32 --lora-rank 8 --lora-layers 2 --json",
                {"--grad-checkpoint", checkpointing}));
    return Bytes{parse_json(plan.out, "stdout")["adjusted_bytes"].get<std::uint64_t>()};
  };
  const Bytes on = needed("on");
  ASSERT_LT(on + 1_MiB, needed("off"));
  const std::string limit = std::to_string((on + 512_KiB).count / 1024) + "KiB";
  const Ended ended = train({"--batch-size", "32", "--memory-limit", limit});
  EXPECT_EQ(ended.exit_code, 0) << ended.err << ended.out;
}

TEST_F(Proof, AnotherConfigurationOrALargerMarginIsNotProven) {
  save_profile(20_MiB);
  const Ended other = train({"--memory-limit", kLimit, "--lora-rank", "4"});
  EXPECT_EQ(other.exit_code, 1) << other.out;
  EXPECT_THAT(other.err, HasSubstr("at rank 4 on 2 layers does not fit"));
  const Ended margin = train({"--memory-limit", kLimit, "--margin", "0.3"});
  EXPECT_EQ(margin.exit_code, 1) << margin.out;
  EXPECT_THAT(margin.err, AllOf(HasSubstr("measured to need 26.0 MiB with 30 % margin"),
                                HasSubstr("today's is 24.0 MiB (--memory-limit)")));
}

TEST_F(Proof, AProfileThatNeedsMoreThanTodaysBudgetIsRefusedWithBoth) {
  save_profile(1000_MiB);
  const Ended ended = train({"--memory-limit", "500MiB"});
  EXPECT_EQ(ended.exit_code, 1) << ended.out;
  EXPECT_THAT(ended.err, AllOf(HasSubstr("measured to need 1.12 GiB"), HasSubstr("500.0 MiB")));
}

// Trials run the worst batches that shuffling makes.
TEST_F(Proof, BalancedBatchesAreHeldToThePlanWhereTheProofOfShuffledOnesIsTooMuch) {
  save_profile(500_MiB);
  EXPECT_EQ(train({"--memory-limit", "200MiB"}).exit_code, 1);
  const Ended planned = train({"--memory-limit", kLimit, "--batching", "balanced"});
  EXPECT_EQ(planned.exit_code, 1);
  EXPECT_THAT(planned.err, HasSubstr("does not fit"));
  const Ended fits = train({"--memory-limit", "200MiB", "--batching", "balanced"});
  EXPECT_EQ(fits.exit_code, 0) << fits.err << fits.out;
}

TEST_F(Proof, BeforeTheTrialOfVerifyTheFolderIsLookedAt) {
  const std::vector<std::string> verify{"--verify", "--batch-size",  "1", "--lora-rank",
                                        "4",        "--lora-layers", "2"};
  const auto expect_refused = [&](const std::vector<std::string>& more, int exit_code,
                                  const char* why) {
    const Ended ended = train(with(verify, more));
    EXPECT_EQ(ended.exit_code, exit_code) << ended.err;
    EXPECT_THAT(ended.err, HasSubstr(why));
    EXPECT_THAT(ended.out, Not(HasSubstr("Testing:")));
  };
  expect_refused({"--resume"}, 2, "holds no checkpoint");
  const std::string file = program_.write("a_file", "");
  expect_refused({"--adapter-path", file + "/adapter"}, 4, "a_file/adapter");
  ASSERT_EQ(train({"--batch-size", "1", "--lora-rank", "8", "--lora-layers", "2"}).exit_code, 0);
  expect_refused({"--resume"}, 2, "--lora-rank is 4");
}

TEST_F(Proof, AnInterruptedVerifySaysThatItBeginsAnew) {
  const Ended ended =
      program_.run_and_signal(on_demo("train --batch-size 1 --lora-rank 4 --lora-layers 2 --verify",
                                      {"--adapter-path", (program_.home() / "adapter").string()}),
                              "Loading model", SIGINT);
  EXPECT_EQ(ended.exit_code, 3) << ended.err;
  EXPECT_THAT(ended.err, AllOf(HasSubstr("The same command begins with the trial again"),
                               Not(HasSubstr("to go on from here"))));
}

TEST_F(Proof, VerifyProvesTheConservativeTableWhereItIsAskedFor) {
  save_profile(10_MiB);
  const Ended ended = train({"--max-seq-length", "128", "--verify", "--conservative"});
  EXPECT_EQ(ended.exit_code, 0) << ended.err << ended.out;
  EXPECT_THAT(ended.out,
              AllOf(HasSubstr("rank 64 (conservative table)"), HasSubstr("Verified by one trial")));
  const Ended runs = program_.run({"run", "list"});
  EXPECT_THAT(runs.out, HasSubstr("  train --verify; 1 trial, "));
  EXPECT_EQ(runs.err, "");
  EXPECT_THAT(program_.run({"profile", "list"}).out,
              AllOf(HasSubstr("rank 64, layers 6; rows of at most 128 tokens; "),
                    HasSubstr("  by train --verify on ")));
}

}  // namespace
}  // namespace loadline::testing
