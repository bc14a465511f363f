// What endangers a process that has all its memory already: neighbours that take what is left,
// tasks that wait for memory, its own pages going to swap.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "machine/clock.h"

namespace loadline {

class MemoryWatch {
 public:
  // How often the system is really looked at, and how long it must be calm before a danger counts
  // as over.
  static constexpr Clock::Duration kInterval = std::chrono::seconds(1);
  static constexpr Clock::Duration kCalm = std::chrono::seconds(60);
  // Less than this share of all memory left, or this much of it if that is less, is danger.
  static constexpr double kLeastShare = 0.02;
  static constexpr Bytes kLeastLeft = 512_MiB;
  // In percent of the last 10 seconds in which all tasks waited for memory (/proc/pressure/memory).
  static constexpr double kMostStalled = 10;
  // More of this process in swap than when the watch began.
  static constexpr Bytes kMostSwapped = 32_MiB;

  // Reads below `root` ("/" outside of tests). `clock` must outlive the watch.
  explicit MemoryWatch(const Clock& clock, std::filesystem::path root = "/");

  // The danger, for people, when one begins: "only 211 MiB of memory is left; the largest other
  // process is firefox (3.1 GiB)". Once for each danger. What cannot be read endangers nothing.
  std::optional<std::string> look();

 private:
  [[nodiscard]] std::string dangers() const;
  [[nodiscard]] Bytes swapped() const;

  const Clock& clock_;
  std::filesystem::path root_;
  Bytes swapped_before_;
  std::optional<Clock::Duration> looked_;
  std::optional<Clock::Duration> in_danger_since_;  // the last time that there was some
};

}  // namespace loadline
