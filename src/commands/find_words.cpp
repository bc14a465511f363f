#include "commands/find_words.h"

#include <fmt/format.h>

#include <string>
#include <vector>

#include "base/counted.h"
#include "base/json.h"
#include "commands/train_start.h"
#include "report/text.h"
#include "search/evidence.h"
#include "workload/cut_rows.h"
#include "workload/ranks.h"

namespace loadline {
namespace {

// Of the lengths that are compared each, or of the one there is.
void say_cuts(const FindQuestion& question, const Workload& workload, TerminalView& view) {
  for (const std::int64_t compared : question.space.sequences) {
    const std::int64_t length = compared > 0 ? compared : workload.base.max_seq_length;
    for (const std::string& warning : cut_warnings(workload, length)) view.line(warning);
  }
}

}  // namespace

void say_beginning(const FindQuestion& question, const Workload& workload, const Budget& budget,
                   std::int64_t asked_batch, bool is_answered, TerminalView& view) {
  const std::string distrust = distrust_line(workload.base.distrust);
  if (!distrust.empty()) view.line(distrust);
  if (!workload.distrust_note.empty()) view.line(workload.distrust_note);
  say_cuts(question, workload, view);
  const std::string rank =
      rank_warning(workload.model, workload.base.lora, question.space.ranks.back());
  if (!rank.empty()) view.line(rank);
  if (workload.base.checkpointing == ActivationCheckpointing::kOn) {
    view.line("Activation checkpointing is on: it costs time, and saves memory.");
  }
  if (workload.base.generated_weights) {
    view.line(
        "Weights are generated, of the model's shapes: memory and speed do not depend on "
        "their values.");
  }
  view.search_begins(question.space, question.limits, budget.binds);
  if (question.space.max_batch < asked_batch) {
    view.line(
        fmt::format("The data has {}: larger batches than that are not tried, as rows "
                    "would repeat in them",
                    counted(question.space.max_batch, "row")));
  }
  if (is_answered) {
    view.line(
        "This search has been finished before, and its trials count; --restart runs them anew");
  }
}

void say_what_binds(const Json& binds, TerminalView& view) {
  std::vector<std::string> parts;
  for (const Json& part : binds) {
    const double share = part["share"].get<double>();
    if (share < 0.01) continue;
    parts.push_back(fmt::format("{} {:.0f} %", part["what"].get<std::string>(), share * 100));
  }
  if (!parts.empty()) view.line(fmt::format("\nWhat binds: {}", fmt::join(parts, ", ")));
}

std::string no_profile_line(const SearchResult& result, bool no_save) {
  if (result.status == SearchResult::Status::kNothingFits) return "";
  if (result.status == SearchResult::Status::kUnfinished) {
    const bool is_stuck = result.stop_verdict && is_unusable(*result.stop_verdict) &&
                          *result.stop_verdict != Verdict::kKilled;
    return fmt::format("No profile was saved: only a finished search saves one. {}{}",
                       is_stuck ? "Once that is mended, the same command with --restart"
                                : "The same command goes on from here",
                       is_stuck || no_save ? "" : "; with --yes it saves one at its end");
  }
  return no_save ? "No profile was saved (--no-save): the same command with --yes in its place "
                   "saves one, from the trials that were run."
                 : "";
}

void say_cuts_of_choice(const SearchResult& result, const Workload& workload, TerminalView& view) {
  if (!result.optimal) return;
  const Configuration& chosen = result.trials[*result.optimal].configuration;
  for (const std::string& warning : cut_warnings(workload, workload.with(chosen).max_seq_length)) {
    view.line(warning);
  }
}

std::string epoch_line(std::int64_t rows, std::int64_t tokens, double tokens_per_second) {
  if (!(tokens_per_second > 0)) return "";
  return fmt::format("One epoch: {} with {}, in about {} without evaluations", counted(rows, "row"),
                     counted(tokens, "token"),
                     in_time_left(static_cast<double>(tokens) / tokens_per_second));
}

void say_epoch(const SearchResult& result, const Workload& workload, TerminalView& view) {
  if (!result.optimal) return;
  const Configuration& chosen = result.trials[*result.optimal].configuration;
  const std::int64_t longest = workload.with(chosen).max_seq_length;
  const LengthHistogram lengths(workload.train->rows.within(longest), longest);
  const Speed speed = speed_of(chosen, result.trials).value_or(Speed{});
  const std::string line =
      epoch_line(lengths.rows(), lengths.total_tokens(), speed.tokens_per_second);
  if (!line.empty()) view.line(line);
}

}  // namespace loadline
