#include "commands/ways_out.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <functional>
#include <optional>
#include <vector>

#include "base/error.h"
#include "search/search.h"
#include "workload/cut_rows.h"

namespace loadline {
namespace {

// A flag, and what it makes of settings.
struct Change {
  std::string flag;
  std::function<void(TrainingSettings&)> make;
};

TrainingSettings made(TrainingSettings settings, const std::vector<Change>& changes) {
  for (const Change& change : changes) change.make(settings);
  return settings;
}

class WayOut {
 public:
  WayOut(const Workload& workload, const TrainingSettings& settings, Bytes budget, double margin,
         AskedBy asked_by, const NamedSource& source)
      : workload_(workload),
        settings_(settings),
        budget_(budget),
        margin_(margin),
        asked_by_(asked_by),
        source_(source) {}

  // A line for each flag that would be enough alone.
  [[nodiscard]] std::string alone() const {
    std::string text;
    for (const Ask& ask : kAsks) {
      const std::optional<Change> change = asked(ask, settings_);
      if (change && fits(made(settings_, {*change}))) text += line({*change});
    }
    return text;
  }

  // One line: the first of them that are enough together; empty when all are not.
  [[nodiscard]] std::string together() const {
    std::vector<const Ask*> asks;
    std::vector<Change> changes;
    for (const Ask& ask : kAsks) {
      const std::optional<Change> next = asked(ask, made(settings_, changes));
      if (!next) continue;
      asks.push_back(&ask);
      changes.push_back(*next);
      if (fits(made(settings_, changes))) return line(relaxed(asks, changes));
    }
    return "";
  }

 private:
  // Gives the mildest change that fits, or the furthest one that there is; nothing where nothing is
  // to change.
  struct Ask {
    std::optional<Change> (WayOut::*change)(const TrainingSettings&) const;
    bool of_adapter = false;  // a run that starts from an adapter keeps it
  };
  static const std::array<Ask, 7> kAsks;

  // A run that is resumed keeps all that changes its numbers.
  [[nodiscard]] std::optional<Change> asked(const Ask& ask,
                                            const TrainingSettings& settings) const {
    if (settings.resume && &ask != kAsks.data()) return std::nullopt;
    if (settings.resume_adapter_file && ask.of_adapter) return std::nullopt;
    return (this->*ask.change)(settings);
  }

  // As far as each was asked for before the last was: now no further than the others leave it to,
  // the harshest first.
  [[nodiscard]] std::vector<Change> relaxed(std::vector<const Ask*> asks,
                                            std::vector<Change> changes) const {
    for (std::size_t i = changes.size() - 1; i-- > 0;) {
      std::vector<Change> others = changes;
      others.erase(others.begin() + static_cast<std::ptrdiff_t>(i));
      const TrainingSettings without = made(settings_, others);
      if (fits(without)) {
        changes = others;
        asks.erase(asks.begin() + static_cast<std::ptrdiff_t>(i));
      } else if (const auto milder = asked(*asks[i], without);
                 milder && fits(made(without, {*milder}))) {
        changes[i] = *milder;
      }
    }
    return changes;
  }

  // With checkpointing as auto has it.
  [[nodiscard]] TrainingSettings settled(TrainingSettings settings) const {
    choose_checkpointing(workload_, settings, budget_, margin_);
    return settings;
  }
  [[nodiscard]] Bytes needed(const TrainingSettings& settings) const {
    return adjusted(workload_.plan(settled(settings)).total().bytes, margin_);
  }
  [[nodiscard]] bool fits(const TrainingSettings& settings) const {
    return needed(settings) <= budget_;
  }

  [[nodiscard]] std::string line(const std::vector<Change>& changes) const {
    const TrainingSettings to = settled(made(settings_, changes));
    std::string flags;
    for (const Change& change : changes) flags += (flags.empty() ? "" : " ") + change.flag;
    const auto has = [&](const char* flag) { return flags.find(flag) != flags.npos; };
    // Where auto decides, the profile's own checkpointing is taken; a run that is resumed keeps
    // all.
    const bool leaves_profile =
        has("--max-seq-length") || has("--quantize") ||
        (has("--grad-checkpoint") && !workload_.checkpointing_auto && !settings_.resume);
    if (asked_by_ == AskedBy::kTrainWithProfile && leaves_profile) {
      if (!has("--batch-size")) flags += fmt::format(" --batch-size {}", to.batch_size);
      if (!has("--lora-rank")) flags += fmt::format(" --lora-rank {}", to.lora.rank);
      if (!has("--lora-layers")) flags += fmt::format(" --lora-layers {}", to.lora.layers);
    }
    const bool leaves_nothing = (source_.has_batch || has("--batch-size")) &&
                                (source_.has_rank || has("--lora-rank")) &&
                                (source_.has_layers || has("--lora-layers"));
    if (leaves_nothing && !source_.flags.empty()) flags += " in place of " + source_.flags;
    const bool is_on = to.checkpointing == ActivationCheckpointing::kOn;
    const bool is_auto = workload_.checkpointing_auto && !has("--grad-checkpoint");
    return fmt::format("\n  {} would need {}{}{}", flags, to_string(needed(to)),
                       is_on && is_auto ? ", with checkpointing" : "", loss_of(to));
  }
  [[nodiscard]] std::string loss_of(const TrainingSettings& to) const {
    if (!workload_.train || to.max_seq_length == settings_.max_seq_length) return "";
    const CutRows cut = cut_rows(*workload_.train, to.max_seq_length);
    return cut.longer == 0
               ? ""
               : fmt::format(", and loses {} of all tokens", share_text(cut.lost, cut.tokens));
  }

