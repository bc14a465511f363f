#include "report/summary.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>

#include "base/number_text.h"
#include "report/text.h"
#include "search/evidence.h"
#include "trial/advice.h"

namespace loadline {
namespace {

using Lines = std::vector<std::string>;

constexpr int kRowName = 14;  // columns of the comparison

// Trials that no memory verdict ended would only end so again.
std::string_view way_on(const SearchResult& result) {
  if (result.stop_verdict == Verdict::kKilled) {
    return "  The same command tries once more what was killed once; --restart begins anew.";
  }
  return result.stop_verdict && is_unusable(*result.stop_verdict)
             ? "  The same command would not come further: mend that; --restart begins anew."
             : "  The same command goes on from here; --restart begins anew.";
}

void add_heading(Lines& lines, const SearchResult& result) {
  lines.emplace_back();
  if (result.status == SearchResult::Status::kNothingFits) {
    lines.emplace_back("NOTHING FITS");
  } else if (result.status == SearchResult::Status::kUnfinished) {
    lines.emplace_back("BENCHMARK UNFINISHED");
    lines.push_back("  " + printable(result.stopped_by));
    lines.emplace_back(way_on(result));
    if (result.optimal) lines.emplace_back("  The best so far is below; a larger one may fit.");
  } else {
    lines.emplace_back("BENCHMARK COMPLETE");
  }
}

// What a cell's number must not be read without; ' ' where it was measured or proven on both sides.
char mark_of(const FrontierCell& cell) {
  if (!cell.settled) return '?';
  if (cell.at_limit) return '+';
  if (cell.unusable) return '!';
  const bool planned = cell.basis == Basis::kPlanned || cell.next_fails == Basis::kPlanned;
  return planned ? '*' : ' ';
}

std::string without_trailing_spaces(std::string line) {
  line.erase(line.find_last_not_of(' ') + 1);
  return line;
}

// "; a chance of error of 1.2 % at most": of the planned cells' doubts the greatest.
std::string doubt_text(const std::vector<FrontierCell>& cells) {
  double most = 0;
  for (const FrontierCell& cell : cells) most = std::max(most, cell.doubt.value_or(0));
  if (most < 0.001) return "; a chance of error below 0.1 %";
  return fmt::format("; a chance of error of {:.1f} % at most", most * 100);
}

void add_legend(Lines& lines, const std::string& marks, const std::vector<FrontierCell>& cells) {
  constexpr std::pair<char, std::string_view> kLegend[] = {
      {'*', "settled by the plan, which trials confirmed, not by a trial"},
      {'+', "the largest batch that was asked for; more may fit"},
      {'!', "the next larger one could not be used, for a reason other than memory"},
      {'?', "known to fit; larger ones are still open"}};
  for (const auto& [mark, meaning] : kLegend) {
    if (marks.find(mark) != std::string::npos) {
      lines.push_back(
          fmt::format("  {} {}{}", mark, meaning, mark == '*' ? doubt_text(cells) : ""));
    }
  }
}

// What is the same in a whole table: "" where neither is compared.
std::string variant_of(const FrontierCell& cell) {
  std::string text;
  if (cell.sequence > 0) text += fmt::format(", at most {} tokens a row", cell.sequence);
  if (cell.checkpointing == 0) text += ", checkpointing off";
  if (cell.checkpointing == 1) text += ", checkpointing on";
  return text;
}

// The largest batch for each rank (down) and layers (across) of one variant. Adds to `marks`.
void add_table(Lines& lines, const std::vector<FrontierCell>& cells, std::string& marks) {
  lines.emplace_back();
  lines.push_back(fmt::format("Largest batch that fits, by LoRA rank (down) and layers (across){}:",
                              variant_of(cells.front())));
  std::string header = "        ";
  std::int64_t rank = 0;
  Lines rows;
  for (const FrontierCell& cell : cells) {
    if (cell.lora_rank == cells.front().lora_rank) {
      header += fmt::format("{:>7} ", cell.lora_layers);
    }
    if (rows.empty() || cell.lora_rank != rank)
      rows.push_back(fmt::format("  {:>6}", cell.lora_rank));
    rank = cell.lora_rank;
    marks += mark_of(cell);
    rows.back() += fmt::format("{:>7}{}", cell.max_batch, marks.back());
  }
  lines.push_back(without_trailing_spaces(header));
  for (const std::string& row : rows) lines.push_back(without_trailing_spaces(row));
}

void add_frontier(Lines& lines, const SearchResult& result) {
  if (result.frontier.size() < 2) return;
  std::string marks;
  std::vector<FrontierCell> table;
  for (const FrontierCell& cell : result.frontier) {
    if (!table.empty() && variant_of(cell) != variant_of(table.front())) {
      add_table(lines, table, marks);
      table.clear();
    }
    table.push_back(cell);
  }
  add_table(lines, table, marks);
  add_legend(lines, marks, result.frontier);
}

std::string next_larger_text(const SearchResult& result, const SearchLimits& limits) {
  const Configuration chosen = result.trials[*result.optimal].configuration;
  const std::int64_t next = chosen.batch_size + 1;
  if (result.next_larger) {
    const RunTrial& trial = result.trials[*result.next_larger];
    if (trial.outcome.fits()) return fmt::format("batch={} fits too (trial {})", next, trial.trial);
    std::string heading = heading_of(trial.outcome.verdict);
    heading.front() = static_cast<char>(heading.front() | 0x20);
    return fmt::format("batch={} {} (trial {}): {}", next, heading, trial.trial,
                       cause_after_heading(trial.outcome));
  }
  const auto cell =
      std::find_if(result.frontier.begin(), result.frontier.end(), [&](const FrontierCell& c) {
        return c.lora_rank == chosen.lora_rank && c.lora_layers == chosen.lora_layers &&
               c.sequence == chosen.sequence && c.checkpointing == chosen.checkpointing;
      });
  if (cell != result.frontier.end() && cell->at_limit && cell->max_batch == chosen.batch_size) {
    return fmt::format("batch={} was not asked for (--max-batch, or the data's rows)", next);
  }
  if (cell != result.frontier.end() && cell->max_batch > chosen.batch_size) {
    return fmt::format("batch={} is known to fit, but was not the better choice", next);
  }
  if (result.status == SearchResult::Status::kComplete && result.next_larger_planned) {
    const Bytes needed = adjusted(result.next_larger_planned->bytes, limits.margin);
    return fmt::format("batch={} was not tried: the confirmed plan puts it at {} of {}", next,
                       to_string(needed), to_string(limits.budget));
  }
  return fmt::format("batch={} was not tried yet", next);
}

// What the objectives went by.
Speed speed_in(const SearchResult& result, const RunTrial& trial) {
  return speed_of(trial.configuration, result.trials).value_or(Speed{});
}

// "512 tokens/s"; "≥ 512 tokens/s" where others slowed each run of it.
std::string speed_text(const Speed& speed) {
  return fmt::format("{}{:.0f} tokens/s", speed.is_least ? "≥ " : "", speed.tokens_per_second);
}

void add_optimal(Lines& lines, const SearchResult& result, const SearchLimits& limits) {
  const RunTrial& trial = result.trials[*result.optimal];
  const Bytes peak = trial.outcome.peak ? trial.outcome.peak->bytes : Bytes{};
  lines.emplace_back();
  lines.emplace_back("OPTIMAL CONFIGURATION");
  lines.push_back(fmt::format("  Objective:    {}", name_of(limits.objective)));
  lines.push_back(fmt::format("  Batch size:   {}", trial.configuration.batch_size));
  lines.push_back(fmt::format("  LoRA rank:    {}", trial.configuration.lora_rank));
  lines.push_back(fmt::format("  LoRA layers:  {}", trial.configuration.lora_layers));
  if (trial.configuration.sequence > 0) {
    lines.push_back(fmt::format("  Longest row:  {} tokens", trial.configuration.sequence));
  }
  if (trial.configuration.checkpointing != Configuration::kNotCompared) {
    lines.push_back(
        fmt::format("  Checkpointing: {}", trial.configuration.checkpointing == 1 ? "on" : "off"));
  }
  lines.push_back(fmt::format("  Peak memory:  {} (with {} margin: {} of {})", to_string(peak),
                              percent_text(limits.margin), to_string(adjusted(peak, limits.margin)),
                              to_string(limits.budget)));
  if (trial.planned.bytes.count > 0 && peak.count > 0) {
    const double error =
        static_cast<double>(peak.count) / static_cast<double>(trial.planned.bytes.count) - 1;
    lines.push_back(fmt::format("  Planned:      {} (measured {:+.1f} %)",
                                to_string(trial.planned.bytes), error * 100));
  }
  const Speed speed = speed_in(result, trial);
  lines.push_back(fmt::format("  Step time:    {}", in_seconds(speed.step_seconds)));
  lines.push_back("  Speed:        " + speed_text(speed));
  if (!trial.outcome.coverage.empty()) {
    lines.push_back("  Trial:        " + fmt::format("{}, ", trial.trial) +
                    printable(trial.outcome.coverage));
  }
  lines.push_back("  Next larger:  " + next_larger_text(result, limits));
}

// What an objective would choose.
struct Choice {
  std::string_view objective;
  const RunTrial* trial;
};

// Side by side, each in `width` columns behind the name of the row.
void add_choices(Lines& lines, const SearchResult& result, const SearchLimits& limits,
                 std::span<const Choice> choices, int width) {
  const auto row = [&](std::string_view name, const auto& value) {
    std::string line = fmt::format("  {:<{}}", name, kRowName);
    for (const Choice& choice : choices) line += fmt::format("{:>{}}", value(*choice.trial), width);
    lines.push_back(line);
  };
  const Configuration& first = choices.front().trial->configuration;
  lines.emplace_back();
  std::string header(2 + kRowName, ' ');
  for (const Choice& choice : choices) header += fmt::format("{:>{}}", choice.objective, width);
  lines.push_back(header);
  row("Batch size", [](const RunTrial& t) { return t.configuration.batch_size; });
  row("LoRA rank", [](const RunTrial& t) { return t.configuration.lora_rank; });
  row("LoRA layers", [](const RunTrial& t) { return t.configuration.lora_layers; });
  if (first.sequence > 0) {
    row("Longest row", [](const RunTrial& t) { return t.configuration.sequence; });
  }
  if (first.checkpointing != Configuration::kNotCompared) {
    row("Checkpointing",
        [](const RunTrial& t) { return t.configuration.checkpointing == 1 ? "on" : "off"; });
  }
  row("With margin", [&](const RunTrial& t) {
    return to_string(adjusted(t.outcome.peak ? t.outcome.peak->bytes : Bytes{}, limits.margin));
  });
  row("Step time", [&](const RunTrial& t) { return in_seconds(speed_in(result, t).step_seconds); });
  row("Speed", [&](const RunTrial& t) { return speed_text(speed_in(result, t)); });
}

// The three objectives' choices side by side; below each other where the columns are too few.
void add_comparison(Lines& lines, const SearchResult& result, const SearchLimits& limits,
                    std::int64_t columns) {
  if (!result.balanced || !result.largest || !result.fastest) return;
  const Choice choices[] = {{"BALANCED", &result.trials[*result.balanced]},
                            {"LARGEST", &result.trials[*result.largest]},
                            {"FASTEST", &result.trials[*result.fastest]}};
  const bool slowed = std::ranges::any_of(
      choices, [&](const Choice& choice) { return speed_in(result, *choice.trial).is_least; });
  const int width = slowed ? 18 : 16;  // of "≥ 22729 tokens/s" and a gap
  if (2 + kRowName + 3 * width <= columns) {
    add_choices(lines, result, limits, choices, width);
  } else {
    for (const Choice& choice : choices) add_choices(lines, result, limits, {&choice, 1}, width);
  }
  if (slowed) {
    lines.emplace_back("  ≥ other processes used the cores meanwhile; alone it is faster");
  }
  constexpr double kWorthSaying = 0.05;
  if (const double drift = pace_drift(result.trials); drift >= kWorthSaying) {
    lines.push_back(fmt::format(
        "  The machine's pace varied: the same work took up to {:.0f} % longer", drift * 100));
    lines.emplace_back("  in some trials. Speeds are compared at the median pace.");
  }
}

// More speed costs more memory along this line; everything else measured is worse in both.
void add_pareto(Lines& lines, const SearchResult& result, const SearchLimits& limits) {
  const std::vector<std::size_t> front = pareto_front(result.trials);
  if (front.size() < 2) return;
  lines.emplace_back();
  lines.emplace_back("Memory against speed (no other trial beats these in both):");
  for (const std::size_t index : front) {
    const RunTrial& trial = result.trials[index];
    lines.push_back(fmt::format(
        "  {:>10} {:>17}  {}", to_string(adjusted(trial.outcome.peak->bytes, limits.margin)),
        speed_text(speed_in(result, trial)), describe(trial.configuration)));
  }
}

void add_way_out(Lines& lines, const SearchResult& result, const SearchLimits& limits) {
  const RunTrial* smallest = nullptr;
  for (const RunTrial& trial : result.trials) {
    if (!is_memory_failure(trial.outcome.verdict)) continue;
    if (smallest == nullptr || trial.configuration < smallest->configuration) smallest = &trial;
  }
  if (smallest == nullptr) return;
  lines.push_back(fmt::format("  Not even {} fits within {}: {}", describe(smallest->configuration),
                              to_string(limits.budget),
                              printable(without_advice(smallest->outcome.cause))));
  lines.emplace_back("  What may help: close other programs and look at `loadline machine`;");
  lines.emplace_back("  --grad-checkpoint on, --quantize nf4 (weights in 4 bits), shorter rows");
  lines.emplace_back("  (--max-seq-length), smaller --ranks and --layers-grid, or a higher");
  lines.emplace_back("  --memory-limit, each where it was not given so. Nothing was saved.");
}

}  // namespace

std::vector<std::string> summary_lines(const SearchResult& result, const SearchLimits& limits,
                                       std::int64_t columns) {
  Lines lines;
  add_heading(lines, result);
  if (result.status == SearchResult::Status::kNothingFits) add_way_out(lines, result, limits);
  if (!result.optimal) return lines;
  add_frontier(lines, result);
  add_optimal(lines, result, limits);
  add_comparison(lines, result, limits, columns);
  add_pareto(lines, result, limits);
  return lines;
}

}  // namespace loadline
