// One question to the machine, and its answer.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/json.h"

namespace loadline {

// A trial that fits under this cap proves the margin.
constexpr Bytes cap_under_margin(Bytes budget, double margin) {
  return budget.scaled(1 / (1 + margin));
}

// Steps of a trial that take longer than this together are enough for its memory; two updates of
// the longest batch and one more are always run.
inline constexpr double kEnoughStepSeconds = 120;
inline constexpr std::int64_t kLeastSteps = 3;

struct TrialStep;

struct TrialSpec {
  int id = 0;  // its number in the run, and the name of its folder
  std::int64_t batch_size = 1;
  std::int64_t lora_rank = 1;
  std::int64_t lora_layers = 0;
  std::int64_t steps = 15;
  // A worker whose steps are slow may end after this many; 0: never before `steps`.
  std::int64_t least_steps = 0;
  Bytes budget;  // what adjusted peak is compared with
  Bytes cap;     // what the process is physically held under; at least min(budget, ...)
  // What the process maps and never touches. RLIMIT_DATA counts it and stands that much above
  // `cap`.
  Bytes untouched;
  double margin = 0.15;
  PredictedBytes planned;
  std::chrono::milliseconds time_limit{0};  // 0: none
  // What earlier trials let one expect of a step; 0: unknown. Decides when a trial counts as
  // stalled.
  std::chrono::milliseconds predicted_step{0};
  // Of the training to come, to which a growth of memory is extrapolated; 0: not known.
  std::int64_t planned_steps = 0;
  Json worker;  // the worker's settings; opaque here: trial never sees a weight

  // Of its own budget. With a margin of 0 every trial is.
  [[nodiscard]] bool is_under_margin() const { return cap <= cap_under_margin(budget, margin); }
  // After these the worker makes no further one: they are all, or slow enough to end early.
  [[nodiscard]] bool ends_after(const std::vector<TrialStep>& done) const;
};

enum class Verdict : std::uint8_t {
  kFits,
  kExceedsBudget,  // ran, but adjusted peak > budget
  kOutOfMemory,    // refused by the allocator, or killed with evidence
  kKilled,         // SIGKILL without evidence of its cause
  kTimedOut,
  kStalled,
  kDiverged,
  kBadInput,
  kCrashed,
  kRefused,  // neighbours leave too little: never read as "does not fit"
  kInterrupted,
};
// "fits", "exceeds_budget", "out_of_memory" ...
std::string_view name_of(Verdict verdict);
Verdict verdict_from(std::string_view name);  // throws Error(kBadInput)
// Only these say something about memory, and so shrink the search.
[[nodiscard]] constexpr bool is_memory_failure(Verdict verdict) {
  return verdict == Verdict::kExceedsBudget || verdict == Verdict::kOutOfMemory;
}

// A fixed piece of work that a worker does now and then between its steps, the same in all trials
// of so many tokens: how fast the machine is at that moment.
struct Reference {
  std::int64_t tokens = 0;
  double seconds = 0;
};

struct TrialStep {
  std::int64_t step = 0;
  double loss = 0;  // not a number where the worker's was not finite; null in JSON
  double seconds = 0;
  std::int64_t tokens = 0;  // useful ones
  Bytes peak;
  Bytes anonymous;  // RssAnon after the step; 0 where the worker does not tell
  std::optional<double> cross_entropy = std::nullopt;  // where the loss is more than that
  std::optional<Reference> reference = std::nullopt;   // the latest before it
};

// Least squares of the memory that is the worker's own (RssAnon, where it tells; else its peak)
// over steps 10 to 15 (to the last one, where there are more).
struct Growth {
  double relative = 0;        // (last - first) / first over that window: the guide warns above 0.10
  double bytes_per_step = 0;  // slope
  double half_width = 0;      // of its 95 % interval, bytes a step
  [[nodiscard]] bool warns() const { return relative > 0.10; }
  [[nodiscard]] bool rises() const { return bytes_per_step - half_width > 0; }
  // What that slope adds in `steps` steps; 0 where it is not distinguishable from zero.
  [[nodiscard]] Bytes over(std::int64_t steps) const;
};

// How fast a trial was for the machine's pace at that time, which its steps per second are not.
struct Pace {
  Reference reference;              // median over steady steps
  double tokens_per_reference = 0;  // useful tokens in the reference's time: median over them
};

// What went on beside the trial.
struct Noise {
  int cores = 0;            // that the trial may use
  double load_average = 0;  // of the minute before
  // Processor time of all others on these while it ran, as a number of cores; none for a trial that
  // was too short to tell.
  std::optional<double> neighbour_cores;
  // They used so much that its speed is no more than a lower bound.
  [[nodiscard]] bool slows() const;
  Bytes available_before, available_after;  // MemAvailable, or what the cgroup leaves
};

struct PhasePeaks {
  Bytes load, first_step, steady, evaluation, save;
};

struct TrialOutcome {
  Verdict verdict = Verdict::kCrashed;
  std::string cause;                  // one line for people: what happened and the way out
  std::optional<MeasuredBytes> peak;  // VmHWM over the whole life, as far as it came
  PhasePeaks phases;
  Bytes anonymous, file;  // RssAnon and RssFile at the end
  std::optional<Bytes> cgroup_peak;
  std::vector<TrialStep> steps;
  std::optional<Growth> growth;
  double step_seconds = 0;       // median over steady steps
  double tokens_per_second = 0;  // useful tokens: median over steady steps
  // Half the interquartile range, relative; nothing where the steps were too few to tell.
  std::optional<double> step_seconds_spread, tokens_per_second_spread;
  std::optional<Pace> pace;  // where every steady step has a reference of the same tokens
  double seconds = 0;        // of the whole trial
  std::string coverage;      // "covers 100 % of batches, longest row 812 tokens"
  int exit_code = 0;
  int signal = 0;
  std::string stderr_tail;
  Noise noise;
  Json evidence = Json::object();  // oom_kill count, cap kind, swap, faults

  [[nodiscard]] bool fits() const { return verdict == Verdict::kFits; }
  // To its end, so that its peak is whole.
  [[nodiscard]] bool ran_through() const { return fits() || verdict == Verdict::kExceedsBudget; }
  // So, but with fewer steps than were asked for: they are slow.
  [[nodiscard]] bool is_shortened(std::int64_t asked_steps) const {
    return ran_through() && static_cast<std::int64_t>(steps.size()) < asked_steps;
  }
  [[nodiscard]] Bytes adjusted_peak(double margin) const;  // 0 when nothing was measured
  // The kernel killed it below its own ceiling: it needed more than it held, and nobody knows
  // whether more than the ceiling.
  [[nodiscard]] bool ran_out_around_it() const;
};

// Documents of spec.json and outcome.json; reading checks every value and throws Error(kBadInput)
// naming `source`, the key and the value.
Json to_json(const TrialSpec& spec);
TrialSpec trial_spec_from_json(const Json& document, const std::string& source);
Json to_json(const TrialOutcome& outcome);
TrialOutcome trial_outcome_from_json(const Json& document, const std::string& source);
// Its parts, which other documents have too.
Json steps_json(const std::vector<TrialStep>& steps);
Json growth_json(const std::optional<Growth>& growth);
Json pace_json(const std::optional<Pace>& pace);

// The cause as it stands behind the verdict's name: without that name, with which many begin.
std::string_view cause_after_name(const TrialOutcome& outcome);

// Slope, interval and relative growth of the peaks; nothing when fewer than 3 steps lie in the
// window.
std::optional<Growth> growth_of(const std::vector<TrialStep>& steps);

}  // namespace loadline
