#include "commands/train_refusal.h"

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "base/counted.h"
#include "base/error.h"
#include "base/number_text.h"
#include "report/print.h"
#include "training/trainer.h"

namespace loadline {
namespace {

struct PhaseSum {
  std::string_view phase;
  Bytes bytes;
  int buffers = 0;
};

std::vector<PhaseSum> sums_of(const MemoryPlan& plan) {
  std::map<std::string_view, PhaseSum> sums;
  for (const Buffer& buffer : plan.buffers()) {
    PhaseSum& sum = sums[buffer.phase];
    sum.phase = buffer.phase;
    sum.bytes += buffer.bytes;
    ++sum.buffers;
  }
  std::vector<PhaseSum> sorted;
  for (const auto& entry : sums) sorted.push_back(entry.second);
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const PhaseSum& a, const PhaseSum& b) { return a.bytes > b.bytes; });
  return sorted;
}

// A flag, and the settings that it makes.
struct Change {
  std::string flag;
  TrainingSettings settings;
};

// What would be needed if settings were others?
class WayOut {
 public:
  // `spells_out`: what leaves the profile behind names batch, rank and layers too.
  WayOut(const Workload& workload, Bytes budget, double margin, bool spells_out)
      : workload_(workload), budget_(budget), margin_(margin), spells_out_(spells_out) {}

  // A line for each flag that would be enough alone, the mildest first.
  [[nodiscard]] std::string alone(const TrainingSettings& settings) const {
    std::string text;
    for (const Ask ask : asks(settings)) {
      const std::optional<Change> change = (this->*ask)(settings);
      if (change && fits(change->settings)) text += line(*change);
    }
    return text;
  }

  // One line: the fewest of them in the same order that are enough together; empty when all are
  // not.
  [[nodiscard]] std::string together(const TrainingSettings& settings) const {
    Change all{"", settings};
    for (const Ask ask : asks(settings)) {
      const std::optional<Change> next = (this->*ask)(all.settings);
      if (!next) continue;
      all = {all.flag + (all.flag.empty() ? "" : " ") + next->flag, next->settings};
      if (fits(all.settings)) return line(all);
    }
    return "";
  }

 private:
  // The change that fits, or the furthest one that there is; nothing where nothing is to change.
  using Ask = std::optional<Change> (WayOut::*)(const TrainingSettings&) const;
  static const std::array<Ask, 7> kAsks;
  static std::span<const Ask> asks(const TrainingSettings& settings);

  [[nodiscard]] Bytes needed(const TrainingSettings& settings) const {
    return adjusted(workload_.plan(settings).total().bytes, margin_);
  }
  [[nodiscard]] bool fits(const TrainingSettings& settings) const {
    return needed(settings) <= budget_;
  }
  [[nodiscard]] std::string line(const Change& change) const {
    const TrainingSettings& made = change.settings;
    std::string flags = change.flag;
    const auto has = [&](const char* flag) { return flags.find(flag) != flags.npos; };
    if (spells_out_ && (has("--max-seq-length") || has("--quantize"))) {
      if (!has("--batch-size")) flags += fmt::format(" --batch-size {}", made.batch_size);
      if (!has("--lora-rank")) flags += fmt::format(" --lora-rank {}", made.lora.rank);
      if (!has("--lora-layers")) flags += fmt::format(" --lora-layers {}", made.lora.layers);
    }
    return fmt::format("\n  {} would need {}", flags, to_string(needed(made)));
  }

  [[nodiscard]] std::optional<Change> checkpointing(const TrainingSettings& settings) const {
    if (settings.checkpointing == ActivationCheckpointing::kOn) return std::nullopt;
    Change change{"--grad-checkpoint on", settings};
    change.settings.checkpointing = ActivationCheckpointing::kOn;
    return change;
  }

  // Batches of one size instead of those that the dice make.
  [[nodiscard]] std::optional<Change> balanced(const TrainingSettings& settings) const {
    if (settings.order != RowOrder::kShuffled || settings.batch_size == 1) return std::nullopt;
    Change change{"--batching balanced", settings};
    change.settings.order = RowOrder::kBalanced;
    return change;
  }

