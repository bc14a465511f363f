// Two thousand updates: what the process holds does not grow, and no descriptor is left open. After
// the first updates no page is touched for the first time.
#include <dirent.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <span>
#include <sstream>
#include <string>
#include <vector>

#include "cli/harness/program.h"

namespace loadline::testing {
namespace {

namespace fs = std::filesystem;

struct Sample {
  double kib = 0;  // VmRSS
  int descriptors = 0;
};

// Nothing when the process is gone.
std::vector<Sample> sample_of(pid_t pid) {
  const std::string folder = "/proc/" + std::to_string(pid);
  DIR* listing = ::opendir((folder + "/fd").c_str());
  if (listing == nullptr) return {};
  Sample sample;
  while (const dirent* entry = ::readdir(listing)) {
    if (entry->d_name[0] != '.') ++sample.descriptors;
  }
  ::closedir(listing);
  std::FILE* status = std::fopen((folder + "/status").c_str(), "r");
  if (status == nullptr) return {};
  char line[256];
  while (std::fgets(line, sizeof line, status) != nullptr) {
    if (std::string_view(line).starts_with("VmRSS:")) sample.kib = std::atof(line + 6);
  }
  std::fclose(status);
  if (sample.kib == 0) return {};
  return {sample};
}

// Least squares of KiB over the samples' numbers.
double slope_of(const std::vector<Sample>& samples) {
  const auto n = static_cast<double>(samples.size());
  double mean = 0;
  for (const Sample& s : samples) mean += s.kib / n;
  double across = 0;
  double square = 0;
  for (std::size_t i = 0; i < samples.size(); ++i) {
    const double x = static_cast<double>(i) - (n - 1) / 2;
    across += x * (samples[i].kib - mean);
    square += x * x;
  }
  return across / square;
}

TEST(LongRun, TwoThousandUpdatesHoldNoMoreMemoryAndNoMoreDescriptors) {
  ::setenv("OMP_WAIT_POLICY", "passive", 1);
  const Program program;
  std::vector<Sample> samples;  // one with each line that the run prints, after the first ones
  int lines = 0;
  const Ended ended = program.run_and_look(
      on_demo("train --max-seq-length 8 --compute-dtype f32 --batch-size 1 --lora-rank 2 "
              "--lora-layers 1 --trunk-cache on --max-steps 2000 --steps-per-report 40 "
              "--steps-per-eval 200 --val-batches 2 --save-every 200",
              {"--adapter-path", (program.home() / "adapter").string()}),
      [&](pid_t pid) {
        if (++lines <= 12) return;
        for (const Sample& s : sample_of(pid)) samples.push_back(s);
      });
  ASSERT_EQ(ended.exit_code, 0) << ended.err << ended.out;
  ASSERT_GE(samples.size(), 20U);
  // A save or an evaluation holds files open for a moment: what a leak raises is the least.
  const auto fewest = [](std::span<const Sample> part) {
    return std::ranges::min(part, {}, &Sample::descriptors).descriptors;
  };
  const auto half = samples.size() / 2;
  const int early = fewest(std::span(samples).first(half));
  const int late = fewest(std::span(samples).subspan(half));
  const double growth = slope_of(samples) * static_cast<double>(samples.size());
  std::cout << samples.size() << " samples, " << samples.front().kib << " to " << samples.back().kib
            << " KiB, growth by the slope " << growth << " KiB; " << early << ", then " << late
            << " descriptors\n";
  // A leak of 64 bytes an update would be 100 KiB; the kernel counts pages roughly
  // (docs/memory.md).
  EXPECT_LE(growth, 320);
  EXPECT_LE(late, early);
}

// Of all its threads, minor and major ones; nothing when the process is gone. proc(5): the name,
// in brackets, may hold anything; 10th and 12th of all fields are these counts.
std::vector<long> page_faults_of(pid_t pid) {
  std::ifstream stat("/proc/" + std::to_string(pid) + "/stat");
  std::string line;
  std::getline(stat, line);
  const auto name_end = line.rfind(')');
  if (name_end == std::string::npos) return {};
  std::istringstream rest(line.substr(name_end + 1));
  std::string skipped;
  for (int i = 0; i < 7; ++i) rest >> skipped;
  long minor = 0;
  long major = 0;
  if (rest >> minor >> skipped >> major) return {minor + major};
  return {};
}

// What is touched anew after each update are rows of the data alone, whose pages are let go so that
// they do not count as memory: up to four pages for each row, its place in the table included. A
// buffer of the plan that an update touched for the first time would be hundreds.
TEST(LongRun, UpdatesFaultInNoPagesButThoseOfTheirRows) {
  ::setenv("OMP_WAIT_POLICY", "passive", 1);
  constexpr long kUpdatesALine = 10;
  constexpr long kRows = 2;
  for (const std::string dtype : {"f32", "bf16"}) {
    const Program program;
    std::vector<long> faults;  // at each line that the run prints
    const Ended ended = program.run_and_look(
        on_demo("train --max-seq-length 32 --lora-rank 2 --lora-layers 2 --max-steps 220",
                {"--compute-dtype", dtype, "--batch-size", std::to_string(kRows),
                 "--steps-per-report", std::to_string(kUpdatesALine), "--adapter-path",
                 (program.home() / "adapter").string()}),
        [&](pid_t pid) {
          for (const long n : page_faults_of(pid)) faults.push_back(n);
        });
    ASSERT_EQ(ended.exit_code, 0) << ended.err << ended.out;
    ASSERT_GE(faults.size(), 25U);
    const std::size_t first = 8;  // lines before the first updates, and these
    const std::size_t last = 24;
    const double updates = static_cast<double>(last - first) * kUpdatesALine;
    const double each = static_cast<double>(faults[last] - faults[first]) / updates;
    std::cout << dtype << ": " << each << " page faults an update\n";
    EXPECT_LE(each, 4.0 * kRows);
  }
}

}  // namespace
}  // namespace loadline::testing
