// The worker's side of the conversation, read a bounded piece at a time: a line is at most 64 KiB,
// and a trial has at most as many events as its steps allow. What goes beyond is a violation, after
// which nothing more is read.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "trial/observation.h"

namespace loadline {

class EventReader {
 public:
  // Called for each event with the line that it came in.
  using Listener = std::function<void(const WorkerEvent&, std::string_view line)>;

  EventReader(std::int64_t steps, Listener listener);

  // Takes what has arrived on a descriptor that does not block, at most 256 KiB. Returns how many
  // bytes came.
  std::size_t read(int descriptor);
  // The same for bytes at hand.
  void take(std::string_view bytes);

  [[nodiscard]] bool at_end() const { return at_end_; }  // all writers have closed it
  [[nodiscard]] const WorkerReport& report() const { return report_; }
  [[nodiscard]] bool broken() const { return !report_.violation.empty(); }
  // The reading side's own finding: closed too early, wrote too much elsewhere.
  void add_violation(std::string what);

 private:
  void take_line(std::string_view line);
  void apply(const WorkerEvent& event);

  std::int64_t most_events_;
  std::int64_t events_ = 0;
  Listener listener_;
  std::string pending_;  // a line's beginning
  bool at_end_ = false;
  WorkerReport report_;
};

}  // namespace loadline