  // The largest that fits; needs fall with the batch, so it is found by halving.
  [[nodiscard]] std::optional<Change> smaller_batch(const TrainingSettings& settings) const {
    if (settings.batch_size == 1) return std::nullopt;
    Change change{"", settings};
    std::int64_t& batch = change.settings.batch_size;
    std::int64_t best = 1;
    for (std::int64_t low = 1, high = settings.batch_size - 1; low <= high;) {
      batch = low + (high - low) / 2;
      if (fits(change.settings)) {
        best = batch;
        low = best + 1;
      } else {
        high = batch - 1;
      }
    }
    batch = best;
    change.flag = fmt::format("--batch-size {}", best);
    return change;
  }

  // Half of what it is, and half of that ...
  template <typename Set>
  [[nodiscard]] std::optional<Change> halved(const TrainingSettings& settings, const char* flag,
                                             std::int64_t from, std::int64_t least, Set set) const {
    std::optional<Change> change;
    for (std::int64_t value = from / 2; value >= least; value /= 2) {
      change = Change{fmt::format("{} {}", flag, value), settings};
      set(change->settings) = value;
      if (fits(change->settings)) break;
    }
    return change;
  }
  [[nodiscard]] std::optional<Change> shorter_rows(const TrainingSettings& settings) const {
    return halved(settings, "--max-seq-length", settings.max_seq_length, 64,
                  [](TrainingSettings& s) -> std::int64_t& { return s.max_seq_length; });
  }
  [[nodiscard]] std::optional<Change> fewer_layers(const TrainingSettings& settings) const {
    return halved(settings, "--lora-layers", settings.lora.layers, 1,
                  [](TrainingSettings& s) -> std::int64_t& { return s.lora.layers; });
  }
  [[nodiscard]] std::optional<Change> smaller_rank(const TrainingSettings& settings) const {
    return halved(settings, "--lora-rank", settings.lora.rank, 4,
                  [](TrainingSettings& s) -> std::int64_t& { return s.lora.rank; });
  }
  [[nodiscard]] std::optional<Change> quantized(const TrainingSettings& settings) const {
    if (settings.quantize == Quantization::kNf4) return std::nullopt;
    Change change{"--quantize nf4", settings};
    change.settings.quantize = Quantization::kNf4;
    try {
      static_cast<void>(workload_.plan(change.settings));
    } catch (const Error&) {  // not every width can be quantized
      return std::nullopt;
    }
    return change;
  }

  const Workload& workload_;
  Bytes budget_;
  double margin_;
  bool spells_out_;
};

const std::array<WayOut::Ask, 7> WayOut::kAsks{
    &WayOut::checkpointing, &WayOut::balanced,     &WayOut::smaller_batch, &WayOut::shorter_rows,
    &WayOut::quantized,     &WayOut::fewer_layers, &WayOut::smaller_rank};

// A run that is resumed keeps what changes its numbers, one that starts from an adapter its layers
// and rank.
std::span<const WayOut::Ask> WayOut::asks(const TrainingSettings& settings) {
  const auto all = std::span(kAsks);
  return settings.resume ? all.first(1) : settings.resume_adapter_file ? all.first(5) : all;
}

std::string ways_out(const Workload& workload, const TrainingSettings& settings, Bytes budget,
                     double margin, bool spells_out) {
  const WayOut way(workload, budget, margin, spells_out);
  const std::string alone = way.alone(settings);
  if (!alone.empty()) return "Each of these alone would fit:" + alone;
  const std::string together = way.together(settings);
  if (!together.empty()) return "No single flag would make it fit, but these together:" + together;
  return "No flag would make it fit: this model needs a larger budget.";
}

// What was measured outweighs the plan: where it was more, what is planned besides is as much more.
double margin_over_plan(const Profile& profile, const Workload& workload,
                        const TrainingSettings& settings, double margin) {
  const auto needed = static_cast<double>(adjusted(profile.peak, margin).count);
  const auto planned = static_cast<double>(workload.plan(settings).total().bytes.count);
  return std::max(margin, needed / planned - 1);
}

std::string measured_need(const Profile& profile, double margin) {
  return fmt::format("{} was measured to need {} with {} margin", profile.name,
                     to_string(adjusted(profile.peak, margin)), percent_text(margin));
}

}  // namespace

