// kill -9 at any moment: what was trained in pieces is what is trained in one go, to the last bit.
#include <gtest/gtest.h>
#include <signal.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <iostream>
#include <random>
#include <string>
#include <vector>

#include "base/hash.h"
#include "cli/harness/program.h"

namespace loadline::testing {
namespace {

namespace fs = std::filesystem;

constexpr int kKills = 20;

std::vector<std::string> command(const fs::path& adapter, bool resume) {
  const std::vector<std::string> arguments = on_demo(
      "train --max-seq-length 16 --compute-dtype f32 --batch-size 1 --lora-dropout 0.1 "
      "--lora-rank 2 --lora-layers 2 --grad-accumulation-steps 2 --max-steps 14 --warmup-steps 3 "
      "--weight-decay 0.01 --save-every 1 --steps-per-eval 5 --val-batches 2",
      {"--adapter-path", adapter.string()});
  return resume ? with(arguments, {"--resume"}) : arguments;
}

std::string hash_of(const fs::path& file) { return sha256_hex(read_file(file, 64_MiB)); }

bool has_checkpoint(const fs::path& adapter) { return fs::exists(adapter / "checkpoints/latest"); }

TEST(Killed, AtRandomMomentsTheRunEndsAsIfItHadNeverStopped) {
  ::setenv("OMP_WAIT_POLICY", "passive", 1);
  const Program program;
  const fs::path whole = program.home() / "whole";
  const fs::path pieces = program.home() / "pieces";
  using Clock = std::chrono::steady_clock;
  ASSERT_EQ(program.run(command(whole, false)).exit_code, 0) << "tokenizes, too";
  fs::remove_all(whole);
  const auto begin = Clock::now();
  ASSERT_EQ(program.run(command(whole, false)).exit_code, 0);
  const std::chrono::duration<double> takes = Clock::now() - begin;

  const unsigned seed = std::random_device{}();
  std::cout << "seed " << seed << "\n";
  std::mt19937 random(seed);
  std::uniform_real_distribution<double> moment(0.0, takes.count());
  int killed = 0;
  int finished = 0;
  for (int attempt = 0; killed < kKills && attempt < 4 * kKills; ++attempt) {
    const bool resume = has_checkpoint(pieces);
    const std::chrono::duration<double> after(moment(random));
    const Ended ended = program.run_and_kill(command(pieces, resume), after);
    if (ended.exit_code == 128 + SIGKILL) {
      ++killed;
      continue;
    }
    ASSERT_EQ(ended.exit_code, 0) << ended.err << ended.out;
    ++finished;
    EXPECT_EQ(hash_of(pieces / "adapter_model.safetensors"),
              hash_of(whole / "adapter_model.safetensors"));
    fs::remove_all(pieces);
  }
  ASSERT_EQ(killed, kKills);
  const Ended last = program.run(command(pieces, has_checkpoint(pieces)));
  ASSERT_EQ(last.exit_code, 0) << last.err << last.out;
  std::cout << finished + 1 << " runs were killed " << killed << " times, of " << takes.count()
            << " s each\n";
  const char* const kSame[] = {"adapter_model.safetensors", "best/adapter_model.safetensors",
                               "best/best.json", "checkpoints/0000014/training_state.safetensors",
                               "checkpoints/0000014/training_state.json"};
  for (const char* file : kSame) EXPECT_EQ(hash_of(pieces / file), hash_of(whole / file)) << file;
}

TEST(Killed, SigtermAndCtrlCSaveEndWithThreeAndTheRunGoesOn) {
  const Program program;
  const fs::path whole = program.home() / "whole";
  ASSERT_EQ(program.run(command(whole, false)).exit_code, 0);
  for (const int signal : {SIGTERM, SIGINT}) {
    const fs::path adapter = program.home() / std::to_string(signal);
    const Ended ended = program.run_and_signal(
        with(command(adapter, false), {"--steps-per-report", "1", "--save-every", "0"}),
        "Iter 2:", signal);
    ASSERT_EQ(ended.exit_code, 3) << ended.err;
    EXPECT_NE(ended.err.find("which is saved; continue with --resume"), std::string::npos);
    ASSERT_TRUE(has_checkpoint(adapter));
    EXPECT_EQ(program.run(command(adapter, true)).exit_code, 0);
    EXPECT_EQ(hash_of(adapter / "adapter_model.safetensors"),
              hash_of(whole / "adapter_model.safetensors"));
  }
}

// A run that is far from its end whenever it is stopped.
std::vector<std::string> endless(const fs::path& adapter) {
  return with(command(adapter, false), {"--steps-per-report", "1", "--save-every", "0",
                                        "--max-steps", "100000", "--steps-per-eval", "0"});
}

TEST(Killed, ATerminalThatClosesSavesAndEndsWithThreeHoweverOftenItSaysSo) {
  const Program program;
  const fs::path adapter = program.home() / "adapter";
  const Ended ended = program.run_and_look(endless(adapter), [&, said = 0](pid_t pid) mutable {
    std::error_code none;
    const auto written = fs::file_size(adapter / "metrics.jsonl", none);
    if (none || written == 0 || ++said > 3) return;
    ::kill(pid, SIGHUP);
  });
  EXPECT_EQ(ended.exit_code, 3) << ended.err;
  EXPECT_NE(ended.err.find("which is saved; continue with --resume"), std::string::npos);
  EXPECT_TRUE(has_checkpoint(adapter));
}

TEST(Killed, UnderNohupATerminalThatClosesIsNothing) {
  const Program program;
  const std::vector<std::string> words =
      with(command(program.home() / "adapter", false), {"--steps-per-report", "1"});
  (void)std::signal(SIGHUP, SIG_IGN);  // as nohup does; the program inherits it
  const Ended ended = program.run_and_signal(words, "Iter 2:", SIGHUP);
  (void)std::signal(SIGHUP, SIG_DFL);
  EXPECT_EQ(ended.exit_code, 0) << ended.err;
}

TEST(Killed, AReaderThatGoesAwayCostsNeitherTheTrainingNorItsExitCode) {
  const Program program;
  const fs::path adapter = program.home() / "adapter";
  const Ended ended = program.run_and_close_output(
      with(command(adapter, false), {"--steps-per-report", "1"}), "Iter 1:");
  EXPECT_EQ(ended.exit_code, 0) << ended.err;
  EXPECT_TRUE(fs::exists(adapter / "checkpoints/0000014"));
}

}  // namespace
}  // namespace loadline::testing
