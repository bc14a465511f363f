#include "commands/train_refusal.h"

#include <algorithm>
#include <map>
#include <string_view>
#include <vector>

#include "base/counted.h"
#include "base/error.h"
#include "base/number_text.h"
#include "commands/ways_out.h"
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
                 double margin, AskedBy asked_by, const NamedSource& source) {
  const MemoryPlan plan = workload.plan(settings);
  const Bytes needed = adjusted(plan.total().bytes, margin);
  if (needed <= budget.bytes) return;
  throw Error(
      ErrorKind::kDoesNotFit,
      fmt::format("batch {} at rank {} on {} does not fit:\n{}\n"
                  "  with {} margin {}, but the budget is {} ({}).\n{}\n"
                  "  `loadline plan` shows every buffer; --margin changes the margin.",
                  settings.batch_size, settings.lora.rank, counted(settings.lora.layers, "layer"),
                  plan_table(plan), percent_text(margin), to_string(needed),
                  to_string(budget.bytes), budget.binds,
                  ways_out(workload, settings, budget.bytes, margin, asked_by, source)));
}

Configuration configuration_of(const Profile& profile) {
  return {profile.batch_size, profile.lora_rank, profile.lora_layers};
}

bool is_of_longer_rows(const Profile& profile, const TrainingSettings& settings) {
  return profile.key.max_seq_length > settings.max_seq_length;
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
                          std::FILE* out, const NamedSource& source) {
  const std::string measured = measured_need(profile, margin);
  if (adjusted(profile.peak, margin) <= budget.bytes) {
    tell(out, "Profile {}{}\n", measured,
         is_of_longer_rows(profile, settings)
             ? fmt::format(" at {} tokens, so it fits at {} too", profile.key.max_seq_length,
                           settings.max_seq_length)
             : "");
    return;
  }
  throw Error(
      ErrorKind::kDoesNotFit,
      fmt::format("profile {}, within a budget of {} then; today's is {} ({}). Free memory{}.\n{}",
                  measured, to_string(profile.budget), to_string(budget.bytes), budget.binds,
                  settings.resume ? "" : ", or run `loadline find` again",
                  ways_out(workload, settings, budget.bytes,
                           margin_over_plan(profile, workload, settings, margin),
                           AskedBy::kTrainWithProfile, source)));
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
