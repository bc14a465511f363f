#include "trial/event_reader.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/error.h"

namespace loadline {
namespace {

constexpr std::size_t kPiece = 16 * 1024;
constexpr std::size_t kPiecesAtOnce = 16;

// Printable, and short enough for a message.
std::string shown(std::string_view line) {
  std::string text(line.substr(0, 120));
  for (char& c : text) {
    if (c < 0x20 || c > 0x7e) c = '?';
  }
  return "'" + text + (line.size() > 120 ? "...'" : "'");
}

template <typename... Functions>
struct Overloaded : Functions... {
  using Functions::operator()...;
};
template <typename... Functions>
Overloaded(Functions...) -> Overloaded<Functions...>;

}  // namespace

EventReader::EventReader(std::int64_t steps, Listener listener)
    : most_events_(std::min<std::int64_t>(steps, 1'000'000) * 4 + 64),
      listener_(std::move(listener)) {}

std::size_t EventReader::read(int descriptor) {
  char piece[kPiece];
  std::size_t total = 0;
  for (std::size_t i = 0; i < kPiecesAtOnce && !at_end_ && !broken(); ++i) {
    const ssize_t n = ::read(descriptor, piece, sizeof piece);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) break;  // nothing there now
    at_end_ = n == 0;
    total += static_cast<std::size_t>(n);
    take({piece, static_cast<std::size_t>(n)});
  }
  return total;
}

void EventReader::take(std::string_view bytes) {
  while (!bytes.empty() && !broken()) {
    const std::size_t newline = bytes.find('\n');
    const std::string_view part = bytes.substr(0, newline);
    if (pending_.size() + part.size() > kLongestLine) {
      add_violation(fmt::format("a line of more than {} bytes: {}", kLongestLine,
                                shown(pending_.empty() ? part : std::string_view(pending_))));
      return;
    }
    pending_ += part;
    if (newline == std::string_view::npos) return;
    bytes.remove_prefix(newline + 1);
    const std::string line = std::move(pending_);
    pending_.clear();
    take_line(line);
  }
}

void EventReader::take_line(std::string_view line) {
  if (++events_ > most_events_) {
    add_violation(fmt::format("more than {} events", most_events_));
    return;
  }
  try {
    const WorkerEvent event = decode_event(line);
    apply(event);
    if (!broken()) listener_(event, line);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kBadInput) throw;
    add_violation(fmt::format("{}: {}", error.what(), shown(line)));
  }
}

void EventReader::apply(const WorkerEvent& event) {
  if (report_.finished || report_.failed) {
    add_violation("an event after the last one");
    return;
  }
  std::visit(Overloaded{[&](const Loaded& e) { report_.loaded = e; },
                        [&](const Stepped& e) {
                          const std::int64_t last =
                              report_.steps.empty() ? 0 : report_.steps.back().step;
                          if (e.step.step != last + 1) {
                            add_violation(fmt::format("step {} after step {}", e.step.step, last));
                          } else {
                            report_.steps.push_back(e.step);
                          }
                        },
                        [&](const Evaluated& e) { report_.evaluated = e; },
                        [&](const Saved& e) { report_.saved = e; },
                        [&](const Finished& e) { report_.finished = e; },
                        [&](const Failed& e) { report_.failed = e; }},
             event);
}

void EventReader::add_violation(std::string what) {
  if (report_.violation.empty()) report_.violation = std::move(what);
}

}  // namespace loadline
