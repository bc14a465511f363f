#include "trial/trial.h"

#include <algorithm>
#include <limits>

#include "base/error.h"
#include "base/json.h"
#include "trial/fields.h"

namespace loadline {
namespace {

constexpr std::int64_t kMostTrials = 1'000'000;
constexpr std::int64_t kMostSteps = 1'000'000'000;
// As the command line and the worker have them.
constexpr std::int64_t kMostRows = 1 << 20;
constexpr std::int64_t kMostRank = 16384;
constexpr double kMostMargin = 4;

Json bytes_or_null(const std::optional<Bytes>& bytes) {
  return bytes ? Json(bytes->count) : Json(nullptr);
}

Json step_json(const TrialStep& step) {
  Json document{{"step", step.step},
                {"loss", number_json(step.loss)},
                {"seconds", step.seconds},
                {"tokens", step.tokens},
                {"peak_bytes", step.peak.count},
                {"anonymous_bytes", step.anonymous.count}};
  put_cross_entropy(document, step.cross_entropy);
  put_reference(document, step.reference);
  return document;
}

// Absent in documents of a version that did not tell: 0.
template <typename Value>
Value or_nothing(const Json& object, std::string_view key, const std::string& source,
                 Value (*read)(const Json&, std::string_view, std::string_view)) {
  return json_find(object, key) == nullptr ? Value{} : read(object, key, source);
}

std::optional<double> amount_if_there(const Json& object, std::string_view key,
                                      const std::string& source) {
  if (json_find(object, key) == nullptr) return std::nullopt;
  return amount_field(object, key, source);
}

TrialStep step_from(const Json& object, const std::string& source) {
  return {.step = count_field(object, "step", source),
          .loss = loss_field(object, "loss", source),
          .seconds = amount_field(object, "seconds", source),
          .tokens = count_field(object, "tokens", source),
          .peak = bytes_field(object, "peak_bytes", source),
          .anonymous = or_nothing(object, "anonymous_bytes", source, bytes_field),
          .cross_entropy = cross_entropy_field(object, source),
          .reference = reference_field(object, source)};
}

std::optional<Pace> pace_from(const Json& object, const std::string& source) {
  const Json* pace = json_find(object, "pace");
  if (pace == nullptr) return std::nullopt;
  const std::optional<Reference> reference = reference_field(*pace, source);
  if (!reference) throw bad_input("{}: 'pace' has no 'reference_tokens'", source);
  return Pace{.reference = *reference,
              .tokens_per_reference = amount_field(*pace, "tokens_per_reference", source)};
}

Json phases_json(const PhasePeaks& phases) {
  return {{"load_bytes", phases.load.count},
          {"first_step_bytes", phases.first_step.count},
          {"steady_bytes", phases.steady.count},
          {"evaluation_bytes", phases.evaluation.count},
          {"save_bytes", phases.save.count}};
}

PhasePeaks phases_from(const Json& object, const std::string& source) {
  return {.load = bytes_field(object, "load_bytes", source),
          .first_step = bytes_field(object, "first_step_bytes", source),
          .steady = bytes_field(object, "steady_bytes", source),
          .evaluation = bytes_field(object, "evaluation_bytes", source),
          .save = bytes_field(object, "save_bytes", source)};
}

std::optional<Growth> growth_from(const Json& object, const std::string& source) {
  const Json* growth = json_find(object, "growth");
  if (growth == nullptr) return std::nullopt;
  return Growth{.relative = finite_field(*growth, "relative", source),
                .bytes_per_step = finite_field(*growth, "bytes_per_step", source),
                .half_width = amount_field(*growth, "half_width", source)};
}

Json noise_json(const Noise& noise) {
  return {{"cores", noise.cores},
          {"load_average", noise.load_average},
          {"neighbour_cores", number_json(noise.neighbour_cores)},
          {"available_before_bytes", noise.available_before.count},
          {"available_after_bytes", noise.available_after.count}};
}

int small_int(const Json& object, std::string_view key, const std::string& source) {
  const std::int64_t value = json_int(object, key, source);
  if (value < INT32_MIN || value > INT32_MAX) {
    throw bad_input("{}: '{}' is {}, out of range", source, key, value);
  }
  return static_cast<int>(value);
}

Noise noise_from(const Json& document, const std::string& source) {
  const Json* noise = json_find(document, "noise");
  if (noise == nullptr) return {};
  Noise read{.cores = small_int(*noise, "cores", source),
             .load_average = amount_field(*noise, "load_average", source),
             .neighbour_cores = std::nullopt,
             .available_before = bytes_field(*noise, "available_before_bytes", source),
             .available_after = bytes_field(*noise, "available_after_bytes", source)};
  read.neighbour_cores = amount_if_there(*noise, "neighbour_cores", source);
  return read;
}

std::int64_t one_to(std::int64_t most, const Json& object, std::string_view key,
                    const std::string& source) {
  const std::int64_t value = json_int(object, key, source);
  if (value < 1 || value > most) {
    throw bad_input("{}: '{}' is {}, but must be 1 to {}", source, key, value, most);
  }
  return value;
}

// A share of it is a number.
Bytes room_field(const Json& object, std::string_view key, const std::string& source) {
  const Bytes room = bytes_field(object, key, source);
  if (room.count == 0) throw bad_input("{}: '{}' is 0, but must be at least 1", source, key);
  return room;
}

double margin_field(const Json& object, const std::string& source) {
  const double margin = amount_field(object, "margin", source);
  if (margin > kMostMargin) {
    throw bad_input("{}: 'margin' is {}, but must be 0 to {}", source, margin, kMostMargin);
  }
  return margin;
}

std::chrono::milliseconds duration_field(const Json& object, std::string_view key,
                                         const std::string& source) {
  // Nanoseconds of a hundred years still fit into 64 bits; a value above is nonsense.
  const std::int64_t value = count_field(object, key, source);
  if (value > std::int64_t{100} * 366 * 24 * 3600 * 1000) {
    throw bad_input("{}: '{}' is {} ms, more than a hundred years", source, key, value);
  }
  return std::chrono::milliseconds(value);
}

void read_measured(TrialOutcome& outcome, const Json& document, const std::string& source) {
  if (json_find(document, "peak_bytes") != nullptr) {
    outcome.peak = MeasuredBytes{bytes_field(document, "peak_bytes", source)};
  }
  if (json_find(document, "cgroup_peak_bytes") != nullptr) {
    outcome.cgroup_peak = bytes_field(document, "cgroup_peak_bytes", source);
  }
  outcome.phases = phases_from(object_field(document, "phases", source), source);
  outcome.anonymous = bytes_field(document, "anonymous_bytes", source);
  outcome.file = bytes_field(document, "file_bytes", source);
  const Json* steps = json_find(document, "steps");
  if (steps == nullptr || !steps->is_array()) {
    throw bad_input("{}: 'steps' should be an array", source);
  }
  for (const Json& step : *steps) outcome.steps.push_back(step_from(step, source));
  outcome.growth = growth_from(document, source);
}

// These verdicts are of a peak.
void require_peak(const TrialOutcome& outcome, const std::string& source) {
  if (!outcome.fits() && outcome.verdict != Verdict::kExceedsBudget) return;
  if (outcome.peak && outcome.peak->bytes.count > 0) return;
  throw bad_input("{}: 'verdict' is {}, but 'peak_bytes' tells no peak", source,
                  name_of(outcome.verdict));
}

}  // namespace

bool TrialSpec::ends_after(const std::vector<TrialStep>& done) const {
  const auto count = static_cast<std::int64_t>(done.size());
  if (count >= steps) return true;
  double seconds = 0;
  for (const TrialStep& step : done) seconds += step.seconds;
  return least_steps > 0 && count >= least_steps && seconds >= kEnoughStepSeconds;
}

bool Noise::slows() const {
  constexpr double kQuietShare = 0.1;  // of the trial's cores
  constexpr double kQuietCores = 0.2;
  return neighbour_cores && *neighbour_cores > std::max(kQuietCores, kQuietShare * cores);
}

Bytes TrialOutcome::adjusted_peak(double margin) const {
  return peak ? adjusted(peak->bytes, margin) : Bytes{};
}

Bytes Growth::over(std::int64_t steps) const {
  if (!rises() || steps <= 0) return {};
  constexpr double kMost = 1e18;  // far beyond any memory, and within 64 bits
  const double more = bytes_per_step * static_cast<double>(steps);
  return Bytes{static_cast<std::uint64_t>(std::min(more, kMost))};
}

Json steps_json(const std::vector<TrialStep>& steps) {
  Json all = Json::array();
  for (const TrialStep& step : steps) all.push_back(step_json(step));
  return all;
}

Json growth_json(const std::optional<Growth>& growth) {
  if (!growth) return nullptr;
  return {{"relative", growth->relative},
          {"bytes_per_step", growth->bytes_per_step},
          {"half_width", growth->half_width},
          {"warns", growth->warns()},
          {"rises", growth->rises()}};
}

Json pace_json(const std::optional<Pace>& pace) {
  if (!pace) return nullptr;
  Json document{{"tokens_per_reference", pace->tokens_per_reference}};
  put_reference(document, pace->reference);
  return document;
}

Json to_json(const TrialSpec& spec) {
  return {{"schema_version", 1},
          {"id", spec.id},
          {"batch_size", spec.batch_size},
          {"lora_rank", spec.lora_rank},
          {"lora_layers", spec.lora_layers},
          {"steps", spec.steps},
          {"least_steps", spec.least_steps},
          {"budget_bytes", spec.budget.count},
          {"cap_bytes", spec.cap.count},
          {"untouched_bytes", spec.untouched.count},
          {"margin", spec.margin},
          {"planned_bytes", spec.planned.bytes.count},
          {"time_limit_ms", spec.time_limit.count()},
          {"predicted_step_ms", spec.predicted_step.count()},
          {"planned_steps", spec.planned_steps},
          {"worker", spec.worker}};
}

TrialSpec trial_spec_from_json(const Json& document, const std::string& source) {
  TrialSpec spec;
  spec.id = static_cast<int>(one_to(kMostTrials, document, "id", source));
  spec.batch_size = one_to(kMostRows, document, "batch_size", source);
  spec.lora_rank = one_to(kMostRank, document, "lora_rank", source);
  spec.lora_layers = count_field(document, "lora_layers", source);
  spec.steps = one_to(kMostSteps, document, "steps", source);
  if (document.contains("least_steps")) {
    spec.least_steps = count_field(document, "least_steps", source);
  }
  spec.budget = room_field(document, "budget_bytes", source);
  spec.cap = room_field(document, "cap_bytes", source);
  spec.untouched = or_nothing(document, "untouched_bytes", source, bytes_field);
  spec.margin = margin_field(document, source);
  spec.planned = {bytes_field(document, "planned_bytes", source)};
  spec.time_limit = duration_field(document, "time_limit_ms", source);
  spec.predicted_step = duration_field(document, "predicted_step_ms", source);
  spec.planned_steps = or_nothing(document, "planned_steps", source, count_field);
  if (const Json* worker = json_find(document, "worker")) spec.worker = *worker;
  return spec;
}

Json to_json(const TrialOutcome& outcome) {
  return {{"schema_version", 1},
          {"verdict", name_of(outcome.verdict)},
          {"cause", outcome.cause},
          {"peak_bytes", outcome.peak ? Json(outcome.peak->bytes.count) : Json(nullptr)},
          {"phases", phases_json(outcome.phases)},
          {"anonymous_bytes", outcome.anonymous.count},
          {"file_bytes", outcome.file.count},
          {"cgroup_peak_bytes", bytes_or_null(outcome.cgroup_peak)},
          {"growth", growth_json(outcome.growth)},
          {"step_seconds", outcome.step_seconds},
          {"step_seconds_spread", number_json(outcome.step_seconds_spread)},
          {"tokens_per_second", outcome.tokens_per_second},
          {"tokens_per_second_spread", number_json(outcome.tokens_per_second_spread)},
          {"pace", pace_json(outcome.pace)},
          {"seconds", outcome.seconds},
          {"coverage", outcome.coverage},
          {"exit_code", outcome.exit_code},
          {"signal", outcome.signal},
          {"stderr_tail", outcome.stderr_tail},
          {"noise", noise_json(outcome.noise)},
          {"evidence", outcome.evidence},
          {"steps", steps_json(outcome.steps)}};
}

TrialOutcome trial_outcome_from_json(const Json& document, const std::string& source) {
  TrialOutcome outcome;
  outcome.verdict = verdict_from(json_string(document, "verdict", source));
  outcome.cause = json_string(document, "cause", source);
  read_measured(outcome, document, source);
  require_peak(outcome, source);
  outcome.step_seconds = amount_field(document, "step_seconds", source);
  outcome.step_seconds_spread = amount_if_there(document, "step_seconds_spread", source);
  outcome.tokens_per_second = amount_field(document, "tokens_per_second", source);
  outcome.tokens_per_second_spread = amount_if_there(document, "tokens_per_second_spread", source);
  outcome.pace = pace_from(document, source);
  outcome.seconds = amount_field(document, "seconds", source);
  outcome.coverage = json_string(document, "coverage", source);
  outcome.exit_code = small_int(document, "exit_code", source);
  outcome.signal = small_int(document, "signal", source);
  outcome.stderr_tail = json_string(document, "stderr_tail", source);
  outcome.noise = noise_from(document, source);
  outcome.evidence = object_field(document, "evidence", source);
  return outcome;
}

}  // namespace loadline
