#include "search/search.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/error.h"
#include "search/outlook.h"
#include "search/question.h"

namespace loadline {
namespace {

// Trials in a row that say nothing about memory: then something else is wrong, and going on would
// only repeat it. Fewer while nothing has fitted yet.
constexpr std::size_t kUnusableInARow = 8;
constexpr std::size_t kUnusableBeforeAFit = 3;
constexpr std::size_t kOutlook = 24;

void require_rising(const std::vector<std::int64_t>& values, std::string_view flag) {
  if (values.empty()) throw usage_error("{} is empty: give at least one value.", flag);
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (values[i] < 1) throw usage_error("{}: {} is below 1.", flag, values[i]);
    if (i > 0 && values[i] <= values[i - 1]) {
      throw usage_error("{}: {} does not rise after {}.", flag, values[i], values[i - 1]);
    }
  }
}

void validate(const SearchSpace& space, const SearchLimits& limits) {
  require_rising(space.ranks, "--ranks");
  require_rising(space.layers, "--layers-grid");
  if (space.sequences != std::vector<std::int64_t>{0}) {
    require_rising(space.sequences, "--max-seq-length");
  }
  if (space.max_batch < 1) throw usage_error("--max-batch {} is below 1.", space.max_batch);
  if (!(limits.margin >= 0 && limits.margin < 100)) {
    throw usage_error("--margin {} is not in [0, 100).", limits.margin);
  }
  if (limits.budget.count == 0) throw usage_error("the memory budget is 0 bytes.");
}

bool any_fits(const std::vector<RunTrial>& trials) {
  return std::any_of(trials.begin(), trials.end(),
                     [](const RunTrial& trial) { return trial.outcome.fits(); });
}

bool is_beyond_use(const std::vector<RunTrial>& trials) {
  std::size_t in_a_row = 0;
  for (auto it = trials.rbegin(); it != trials.rend(); ++it) {
    if (!is_unusable(it->outcome.verdict)) break;
    ++in_a_row;
  }
  return in_a_row >= (any_fits(trials) ? kUnusableInARow : kUnusableBeforeAFit);
}

// The chance that a planned bound is on the wrong side: max_batch does not fit, or one more does.
std::optional<double> doubt_of(const CellState& state, const Prediction& prediction) {
  const CellBounds& known = state.known;
  if (!known.settled()) return std::nullopt;
  const auto chance = [&](std::int64_t batch) {
    return prediction.chance(state.cell.at(batch)).value_or(0.5);
  };
  std::optional<double> doubt;
  if (known.fits > 0 && known.fits_basis == Basis::kPlanned) doubt = 1 - chance(known.fits);
  const bool fails_by_plan = !known.at_limit && known.fails_basis == Basis::kPlanned;
  if (fails_by_plan) doubt = doubt.value_or(0) + chance(known.fails);
  return doubt;
}

FrontierCell frontier_cell(const CellState& state, const Prediction& prediction) {
  const CellBounds& known = state.known;
  FrontierCell cell{.lora_rank = state.cell.lora_rank,
                    .lora_layers = state.cell.lora_layers,
                    .sequence = state.cell.sequence,
                    .checkpointing = state.cell.checkpointing,
                    .max_batch = known.fits,
                    .basis = known.fits > 0 ? known.fits_basis : known.fails_basis,
                    .next_fails = known.fails_basis,
                    .at_limit = known.settled() && known.at_limit,
                    .settled = known.settled(),
                    .unusable = known.settled() ? known.unusable : std::nullopt,
                    .doubt = doubt_of(state, prediction)};
  return cell;
}

// The whole of one search: known trials, the loop, the summary.
class Search {
 public:
  Search(const SearchSpace& space, const SearchLimits& limits, const SearchFunctions& functions,
         const std::vector<RunTrial>& known)
      : space_(space), limits_(limits), functions_(functions), estimates_(functions.estimate) {
    std::copy_if(known.begin(), known.end(), std::back_inserter(result_.trials),
                 [](const RunTrial& trial) { return !ends_search(trial.outcome.verdict); });
  }

