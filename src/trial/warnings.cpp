#include "trial/warnings.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/json.h"
#include "trial/statistics.h"

namespace loadline {
namespace {

constexpr double kSteady = 0.1;  // spread of the speeds: times differ with the batches' tokens

std::string signed_bytes(double bytes) {
  const Bytes size{static_cast<std::uint64_t>(std::min(std::abs(bytes), 1e18))};
  return fmt::format("{}{}", bytes < 0 ? "-" : "", to_string(size));
}

std::int64_t last_step_of(const TrialOutcome& outcome) {
  return outcome.steps.empty() ? 0 : outcome.steps.back().step;
}

void add_noise(const TrialOutcome& outcome, std::vector<std::string>& warnings) {
  const Noise& noise = outcome.noise;
  std::string what;
  if (noise.slows()) {
    what =
        fmt::format("other processes used {:.1f} of {} cores", *noise.neighbour_cores, noise.cores);
  }
  const double spread = outcome.tokens_per_second_spread.value_or(0);
  if (spread > kSteady) {
    what += what.empty() ? "" : ", and ";
    what += fmt::format("the steps' speeds spread by {:.0f} %", spread * 100);
  }
  if (what.empty()) return;
  warnings.push_back("noisy machine: " + what +
                     ". Close what else runs, and trust the speeds less; the memory stands");
}

// Neighbours that took memory meanwhile: the worker's own is given back by then.
void add_neighbours_memory(const TrialSpec& spec, const TrialOutcome& outcome,
                           std::vector<std::string>& warnings) {
  const Noise& noise = outcome.noise;
  if (noise.available_after + 64_MiB >= noise.available_before) return;
  if (noise.available_after >= spec.budget) return;
  warnings.push_back(fmt::format(
      "other processes took {} meanwhile and leave {}, less than the budget of {}. Close them, or "
      "give a lower --memory-limit",
      to_string(noise.available_before - noise.available_after), to_string(noise.available_after),
      to_string(spec.budget)));
}

void add_records(const TrialOutcome& outcome, std::vector<std::string>& warnings) {
  const Json* lost = json_find(outcome.evidence, "not_written");
  if (lost == nullptr || !lost->is_array()) return;
  for (const Json& what : *lost) {
    if (what.is_string()) warnings.push_back("a record is missing: " + what.get<std::string>());
  }
}

}  // namespace

std::string describe(const Growth& growth, std::int64_t last_step) {
  return fmt::format("{:+.1f} % over steps 10 to {} ({} ± {} a step)", growth.relative * 100,
                     last_step, signed_bytes(growth.bytes_per_step),
                     signed_bytes(growth.half_width));
}

// With the slope's own figures; whether it matters is a question of how many steps are to come.
std::string growth_warning(const TrialSpec& spec, const TrialOutcome& outcome) {
  if (!outcome.growth || !outcome.peak) return "";
  const Growth& growth = *outcome.growth;
  const std::int64_t last = last_step_of(outcome);
  const Bytes more = growth.over(spec.planned_steps - last);
  const Bytes then = adjusted(outcome.peak->bytes + more, spec.margin);
  const bool passes = more.count > 0 && then > spec.budget && outcome.fits();
  if (!growth.warns() && !passes) return "";
  std::string text = "memory grew by " + describe(growth, last);
  if (more.count > 0) {
    text += fmt::format("; at step {} it would be {} with the margin, of {}", spec.planned_steps,
                        to_string(then), to_string(spec.budget));
  }
  return text + (passes ? ". A run of that length may not stay within the budget"
                        : ". A long run may not stay within the budget");
}

std::vector<std::string> warnings_of(const TrialSpec& spec, const TrialOutcome& outcome) {
  std::vector<std::string> warnings;
  if (std::string growth = growth_warning(spec, outcome); !growth.empty()) {
    warnings.push_back(std::move(growth));
  }
  add_noise(outcome, warnings);
  add_neighbours_memory(spec, outcome, warnings);
  add_records(outcome, warnings);
  return warnings;
}

}  // namespace loadline
