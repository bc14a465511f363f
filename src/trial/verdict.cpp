#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "base/error.h"
#include "trial/trial.h"

namespace loadline {
namespace {

constexpr std::array<std::pair<Verdict, std::string_view>, 11> kNames{{
    {Verdict::kFits, "fits"},
    {Verdict::kExceedsBudget, "exceeds_budget"},
    {Verdict::kOutOfMemory, "out_of_memory"},
    {Verdict::kKilled, "killed"},
    {Verdict::kTimedOut, "timed_out"},
    {Verdict::kStalled, "stalled"},
    {Verdict::kDiverged, "diverged"},
    {Verdict::kBadInput, "bad_input"},
    {Verdict::kCrashed, "crashed"},
    {Verdict::kRefused, "refused"},
    {Verdict::kInterrupted, "interrupted"},
}};

}  // namespace

std::string_view name_of(Verdict verdict) {
  for (const auto& [value, name] : kNames) {
    if (value == verdict) return name;
  }
  return "?";
}

Verdict verdict_from(std::string_view name) {
  std::string all;
  for (const auto& [value, known] : kNames) {
    if (known == name) return value;
    all += all.empty() ? "" : ", ";
    all += known;
  }
  throw bad_input("'{}' is not a verdict; one of {} was expected", name, all);
}

std::string_view cause_after_name(const TrialOutcome& outcome) {
  std::string name(name_of(outcome.verdict));
  std::replace(name.begin(), name.end(), '_', ' ');
  const std::string_view cause = outcome.cause;
  if (!cause.starts_with(name)) return cause;
  const std::size_t rest = cause.find_first_not_of(": ", name.size());
  return rest == std::string_view::npos ? cause : cause.substr(rest);
}

}  // namespace loadline