std::string plan_table(const MemoryPlan& plan) {
  std::string text;
  Bytes arena;
  for (const PhaseSum& sum : sums_of(plan)) {
    text += fmt::format("  {:<26} {:>5} buffers {:>12}\n", sum.phase, sum.buffers,
                        to_string(sum.bytes));
    if (sum.phase != "process") arena += sum.bytes;
  }
  const Bytes shared = arena - plan.arena();
  text += fmt::format("  {:<26} {:>26}\n", "shared, not alive together",
                      fmt::format("-{}", to_string(shared)));
  return text + fmt::format("  {:<26} {:>26}", "planned", to_string(plan.total().bytes));
}

void require_fit(const Workload& workload, const TrainingSettings& settings, const Budget& budget,
                 double margin) {
  const MemoryPlan plan = workload.plan(settings);
  const Bytes needed = adjusted(plan.total().bytes, margin);
  if (needed <= budget.bytes) return;
  throw Error(ErrorKind::kDoesNotFit,
              fmt::format("batch {} at rank {} on {} does not fit:\n{}\n"
                          "  with {} margin {}, but the budget is {} ({}).\n{}\n"
                          "  `loadline plan` shows every buffer; --margin changes the margin.",
                          settings.batch_size, settings.lora.rank,
                          counted(settings.lora.layers, "layer"), plan_table(plan),
                          percent_text(margin), to_string(needed), to_string(budget.bytes),
                          budget.binds, ways_out(workload, settings, budget.bytes, margin, false)));
}

Configuration configuration_of(const Profile& profile) {
  return {profile.batch_size, profile.lora_rank, profile.lora_layers};
}

bool proves(const Profile& profile, const TrainingSettings& settings) {
  return configuration_of(profile) ==
             Configuration{settings.batch_size, settings.lora.rank, settings.lora.layers} &&
         profile.key.grad_checkpoint == (settings.checkpointing == ActivationCheckpointing::kOn);
}

void take_checkpointing(const Profile& profile, const Workload& workload, const Budget& budget,
                        double margin, TrainingSettings& settings, std::FILE* out) {
  settings.checkpointing =
      profile.key.grad_checkpoint ? ActivationCheckpointing::kOn : ActivationCheckpointing::kOff;
  if (profile.key.grad_checkpoint || adjusted(profile.peak, margin) <= budget.bytes) return;
  TrainingSettings on = settings;
  on.checkpointing = ActivationCheckpointing::kOn;
  const double least = margin_over_plan(profile, workload, settings, margin);
  if (adjusted(workload.plan(on).total().bytes, least) > budget.bytes) return;
  settings.checkpointing = ActivationCheckpointing::kOn;
  tell(out, "Profile {} without checkpointing, and today's budget is {} ({}): it is turned on\n",
       measured_need(profile, margin), to_string(budget.bytes), budget.binds);
}

void require_proof_within(const Profile& profile, const Workload& workload,
                          const TrainingSettings& settings, const Budget& budget, double margin,
                          std::FILE* out) {
  const std::string measured = measured_need(profile, margin);
  if (adjusted(profile.peak, margin) <= budget.bytes) {
    tell(out, "Profile {}\n", measured);
    return;
  }
  throw Error(
      ErrorKind::kDoesNotFit,
      fmt::format("profile {}, within a budget of {} then; today's is {} ({}). Free memory{}.\n{}",
                  measured, to_string(profile.budget), to_string(budget.bytes), budget.binds,
                  settings.resume ? "" : ", or run `loadline find` again",
                  ways_out(workload, settings, budget.bytes,
                           margin_over_plan(profile, workload, settings, margin), true)));
}

bool is_covered_by_trial(const Workload& workload, const TrainingSettings& settings) {
  TrainingSettings tried = settings;
  tried.order = RowOrder::kWorstFirst;
  const StepShape shape = step_shape(tried, workload.train->rows,
                                     workload.valid ? &workload.valid->rows : nullptr, nullptr);
  const MemoryPlan trial = plan_memory(workload.model, tried.lora, shape);
  return workload.plan(settings).total().bytes <= trial.total().bytes;
}

}  // namespace loadline
