#include "trial/life_signs.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace loadline {
namespace {

constexpr double kTimesLonger = 10;
constexpr double kAliveCores = 0.05;
constexpr auto kWindow = std::chrono::milliseconds(1000);
constexpr Bytes kNewMemory = 1_MiB;
// More than the small files of /proc that something may look at in a loop.
constexpr Bytes kNewRead = 1_MiB;
// Samples come ten times a second.
constexpr auto kLongestPause = std::chrono::seconds(1);

double seconds_of(Clock::Duration duration) {
  return std::chrono::duration<double>(duration).count();
}
Clock::Duration duration_of(double seconds) {
  return std::chrono::duration_cast<Clock::Duration>(std::chrono::duration<double>(seconds));
}

}  // namespace

LifeSigns::LifeSigns(const TrialSpec& spec, std::chrono::milliseconds floor, Clock::Duration now)
    : floor_seconds_(seconds_of(floor)),
      longest_step_(seconds_of(spec.predicted_step)),
      last_sample_(now),
      last_event_(now),
      last_life_(now),
      window_start_(now) {}

void LifeSigns::step_took(double seconds) { longest_step_ = std::max(longest_step_, seconds); }

void LifeSigns::sample(Clock::Duration now, double cpu_seconds, double waited_seconds, Bytes peak,
                       Bytes read) {
  const Clock::Duration pause = now - std::exchange(last_sample_, now);
  if (pause > kLongestPause) {
    last_event_ = std::min(last_event_ + pause, now);
    last_life_ = std::min(last_life_ + pause, now);
  }
  const double waited = waited_seconds - std::exchange(waited_, std::max(waited_, waited_seconds));
  if (waited > 0) last_event_ = std::min(last_event_ + duration_of(waited), now);
  if (peak >= peak_ + kNewMemory) {
    peak_ = peak;
    last_life_ = now;
  }
  if (read >= read_ + kNewRead) {
    read_ = read;
    last_life_ = now;
  }
  if (now - window_start_ < kWindow) return;
  const double wanted = cpu_seconds + waited_;
  const double share = (wanted - window_wanted_) / seconds_of(now - window_start_);
  if (share >= kAliveCores) last_life_ = now;
  window_start_ = now;
  window_wanted_ = wanted;
}

double LifeSigns::allowed_seconds() const {
  return std::max(floor_seconds_, kTimesLonger * longest_step_);
}

std::optional<std::string> LifeSigns::stalled(Clock::Duration now) const {
  const double quiet = seconds_of(now - last_event_);
  const double lifeless = seconds_of(now - last_life_);
  const double allowed = allowed_seconds();
  if (stepping_ && longest_step_ > 0 && quiet > allowed) {
    return fmt::format("no step for {:.1f} s, while the longest took {:.1f} s (allowed: {:.1f} s)",
                       quiet, longest_step_, allowed);
  }
  if (quiet > allowed && lifeless > allowed) {
    return fmt::format("no event and no sign of life for {:.1f} s (allowed: {:.1f} s)", lifeless,
                       allowed);
  }
  return std::nullopt;
}

}  // namespace loadline