  SearchResult run() {
    while (const auto question = next_question(space_, limits_, estimates_, result_.trials)) {
      if (!ask(*question)) {
        summarize(SearchResult::Status::kUnfinished);
        return std::move(result_);
      }
    }
    summarize(SearchResult::Status::kComplete);
    return std::move(result_);
  }

 private:
  // Returns false when the search must end here.
  bool ask(const Question& question) {
    if (functions_.must_end) {
      result_.stopped_by = functions_.must_end();
      if (!result_.stopped_by.empty()) return false;
    }
    if (functions_.outlook) functions_.outlook(outlook());
    RunTrial trial = functions_.run(question);
    trial.configuration = question.configuration;
    trial.under_margin = question.under_margin;
    result_.trials.push_back(std::move(trial));
    const TrialOutcome& outcome = result_.trials.back().outcome;
    if (ends_search(outcome.verdict)) {
      stop("", outcome);
      return false;
    }
    if (is_beyond_use(result_.trials)) {
      stop("trial after trial ended without saying anything about memory; the last one: ", outcome);
      return false;
    }
    return true;
  }

  Outlook outlook() {
    Outlook outlook{.trials_done = result_.trials.size(), .ways = {}};
    for (std::int64_t way = 0; way < kWays; ++way) {
      auto ahead = trials_ahead(space_, limits_, estimates_, result_.trials, way, kOutlook,
                                functions_.looks_further);
      if (!ahead) break;
      outlook.ways.push_back(std::move(*ahead));
    }
    return outlook;
  }

  void stop(const std::string& why, const TrialOutcome& outcome) {
    result_.stop_verdict = outcome.verdict;
    result_.stopped_by = why + std::string(name_of(outcome.verdict));
    if (!outcome.cause.empty()) {
      result_.stopped_by += ": " + std::string(cause_after_name(outcome));
    }
  }

  void summarize(SearchResult::Status status) {
    const std::vector<RunTrial>& trials = result_.trials;
    const Prediction prediction(estimates_, space_, limits_, trials);
    for (const CellState& state : states_of(space_, trials, prediction)) {
      result_.frontier.push_back(frontier_cell(state, prediction));
    }
    result_.optimal = choose(trials, limits_.objective);
    result_.balanced = choose(trials, Objective::kBalanced);
    result_.largest = choose(trials, Objective::kLargest);
    result_.fastest = choose(trials, Objective::kFastest);
    result_.status = status;
    if (result_.optimal) {
      Configuration next = trials[*result_.optimal].configuration;
      ++next.batch_size;
      result_.next_larger = trial_of(next, trials);
      if (const auto peak = prediction.peak(next); peak && next.batch_size <= space_.max_batch) {
        result_.next_larger_planned = PredictedBytes{Bytes{static_cast<std::uint64_t>(*peak)}};
      }
    } else if (status == SearchResult::Status::kComplete) {
      result_.status = status_without_fit();
    }
  }

  // Every question was answered and nothing fits: by memory alone, or partly for other reasons?
  SearchResult::Status status_without_fit() {
    const auto unusable =
        std::find_if(result_.trials.rbegin(), result_.trials.rend(),
                     [](const RunTrial& trial) { return is_unusable(trial.outcome.verdict); });
    if (unusable == result_.trials.rend()) return SearchResult::Status::kNothingFits;
    stop("no trial ran to its end; the last one that was no matter of memory: ", unusable->outcome);
    return SearchResult::Status::kUnfinished;
  }

  const SearchSpace& space_;
  const SearchLimits& limits_;
  const SearchFunctions& functions_;
  Estimates estimates_;
  SearchResult result_;
};

}  // namespace

SearchResult search(const SearchSpace& space, const SearchLimits& limits,
                    const SearchFunctions& functions, const std::vector<RunTrial>& known) {
  validate(space, limits);
  return Search(space, limits, functions, known).run();
}

}  // namespace loadline
