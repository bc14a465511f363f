// How long something takes.
#pragma once

#include <chrono>
#include <utility>

namespace loadline {

class Stopwatch {
 public:
  // Since it was made, or since the last lap.
  [[nodiscard]] double seconds() const { return seconds_between(start_, Clock::now()); }
  // The same, and a new lap begins.
  double lap() {
    const Clock::time_point now = Clock::now();
    return seconds_between(std::exchange(start_, now), now);
  }

 private:
  using Clock = std::chrono::steady_clock;
  static double seconds_between(Clock::time_point from, Clock::time_point to) {
    return std::chrono::duration<double>(to - from).count();
  }

  Clock::time_point start_ = Clock::now();
};

}  // namespace loadline
