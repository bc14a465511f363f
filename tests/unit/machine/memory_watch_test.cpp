#include "machine/memory_watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "made_root.h"

namespace loadline {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class Watching : public testing::Test {
 protected:
  Watching() {
    root_.write("proc/17/status", "Name:\tcalm\nVmRSS:\t 1024 kB\n");
    root_.write("proc/18/status", "Name:\tgreedy\nVmRSS:\t 7340032 kB\n");
    root_.write("proc/self/status", "Name:\tloadline\nVmRSS: 99999999 kB\nVmSwap: 1024 kB\n");
    watch_.emplace(clock_, root_.path());
  }
  void left(const std::string& kib) const {
    root_.write("proc/meminfo", "MemTotal: 16777216 kB\nMemAvailable: " + kib + " kB\n");
  }
  std::string after(std::chrono::seconds wait) {
    clock_.advance(wait);
    return watch_->look().value_or("");
  }

  MadeRoot root_;
  FakeClock clock_;
  std::optional<MemoryWatch> watch_;
};

using std::chrono::seconds;

TEST_F(Watching, ACalmMachineIsNoDanger) { EXPECT_EQ(after(seconds(1)), ""); }

TEST_F(Watching, LittleMemoryLeftIsSaidOnceWithTheLargestNeighbour) {
  left("204800");
  EXPECT_THAT(after(seconds(1)), AllOf(HasSubstr("only 200.0 MiB of memory is left"),
                                       HasSubstr("greedy (7.00 GiB)"), Not(HasSubstr("loadline"))));
  EXPECT_EQ(after(seconds(2)), "");
  left("8388608");
  EXPECT_EQ(after(seconds(2)), "");
  left("204800");
  EXPECT_EQ(after(seconds(59)), "") << "not yet over";
  left("8388608");
  after(seconds(61));
  left("204800");
  EXPECT_THAT(after(seconds(2)), HasSubstr("only"));
}

TEST_F(Watching, TheSystemIsLookedAtOnceASecondAtMost) {
  EXPECT_EQ(after(seconds(1)), "");
  left("204800");
  clock_.advance(std::chrono::milliseconds(900));
  EXPECT_FALSE(watch_->look().has_value());
  EXPECT_NE(after(seconds(1)), "");
}

TEST_F(Watching, PressureAndSwapAreDangers) {
  root_.write("proc/pressure/memory",
              "some avg10=40.00 avg60=1.00 avg300=0.00 total=1\n"
              "full avg10=12.50 avg60=1.00 avg300=0.00 total=1\n");
  EXPECT_THAT(after(seconds(1)), HasSubstr("12 % of the last 10 seconds"));
  root_.write("proc/pressure/memory", "some avg10=90.00\nfull avg10=9.99 avg60=1.00\n");
  after(seconds(61));
  after(seconds(61));
  root_.write("proc/self/status", "VmSwap: 103424 kB\n");
  EXPECT_THAT(after(seconds(1)), HasSubstr("100.0 MiB of this process went to swap"));
}

TEST_F(Watching, AFullControlGroupIsADangerToo) {
  root_.mount_v2("/mine");
  const std::string group = "sys/fs/cgroup/mine/";
  root_.write(group + "memory.max", "1073741824\n");
  root_.write(group + "memory.current", "1063741824\n");
  root_.write(group + "memory.stat", "inactive_file 0\nactive_file 0\n");
  EXPECT_THAT(after(seconds(1)), HasSubstr("in this control group"));
}

TEST_F(Watching, WhatCannotBeReadEndangersNothing) {
  root_.write("proc/meminfo", "nonsense");
  EXPECT_EQ(after(seconds(1)), "");
}

}  // namespace
}  // namespace loadline
