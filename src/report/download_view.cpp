#include "report/download_view.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/bytes.h"
#include "report/print.h"
#include "report/text.h"

namespace loadline {
namespace {

constexpr double kWindow = 10;        // seconds that the rate looks back
constexpr double kBetweenLines = 10;  // seconds

}  // namespace

void DownloadMeter::add(double seconds, const DownloadState& state) {
  state_ = state;
  samples_.push_back({seconds, state.received});
  while (samples_.size() > 2 && samples_[1].seconds < seconds - kWindow) samples_.pop_front();
}

std::optional<double> DownloadMeter::rate() const {
  if (samples_.empty()) return std::nullopt;
  const double seconds = samples_.back().seconds - samples_.front().seconds;
  if (seconds < 0.5) return std::nullopt;
  return static_cast<double>(samples_.back().received - samples_.front().received) / seconds;
}

std::string DownloadMeter::line() const {
  const double share =
      state_.total == 0 ? 0 : static_cast<double>(state_.done) / static_cast<double>(state_.total);
  std::string text =
      fmt::format("{} {} of {} files, {} of {}", bar_of(share), state_.files_done, state_.files,
                  to_string(Bytes{state_.done}), to_string(Bytes{state_.total}));
  const auto speed = rate();
  if (!speed) return text;
  text += fmt::format(", {}/s", to_string(Bytes{static_cast<std::uint64_t>(*speed)}));
  if (*speed >= 1 && state_.total > state_.done) {
    text += fmt::format(", about {} left",
                        in_time_left(static_cast<double>(state_.total - state_.done) / *speed));
  }
  return text;
}

DownloadView::~DownloadView() { clear(); }

void DownloadView::clear() {
  if (drawn_) tell(out_, "\r\x1b[2K");
  drawn_ = false;
  std::fflush(out_);
}

void DownloadView::progress(double seconds, const DownloadState& state) {
  meter_.add(seconds, state);
  if (state.total == 0) return;
  if (is_terminal_) {
    const std::int64_t width = columns_ ? columns_() : kUsualColumns;
    tell(out_, "\r\x1b[2K{}", bar_in(meter_.line(), width - 1));
    drawn_ = true;
    std::fflush(out_);
  } else if (seconds - last_line_ >= kBetweenLines) {
    last_line_ = seconds;
    tell(out_, "{}\n", meter_.line());
    std::fflush(out_);
  }
}

void DownloadView::line(const std::string& text) {
  clear();
  tell(out_, "{}\n", printable(text));
  std::fflush(out_);
}

}  // namespace loadline
