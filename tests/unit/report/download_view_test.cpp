#include "report/download_view.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <string>

namespace loadline {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr std::uint64_t kMib = 1 << 20;

DownloadState state_at(std::uint64_t received, std::uint64_t kept = 0) {
  return {.total = 100 * kMib,
          .done = kept + received,
          .received = received,
          .files = 5,
          .files_done = 2};
}

TEST(DownloadMeter, TheRateIsOfTheLastTenSeconds) {
  DownloadMeter meter;
  EXPECT_EQ(meter.rate(), std::nullopt);
  for (int second = 0; second <= 10; ++second) meter.add(second, state_at(0));
  for (std::uint64_t second = 11; second <= 25; ++second) {
    meter.add(static_cast<double>(second), state_at((second - 10) * 2 * kMib));
  }
  EXPECT_NEAR(*meter.rate(), 2.0 * kMib, 0.2 * kMib);
}

TEST(DownloadMeter, WhatWasThereBeforeCountsAsDoneAndNotAsRate) {
  DownloadMeter meter;
  meter.add(0, state_at(0, 50 * kMib));
  meter.add(10, state_at(10 * kMib, 50 * kMib));
  EXPECT_EQ(
      meter.line(),
      "[############........] 2 of 5 files, 60.0 MiB of 100.0 MiB, 1.0 MiB/s, about 40 s left");
}

TEST(DownloadMeter, AStallPromisesNoEnd) {
  DownloadMeter meter;
  meter.add(0, state_at(kMib));
  meter.add(20, state_at(kMib));
  EXPECT_THAT(meter.line(), Not(HasSubstr("left")));
}

TEST(DownloadView, DrawsOverItselfOnATerminalAndWritesFewLinesElsewhere) {
  const auto shown = [](bool is_terminal) {
    char* text = nullptr;
    std::size_t size = 0;
    std::FILE* out = open_memstream(&text, &size);
    {
      DownloadView view(out, is_terminal);
      for (int i = 0; i < 100; ++i) view.progress(i * 0.2, state_at(kMib));
      view.line("trying \x1b again");
    }
    (void)std::fclose(out);
    const std::string result(text, size);
    std::free(text);  // NOLINT: open_memstream gives memory of malloc
    return result;
  };
  EXPECT_THAT(shown(true), HasSubstr("\r\x1b[2K[....."));
  EXPECT_THAT(shown(true), HasSubstr("\r\x1b[2Ktrying ? again\n"));
  const std::string lines = shown(false);
  EXPECT_EQ(std::count(lines.begin(), lines.end(), '\n'), 2);
  EXPECT_THAT(lines, Not(HasSubstr("\x1b")));
}

}  // namespace
}  // namespace loadline
