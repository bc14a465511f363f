#include <signal.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "base/error.h"
#include "base/json.h"
#include "base/number_text.h"
#include "trial/advice.h"
#include "trial/observation.h"
#include "trial/statistics.h"

namespace loadline {
namespace {

// Not at the learning rate: all trials have the same.
constexpr std::string_view kLookAtWeights = "Look at the model's weights and at the data";

std::string_view smaller(const TrialSpec& spec) {
  return spec.batch_size > 1 ? kLowerBatch : kLowerRank;
}

std::string signal_name(int number) {
  const char* name = ::sigabbrev_np(number);
  return name != nullptr ? std::string("SIG") + name : "signal " + std::to_string(number);
}

// What it wrote last, for the one line; the whole tail is in the outcome.
std::string last_words(const std::string& tail) {
  const std::size_t end = tail.find_last_not_of(" \n\t");
  if (end == std::string::npos) return "it wrote nothing to stderr";
  const std::size_t newline = tail.find_last_of('\n', end);
  const std::size_t from = newline == std::string::npos ? 0 : newline + 1;
  return "its last words: " + tail.substr(from, std::min<std::size_t>(end - from + 1, 200));
}

std::string progress(const TrialSpec& spec, const WorkerReport& report) {
  if (report.finished) return "after its last event";
  if (report.steps.empty()) return report.loaded ? "before its first step" : "while loading";
  return fmt::format("after step {} of {}", report.steps.back().step, spec.steps);
}

// One line, whatever the words were.
std::string refused_text(std::string why) {
  std::replace(why.begin(), why.end(), '\n', ' ');
  return "refused: " + why + ". Mend that and start again; this says nothing about whether it fits";
}

struct Conclusion {
  Verdict verdict = Verdict::kCrashed;
  std::string cause;
};

// Under RLIMIT_DATA the count is that of the group that we share with others.
bool killed_by_the_kernel(const TrialObservation& seen) {
  if (seen.evidence.oom_kills.value_or(0) == 0) return false;
  if (seen.cap != CapKind::kRlimit) return true;
  return seen.ending == Ending::kByItself && seen.exit.signal == SIGKILL;
}

// At its own ceiling it is out of memory. Elsewhere the machine, or a group around it, ran out:
// while it held no more than it was promised, others did that.
Conclusion killed_for_memory(const TrialSpec& spec, const TrialObservation& seen, Bytes peak) {
  const std::string where = progress(spec, seen.report);
  const auto kills = *seen.evidence.oom_kills;
  if (seen.cap != CapKind::kRlimit && seen.evidence.was_full.value_or(true)) {
    return {Verdict::kOutOfMemory,
            fmt::format("out of memory: the kernel killed it at the ceiling of {} {} (oom_kill "
                        "{}). {}",
                        to_string(spec.cap), where, kills, smaller(spec))};
  }
  const std::string end = fmt::format(
      "the kernel killed it {} (oom_kill {}) as memory ran out around it: it held {}, and its "
      "ceiling of {} was not met",
      where, kills, to_string(peak), to_string(spec.cap));
  const Bytes wanted = adjusted(std::max(peak, spec.planned.bytes), spec.margin);
  if (wanted > spec.budget) {
    return {Verdict::kOutOfMemory,
            fmt::format("out of memory: {}; with {} margin it wants {} of {}. {}", end,
                        percent_text(spec.margin), to_string(wanted), to_string(spec.budget),
                        smaller(spec))};
  }
  return {Verdict::kRefused,
          refused_text(end + ". Other processes took what the budget had promised: close them")};
}

// Only what the kernel, our own allocator or our own count says is evidence.
std::optional<Conclusion> out_of_memory(const TrialSpec& spec, const TrialObservation& seen,
                                        Bytes peak) {
  const std::string where = progress(spec, seen.report);
  if (killed_by_the_kernel(seen)) return killed_for_memory(spec, seen, peak);
  if (seen.ending == Ending::kTree) {
    return Conclusion{Verdict::kOutOfMemory,
                      fmt::format("out of memory: {}. {}", seen.ending_detail, smaller(spec))};
  }
  if (seen.report.failed && seen.report.failed->verdict == Verdict::kOutOfMemory) {
    return Conclusion{
        Verdict::kOutOfMemory,
        fmt::format("out of memory {}: {}. {}", where, seen.report.failed->detail, smaller(spec))};
  }
  return std::nullopt;
}

std::optional<Conclusion> ended_by_us(const TrialSpec& spec, const TrialObservation& seen) {
  const std::string where = progress(spec, seen.report);
  switch (seen.ending) {
    case Ending::kTimedOut:
      return Conclusion{Verdict::kTimedOut,
                        fmt::format("not done within the time limit of {:.1f} s: ended {}. Raise "
                                    "--time-limit, or lower --steps",
                                    static_cast<double>(spec.time_limit.count()) / 1000, where)};
    case Ending::kStalled:
      return Conclusion{Verdict::kStalled,
                        fmt::format("stalled {}: {}. Is the machine swapping, or its disk away?",
                                    where, seen.ending_detail)};
    case Ending::kViolation:
    case Ending::kInterrupted:
    case Ending::kTree:
    case Ending::kByItself:
      break;
  }
  if (seen.report.violation.empty()) return std::nullopt;
  return Conclusion{Verdict::kCrashed,
                    fmt::format("broke the worker protocol {}: {} ({})", where,
                                seen.report.violation, last_words(seen.stderr_tail))};
}

std::optional<Conclusion> own_word(const TrialSpec& spec, const TrialObservation& seen) {
  if (!seen.report.failed && seen.report.diverged()) {
    return Conclusion{Verdict::kDiverged, fmt::format("diverged {}: a loss was not finite. {}",
                                                      progress(spec, seen.report), kLookAtWeights)};
  }
  if (!seen.report.failed) return std::nullopt;
  const Failed& failed = *seen.report.failed;
  const std::string where = progress(spec, seen.report);
  switch (failed.verdict) {
    case Verdict::kDiverged:
      return Conclusion{Verdict::kDiverged,
                        fmt::format("diverged {}: {}. {}", where, failed.detail, kLookAtWeights)};
    case Verdict::kBadInput:
      return Conclusion{Verdict::kBadInput, "bad input: " + failed.detail};
    case Verdict::kInterrupted:
      return Conclusion{Verdict::kInterrupted,
                        "interrupted from outside " + where + ": " + failed.detail};
    case Verdict::kRefused:
      return Conclusion{Verdict::kRefused, refused_text(failed.detail)};
    default:
      return Conclusion{Verdict::kCrashed, "failed " + where + ": " + failed.detail};
  }
}

std::optional<Conclusion> bad_end(const TrialSpec& spec, const TrialObservation& seen) {
  const std::string where = progress(spec, seen.report);
  const std::string words = last_words(seen.stderr_tail);
  if (!seen.exit.is_known) {
    return Conclusion{Verdict::kKilled,
                      fmt::format("ended {}, cause unknown: another reaped it, and how it ended "
                                  "was not told; {}",
                                  where, words)};
  }
  if (seen.exit.signal == SIGKILL) {
    return Conclusion{Verdict::kKilled,
                      fmt::format("killed {}, cause unknown: SIGKILL, but no out-of-memory kill "
                                  "was counted; the kernel's log (dmesg) may tell more. {}",
                                  where, kAskOnceMore)};
  }
  if (seen.exit.signal != 0) {
    return Conclusion{Verdict::kCrashed, fmt::format("crashed {} by {}; {}", where,
                                                     signal_name(seen.exit.signal), words)};
  }
  if (seen.exit.code != 0) {
    return Conclusion{Verdict::kCrashed,
                      fmt::format("ended {} with exit code {}; {}", where, seen.exit.code, words)};
  }
  if (!seen.report.finished) {
    return Conclusion{
        Verdict::kCrashed,
        fmt::format("ended {} with exit code 0, but without a result; {}", where, words)};
  }
  const std::int64_t done = seen.report.steps.empty() ? 0 : seen.report.steps.back().step;
  if (done < (spec.least_steps > 0 ? spec.least_steps : spec.steps)) {
    return Conclusion{Verdict::kCrashed, fmt::format("said that it had finished after {} of {} "
                                                     "steps; {}",
                                                     done, spec.steps, words)};
  }
  if (!seen.report.evaluated || !seen.report.saved) {
    const char* missing = seen.report.evaluated ? "a save" : "an evaluation";
    return Conclusion{Verdict::kCrashed,
                      fmt::format("said that it had finished, but without {}: what that needs was "
                                  "not measured; {}",
                                  missing, words)};
  }
  return std::nullopt;
}

Conclusion against_budget(const TrialSpec& spec, Bytes peak) {
  const Bytes with_margin = adjusted(peak, spec.margin);
  const std::string figures = fmt::format("peak {}, with {} margin {}", to_string(peak),
                                          percent_text(spec.margin), to_string(with_margin));
  if (with_margin <= spec.budget) {
    return {Verdict::kFits,
            fmt::format("fits: {}, within the budget of {}", figures, to_string(spec.budget))};
  }
  const std::string budget = to_string(spec.budget);
  const std::string by =  // where rounding would hide it
      to_string(with_margin) == budget ? to_string(with_margin - spec.budget) + " " : "";
  return {Verdict::kExceedsBudget, fmt::format("it ran, but {} is {}above the budget of {}. {}",
                                               figures, by, budget, smaller(spec))};
}

Conclusion conclude(const TrialSpec& spec, const TrialObservation& seen, Bytes peak) {
  if (seen.ending == Ending::kInterrupted) {
    return {Verdict::kInterrupted, "interrupted " + progress(spec, seen.report)};
  }
  if (!seen.was_capped) {
    return {Verdict::kRefused,
            refused_text("it was not seen under its ceiling; " + last_words(seen.stderr_tail))};
  }
  if (const auto found = out_of_memory(spec, seen, peak)) return *found;
  if (const auto found = ended_by_us(spec, seen)) return *found;
  if (const auto found = own_word(spec, seen)) return *found;
  if (const auto found = bad_end(spec, seen)) return *found;
  if (peak.count == 0) {
    return {Verdict::kCrashed,
            "it ran, but no peak of its memory was measured: it told of none, "
            "and /proc had none"};
  }
  return against_budget(spec, peak);
}

PhasePeaks phases_of(const WorkerReport& report) {
  PhasePeaks phases;
  if (report.loaded) phases.load = report.loaded->peak;
  if (!report.steps.empty()) {
    phases.first_step = report.steps.front().peak;
    phases.steady = report.steps.back().peak;
  }
  if (report.evaluated) phases.evaluation = report.evaluated->peak;
  if (report.saved) phases.save = report.saved->peak;
  return phases;
}

Json optional_json(const std::optional<std::uint64_t>& value) {
  return value ? Json(*value) : Json(nullptr);
}

Json evidence_of(const TrialSpec& spec, const TrialObservation& seen) {
  Json evidence{
      {"cap_kind", name_of(seen.cap)},
      {"cap_bytes", spec.cap.count},
      {"oom_kills", optional_json(seen.evidence.oom_kills)},
      {"cap_failures", optional_json(seen.evidence.failures)},
      {"cap_was_full", seen.evidence.was_full ? Json(*seen.evidence.was_full) : Json(nullptr)},
      {"worker_peak_bytes", seen.report.peak().count},
      {"watched_peak_bytes", seen.memory.peak.count},
      {"held_bytes", seen.held.count},
      {"swapped_bytes", seen.memory.swapped.count},
      {"major_faults", seen.activity.major_faults},
      {"cpu_seconds", seen.activity.cpu_seconds},
      {"waited_seconds", seen.waited_seconds}};
  if (seen.tree_peak) evidence["tree_peak_bytes"] = seen.tree_peak->count;
  if (!seen.ending_detail.empty()) evidence["ended_because"] = seen.ending_detail;
  if (!seen.report.violation.empty()) evidence["protocol_violation"] = seen.report.violation;
  if (seen.report.loaded) evidence["worker_planned_bytes"] = seen.report.loaded->planned.count;
  return evidence;
}

}  // namespace

Bytes WorkerReport::peak() const {
  Bytes peak;
  const auto see = [&](Bytes bytes) { peak = std::max(peak, bytes); };
  if (loaded) see(loaded->peak);
  for (const TrialStep& step : steps) see(step.peak);
  if (evaluated) see(evaluated->peak);
  if (saved) see(saved->peak);
  if (finished) see(finished->peak);
  return peak;
}

bool WorkerReport::diverged() const {
  const auto broken = [](const TrialStep& step) { return !std::isfinite(step.loss); };
  return std::any_of(steps.begin(), steps.end(), broken) ||
         (evaluated && !std::isfinite(evaluated->loss));
}

// As killed_for_memory() concluded, by the evidence that is kept of it.
bool TrialOutcome::ran_out_around_it() const {
  const Json* kills = json_find(evidence, "oom_kills");
  const bool was_killed = kills != nullptr && kills->is_number() && *kills != 0;
  if (!was_killed || signal != SIGKILL) return false;
  const Json* kind = json_find(evidence, "cap_kind");
  const Json* full = json_find(evidence, "cap_was_full");
  const bool is_limit = kind != nullptr && *kind == Json(name_of(CapKind::kRlimit));
  return is_limit || (full != nullptr && *full == Json(false));
}

TrialOutcome judge(const TrialSpec& spec, const TrialObservation& seen) {
  TrialOutcome outcome;
  const Bytes peak =
      std::max({seen.report.peak(), seen.memory.peak, seen.held, seen.tree_peak.value_or(Bytes{})});
  Conclusion conclusion = conclude(spec, seen, peak);
  outcome.verdict = conclusion.verdict;
  outcome.cause = std::move(conclusion.cause);
  if (peak.count > 0) outcome.peak = MeasuredBytes{peak};
  outcome.phases = phases_of(seen.report);
  outcome.anonymous =
      seen.report.finished ? seen.report.finished->anonymous : seen.memory.anonymous;
  outcome.file = seen.report.finished ? seen.report.finished->file : seen.memory.file;
  outcome.cgroup_peak = seen.evidence.peak;
  outcome.steps = seen.report.steps;
  outcome.growth = growth_of(outcome.steps);
  const StepSpeed speed = speed_of(outcome.steps);
  outcome.step_seconds = speed.step_seconds;
  outcome.step_seconds_spread = speed.step_seconds_spread;
  outcome.tokens_per_second = speed.tokens_per_second;
  outcome.tokens_per_second_spread = speed.spread;
  outcome.pace = speed.pace;
  outcome.seconds = seen.seconds;
  if (seen.report.finished) outcome.coverage = seen.report.finished->coverage;
  outcome.exit_code = seen.exit.code;
  outcome.signal = seen.exit.signal;
  outcome.stderr_tail = seen.stderr_tail;
  outcome.noise.neighbour_cores = seen.neighbour_cores;
  outcome.evidence = evidence_of(spec, seen);
  return outcome;
}

TrialOutcome refuse(Bytes needed, Bytes available) {
  TrialOutcome outcome;
  outcome.verdict = Verdict::kRefused;
  outcome.cause = fmt::format(
      "refused: it needs {}, but other processes have left only {} since the search began. Close "
      "them and start again; this says nothing about whether it fits",
      to_string(needed), to_string(available));
  outcome.evidence = {{"needed_bytes", needed.count}, {"available_bytes", available.count}};
  return outcome;
}

TrialOutcome refuse(const std::string& why) {
  TrialOutcome outcome;
  outcome.verdict = Verdict::kRefused;
  outcome.cause = refused_text(why);
  return outcome;
}

std::optional<TrialOutcome> under_budget(TrialSpec spec, TrialOutcome outcome, Bytes budget) {
  if (budget == spec.budget) return outcome;
  if (outcome.verdict == Verdict::kOutOfMemory) {
    // What ran out around it is taken by what it wanted, as killed_for_memory() did.
    const Bytes peak = outcome.peak.value_or(MeasuredBytes{}).bytes;
    const bool is_too_much =
        outcome.ran_out_around_it()
            ? adjusted(std::max(peak, spec.planned.bytes), spec.margin) > budget
            : spec.cap >= cap_under_margin(budget, spec.margin);
    if (!is_too_much) return std::nullopt;
    return outcome;
  }
  if (!outcome.ran_through() || !outcome.peak) return outcome;
  spec.budget = budget;
  const Conclusion conclusion = against_budget(spec, outcome.peak->bytes);
  outcome.verdict = conclusion.verdict;
  outcome.cause = conclusion.cause;
  return outcome;
}

bool proves_margin(const TrialSpec& spec, Bytes budget) {
  constexpr double kDrift = 0.02;
  return spec.is_under_margin() &&
         spec.cap <= cap_under_margin(budget, spec.margin).scaled(1 + kDrift);
}

}  // namespace loadline