  [[nodiscard]] std::optional<Change> checkpointing(const TrainingSettings& settings) const {
    if (settings.checkpointing == ActivationCheckpointing::kOn) return std::nullopt;
    return Change{"--grad-checkpoint on",
                  [](TrainingSettings& s) { s.checkpointing = ActivationCheckpointing::kOn; }};
  }

  // Batches of one size instead of those that the dice make.
  [[nodiscard]] std::optional<Change> balanced(const TrainingSettings& settings) const {
    if (asked_by_ == AskedBy::kPlan) return std::nullopt;
    if (settings.order != RowOrder::kShuffled || settings.batch_size == 1) return std::nullopt;
    return Change{"--batching balanced",
                  [](TrainingSettings& s) { s.order = RowOrder::kBalanced; }};
  }

  // The largest of the values below `from` that fits, as needs fall with it; or the least.
  template <typename Set>
  [[nodiscard]] std::optional<Change> largest(const TrainingSettings& settings, const char* flag,
                                              std::int64_t from, Set set) const {
    if (from <= 1) return std::nullopt;
    const auto to = [&](std::int64_t value) {
      return Change{fmt::format("{} {}", flag, value),
                    [=](TrainingSettings& s) { set(s) = value; }};
    };
    std::int64_t best = 1;
    for (std::int64_t low = 2, high = from - 1; low <= high;) {
      const std::int64_t middle = low + (high - low) / 2;
      if (fits(made(settings, {to(middle)}))) {
        best = middle;
        low = middle + 1;
      } else {
        high = middle - 1;
      }
    }
    return to(best);
  }
  [[nodiscard]] std::optional<Change> smaller_batch(const TrainingSettings& settings) const {
    return largest(settings, "--batch-size", settings.batch_size,
                   [](TrainingSettings& s) -> std::int64_t& { return s.batch_size; });
  }
  [[nodiscard]] std::optional<Change> fewer_layers(const TrainingSettings& settings) const {
    return largest(settings, "--lora-layers", settings.lora.layers,
                   [](TrainingSettings& s) -> std::int64_t& { return s.lora.layers; });
  }

  // Half of what it is, and half of that ...
  template <typename Set>
  [[nodiscard]] std::optional<Change> halved(const TrainingSettings& settings, const char* flag,
                                             std::int64_t from, std::int64_t least, Set set) const {
    std::optional<Change> change;
    for (std::int64_t value = from / 2; value >= least; value /= 2) {
      change =
          Change{fmt::format("{} {}", flag, value), [=](TrainingSettings& s) { set(s) = value; }};
      if (fits(made(settings, {*change}))) break;
    }
    return change;
  }
  [[nodiscard]] std::optional<Change> smaller_rank(const TrainingSettings& settings) const {
    return halved(settings, "--lora-rank", settings.lora.rank, 4,
                  [](TrainingSettings& s) -> std::int64_t& { return s.lora.rank; });
  }
  [[nodiscard]] std::optional<Change> shorter_rows(const TrainingSettings& settings) const {
    return halved(settings, "--max-seq-length", settings.max_seq_length, 64,
                  [](TrainingSettings& s) -> std::int64_t& { return s.max_seq_length; });
  }

  [[nodiscard]] std::optional<Change> quantized(const TrainingSettings& settings) const {
    if (settings.quantize == Quantization::kNf4) return std::nullopt;
    Change change{"--quantize nf4", [](TrainingSettings& s) { s.quantize = Quantization::kNf4; }};
    try {
      static_cast<void>(workload_.plan(made(settings, {change})));
    } catch (const Error&) {  // not every width can be quantized
      return std::nullopt;
    }
    return change;
  }

  const Workload& workload_;
  const TrainingSettings& settings_;
  Bytes budget_;
  double margin_;
  AskedBy asked_by_;
  const NamedSource& source_;
};

// The mildest first: what the run learns from goes last.
const std::array<WayOut::Ask, 7> WayOut::kAsks{{{&WayOut::checkpointing},
                                                {&WayOut::balanced},
                                                {&WayOut::smaller_batch},
                                                {&WayOut::smaller_rank, true},
                                                {&WayOut::fewer_layers, true},
                                                {&WayOut::quantized},
                                                {&WayOut::shorter_rows}}};

}  // namespace

std::string ways_out(const Workload& workload, const TrainingSettings& settings, Bytes budget,
                     double margin, AskedBy asked_by, const NamedSource& source) {
  const WayOut way(workload, settings, budget, margin, asked_by, source);
  const std::string alone = way.alone();
  if (!alone.empty()) return "Each of these alone would fit:" + alone;
  const std::string together = way.together();
  if (!together.empty()) return "No single flag would make it fit, but these together:" + together;
  return "No flag would make it fit: this model needs a larger budget.";
}

}  // namespace loadline
