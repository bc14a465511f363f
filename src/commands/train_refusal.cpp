#include "commands/train_refusal.h"

#include <algorithm>
#include <functional>
#include <map>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"

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

// One question put again and again: what would be needed if a single setting were another?
class WayOut {
 public:
  WayOut(const Workload& workload, const TrainingSettings& settings, Bytes budget, double margin)
      : workload_(workload), settings_(settings), budget_(budget), margin_(margin) {}

  [[nodiscard]] std::string text() const {
    return checkpointing() + smaller_batch() +
           falling("--max-seq-length", &TrainingSettings::max_seq_length) + fewer_layers() +
           smaller_rank();
  }

 private:
  [[nodiscard]] Bytes needed(const TrainingSettings& other) const {
    return adjusted(workload_.plan(other).total().bytes, margin_);
  }
  [[nodiscard]] std::string line(const std::string& flag, Bytes bytes) const {
    return bytes <= budget_ ? fmt::format("\n  {} would need {}", flag, to_string(bytes)) : "";
  }

  [[nodiscard]] std::string checkpointing() const {
    if (settings_.checkpointing == ActivationCheckpointing::kOn) return "";
    TrainingSettings other = settings_;
    other.checkpointing = ActivationCheckpointing::kOn;
    return line("--grad-checkpoint on", needed(other));
  }

  // The largest that fits; needs fall with the batch, so it is found by halving.
  [[nodiscard]] std::string smaller_batch() const {
    TrainingSettings other = settings_;
    std::int64_t fits = 0;
    for (std::int64_t low = 1, high = settings_.batch_size - 1; low <= high;) {
      other.batch_size = low + (high - low) / 2;
      if (needed(other) <= budget_) {
        fits = other.batch_size;
        low = fits + 1;
      } else {
        high = other.batch_size - 1;
      }
    }
    if (fits == 0) return "";
    other.batch_size = fits;
    return line(fmt::format("--batch-size {}", fits), needed(other));
  }

  // Half of what it is, and half of that ...
  [[nodiscard]] std::string halved(
      const char* flag, std::int64_t from, std::int64_t least,
      const std::function<void(TrainingSettings&, std::int64_t)>& set) const {
    for (std::int64_t value = from / 2; value >= least; value /= 2) {
      TrainingSettings other = settings_;
      set(other, value);
      const std::string text = line(fmt::format("{} {}", flag, value), needed(other));
      if (!text.empty()) return text;
    }
    return "";
  }
  [[nodiscard]] std::string falling(const char* flag,
                                    std::int64_t TrainingSettings::*member) const {
    return halved(flag, settings_.*member, 64,
                  [&](TrainingSettings& s, std::int64_t value) { s.*member = value; });
  }
  [[nodiscard]] std::string fewer_layers() const {
    return halved("--lora-layers", settings_.lora.layers, 1,
                  [](TrainingSettings& s, std::int64_t value) { s.lora.layers = value; });
  }
  [[nodiscard]] std::string smaller_rank() const {
    return halved("--lora-rank", settings_.lora.rank, 4,
                  [](TrainingSettings& s, std::int64_t value) { s.lora.rank = value; });
  }

  const Workload& workload_;
  const TrainingSettings& settings_;
  Bytes budget_;
  double margin_;
};

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
  const std::string ways = WayOut(workload, settings, budget.bytes, margin).text();
  throw Error(
      ErrorKind::kDoesNotFit,
      fmt::format(
          "batch {} at rank {} on {} layers does not fit:\n{}\n"
          "  with {:.0f} % margin {}, but the budget is {} ({}).\n{}{}\n"
          "  `loadline plan` shows every buffer; --margin changes the margin.",
          settings.batch_size, settings.lora.rank, settings.lora.layers, plan_table(plan),
          margin * 100, to_string(needed), to_string(budget.bytes), budget.binds,
          ways.empty() ? "No single flag would make it fit." : "Each of these alone would fit:",
          ways));
}

void require_proof_within(const Profile& profile, const Configuration& chosen,
                          const Budget& budget) {
  const Configuration proven{profile.batch_size, profile.lora_rank, profile.lora_layers};
  if (chosen != proven || profile.adjusted <= budget.bytes) return;
  throw Error(ErrorKind::kDoesNotFit,
              fmt::format("profile {} was measured to need {} with its margin, within a budget of "
                          "{} then; today's is {} ({}). Free memory, give a smaller --batch-size, "
                          "or run `loadline find` again.",
                          profile.name, to_string(profile.adjusted), to_string(profile.budget),
                          to_string(budget.bytes), budget.binds));
}

}  // namespace loadline
