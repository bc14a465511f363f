// Any bytes from a worker are events in order and within bounds, or a violation; however they are
// cut into pieces. What is concluded from them is an outcome that a journal's reader takes.
#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "promise.h"
#include "trial/event_reader.h"
#include "trial/fields.h"
#include "trial/observation.h"

namespace loadline {
namespace {

constexpr std::int64_t kSteps = 3;
constexpr std::size_t kMostEvents = kSteps * 4 + 64;

struct Heard {
  std::vector<std::string> events;
  WorkerReport report;
};

// An event says the same when it is written and read again.
void check(const WorkerEvent& event) {
  const std::string text = encode_event(event);
  require(text.find('\n') == std::string::npos);
  if (text.size() <= kLongestLine) require(encode_event(decode_event(text)) == text);
}

Heard hear(std::string_view bytes, std::size_t piece) {
  Heard heard;
  EventReader reader(kSteps, [&](const WorkerEvent& event, std::string_view line) {
    require(line.size() <= kLongestLine);
    check(event);
    heard.events.push_back(encode_event(event));
  });
  for (std::size_t at = 0; at < bytes.size(); at += piece) reader.take(bytes.substr(at, piece));
  heard.report = reader.report();
  return heard;
}

void check(const WorkerReport& report) {
  require(report.violation.size() < 2000);
  require(!report.finished || !report.failed);
  std::int64_t last = 0;
  for (const TrialStep& step : report.steps) {
    require(step.step == last + 1 && step.seconds >= 0 && step.tokens >= 0);
    require(step.peak <= report.peak());
    last = step.step;
  }
}

void check_judged(const WorkerReport& report) {
  TrialSpec spec;
  spec.steps = kSteps;
  spec.budget = spec.cap = 1_GiB;
  TrialObservation seen;
  seen.report = report;
  const TrialOutcome outcome = judge(spec, seen);
  require(outcome.cause.find('\n') == std::string::npos || report.failed.has_value());
  require(!outcome.fits() || (report.finished && report.evaluated && report.saved &&
                              report.violation.empty() && !report.diverged()));
  const std::string text = dump_line(to_json(outcome));
  const TrialOutcome again = trial_outcome_from_json(parse_json(text, "outcome"), "outcome");
  require(dump_line(to_json(again)) == text);
}

}  // namespace
}  // namespace loadline

// The first byte says how long the pieces are.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace loadline;
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const Heard whole = hear(bytes, std::max<std::size_t>(bytes.size(), 1));
  const Heard pieces = hear(bytes, std::size_t{1} + data[0]);
  require(whole.events == pieces.events && whole.events.size() <= kMostEvents);
  require(whole.report.violation == pieces.report.violation);
  check(whole.report);
  check_judged(whole.report);
  return 0;
}
