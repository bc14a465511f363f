// Time as something that can be given: tests pass a clock that they move by hand.
#pragma once

#include <chrono>

namespace loadline {

class Clock {
 public:
  using Duration = std::chrono::nanoseconds;
  virtual ~Clock() = default;
  // Monotonic; only differences mean anything.
  [[nodiscard]] virtual Duration now() const = 0;
};

class SteadyClock final : public Clock {
 public:
  [[nodiscard]] Duration now() const override {
    return std::chrono::steady_clock::now().time_since_epoch();
  }
};

class FakeClock final : public Clock {
 public:
  [[nodiscard]] Duration now() const override { return now_; }
  void advance(Duration by) { now_ += by; }

 private:
  Duration now_{0};
};

}  // namespace loadline
