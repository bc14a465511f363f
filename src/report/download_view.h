// What people see while files are downloaded: how much, how fast, how long still.
#pragma once

#include <cstdint>
#include <cstdio>
#include <deque>
#include <optional>
#include <string>
#include <utility>

#include "report/text.h"

namespace loadline {

struct DownloadState {
  std::uint64_t total = 0;     // bytes
  std::uint64_t done = 0;      // of these, what is there
  std::uint64_t received = 0;  // what came over the network: what the rate is of
  std::size_t files = 0;
  std::size_t files_done = 0;
};

// The rate over the last ten seconds. Knows no clock: the seconds are brought along.
class DownloadMeter {
 public:
  void add(double seconds, const DownloadState& state);
  // Bytes a second; nothing before half a second has passed.
  [[nodiscard]] std::optional<double> rate() const;
  // "[####......] 2 of 5 files, 1.20 GiB of 4.10 GiB, 12.3 MiB/s, about 4 min left"
  [[nodiscard]] std::string line() const;

 private:
  struct Sample {
    double seconds = 0;
    std::uint64_t received = 0;
  };
  std::deque<Sample> samples_;
  DownloadState state_;
};

// On a terminal a line that is drawn over; elsewhere a line every ten seconds.
class DownloadView {
 public:
  DownloadView(std::FILE* out, bool is_terminal, Columns columns = {})
      : out_(out), is_terminal_(is_terminal), columns_(std::move(columns)) {}
  DownloadView(const DownloadView&) = delete;
  DownloadView& operator=(const DownloadView&) = delete;
  ~DownloadView();  // clears the line

  void progress(double seconds, const DownloadState& state);
  void line(const std::string& text);

 private:
  void clear();

  std::FILE* out_;
  bool is_terminal_;
  Columns columns_;  // none where nobody knows
  bool drawn_ = false;
  double last_line_ = 0;
  DownloadMeter meter_;
};

}  // namespace loadline
