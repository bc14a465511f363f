#include "report/result.h"

#include "base/json.h"
#include "search/evidence.h"
#include "trial/fields.h"

namespace loadline {
namespace {

constexpr int kResultVersion = 1;

std::string_view name_of(SearchResult::Status status) {
  switch (status) {
    case SearchResult::Status::kComplete:
      return "complete";
    case SearchResult::Status::kUnfinished:
      return "unfinished";
    case SearchResult::Status::kNothingFits:
      break;
  }
  return "nothing_fits";
}

std::string_view name_of(Basis basis) {
  switch (basis) {
    case Basis::kMeasured:
      return "measured";
    case Basis::kDominated:
      return "dominated";
    case Basis::kPlanned:
      break;
  }
  return "planned";
}

void put_configuration(Json& document, const Configuration& configuration) {
  document["batch_size"] = configuration.batch_size;
  document["lora_rank"] = configuration.lora_rank;
  document["lora_layers"] = configuration.lora_layers;
  if (configuration.sequence > 0) document["max_seq_length"] = configuration.sequence;
  if (configuration.checkpointing != Configuration::kNotCompared) {
    document["grad_checkpoint"] = configuration.checkpointing == 1;
  }
}

Json peak_of(const RunTrial& trial) {
  return trial.outcome.peak ? Json(trial.outcome.peak->bytes.count) : Json();
}

Json adjusted_of(const RunTrial& trial, double margin) {
  if (!trial.outcome.peak) return {};
  return adjusted(trial.outcome.peak->bytes, margin).count;
}

// Measured over planned: 1.02 says that the trial needed 2 % more than was planned.
Json ratio_of(const RunTrial& trial) {
  if (!trial.outcome.ran_through() || !trial.outcome.peak || trial.planned.bytes.count == 0) {
    return {};
  }
  return static_cast<double>(trial.outcome.peak->bytes.count) /
         static_cast<double>(trial.planned.bytes.count);
}

Json planned_of(const RunTrial& trial) {
  return trial.planned.bytes.count > 0 ? Json(trial.planned.bytes.count) : Json();
}

Json choice_of(const SearchResult& result, std::optional<std::size_t> index, double margin) {
  if (!index) return {};
  const RunTrial& trial = result.trials[*index];
  Json document = Json::object();
  put_configuration(document, trial.configuration);
  document["planned_bytes"] = planned_of(trial);
  document["peak_bytes"] = peak_of(trial);
  document["adjusted_bytes"] = adjusted_of(trial, margin);
  const Speed speed = speed_of(trial.configuration, result.trials).value_or(Speed{});
  document["step_seconds"] = number_json(speed.step_seconds);
  document["tokens_per_second"] = number_json(speed.tokens_per_second);
  document["slowed_by_others"] = speed.is_least;
  document["trial"] = trial.trial;
  return document;
}

// What is known of the chosen batch + 1: a trial, or only the plan.
Json next_larger_of(const SearchResult& result, double margin) {
  if (!result.optimal || (!result.next_larger && !result.next_larger_planned)) return {};
  Configuration next = result.trials[*result.optimal].configuration;
  ++next.batch_size;
  Json document = Json::object();
  put_configuration(document, next);
  document["basis"] = name_of(result.next_larger ? Basis::kMeasured : Basis::kPlanned);
  if (result.next_larger) {
    const RunTrial& trial = result.trials[*result.next_larger];
    document["outcome"] = name_of(trial.outcome.verdict);
    document["cause"] = trial.outcome.cause;
    document["peak_bytes"] = peak_of(trial);
    document["adjusted_bytes"] = adjusted_of(trial, margin);
    document["trial"] = trial.trial;
  }
  if (result.next_larger_planned) {
    document["predicted_bytes"] = result.next_larger_planned->bytes.count;
  }
  return document;
}

// What no other measured fit beats in both memory and speed.
Json pareto_of(const SearchResult& result, double margin) {
  Json front = Json::array();
  for (const std::size_t index : pareto_front(result.trials)) {
    front.push_back(choice_of(result, index, margin));
  }
  return front;
}

Json frontier_of(const SearchResult& result) {
  Json cells = Json::array();
  for (const FrontierCell& cell : result.frontier) {
    Json document = Json::object();
    put_configuration(document, {cell.max_batch, cell.lora_rank, cell.lora_layers, cell.sequence,
                                 cell.checkpointing});
    document.erase("batch_size");
    document["max_batch"] = cell.max_batch;
    const bool is_known = cell.max_batch > 0 || cell.settled;  // else nothing was asked yet
    document["basis"] = is_known ? Json(name_of(cell.basis)) : Json();
    document["settled"] = cell.settled;
    document["at_limit"] = cell.at_limit;
    document["next_fails"] =
        cell.at_limit || !cell.settled ? Json() : Json(name_of(cell.next_fails));
    if (cell.doubt) document["doubt"] = number_json(*cell.doubt);
    if (cell.unusable) {
      const RunTrial& trial = result.trials[*cell.unusable];
      document["unusable"] = {{"batch_size", trial.configuration.batch_size},
                              {"outcome", name_of(trial.outcome.verdict)},
                              {"trial", trial.trial}};
    }
    cells.push_back(std::move(document));
  }
  return cells;
}

Json noise_of(const Noise& noise) {
  return {{"load_average", number_json(noise.load_average)},
          {"neighbour_cores", number_json(noise.neighbour_cores)},
          {"cores", noise.cores},
          {"available_before_bytes", noise.available_before.count},
          {"available_after_bytes", noise.available_after.count}};
}

Json trial_document(const RunTrial& trial, double margin, std::int64_t asked_steps) {
  Json document = Json::object();
  document["id"] = trial.trial;
  document["spec"] = Json::object();
  put_configuration(document["spec"], trial.configuration);
  document["under_margin"] = trial.under_margin;
  document["outcome"] = name_of(trial.outcome.verdict);
  document["cause"] = trial.outcome.cause;
  document["planned_bytes"] = planned_of(trial);
  document["peak_bytes"] = peak_of(trial);
  document["measured_over_planned"] = ratio_of(trial);
  document["adjusted_bytes"] = adjusted_of(trial, margin);
  document["step_seconds"] = number_json(trial.outcome.step_seconds);
  document["step_seconds_spread"] = number_json(trial.outcome.step_seconds_spread);
  document["tokens_per_second"] = number_json(trial.outcome.tokens_per_second);
  document["tokens_per_second_spread"] = number_json(trial.outcome.tokens_per_second_spread);
  document["pace"] = pace_json(trial.outcome.pace);
  document["seconds"] = number_json(trial.outcome.seconds);
  document["steps"] = steps_json(trial.outcome.steps);
  document["shortened"] = trial.outcome.is_shortened(asked_steps);
  document["growth"] = growth_json(trial.outcome.growth);
  document["noise"] = noise_of(trial.outcome.noise);
  document["coverage"] = trial.outcome.coverage;
  return document;
}

void put_context(Json& document, const ResultContext& context) {
  document["profile"] = context.profile.empty() ? Json() : Json(context.profile);
  document["run_dir"] = context.run_folder;
  document["generated_weights"] = context.generated_weights;
  if (context.grad_checkpoint) document["grad_checkpoint"] = *context.grad_checkpoint;
  document["binds"] = context.binds;
  document["machine"] = to_json(context.machine);
  document["model"] = context.model;
  document["data"] = context.data;
  document["versions"] = {{"loadline", LOADLINE_VERSION}};
  if (context.versions.is_object()) document["versions"].update(context.versions);
}

}  // namespace

Json result_document(const SearchResult& result, const ResultContext& context) {
  const double margin = context.limits.margin;
  Json document = Json::object();
  document["schema_version"] = kResultVersion;
  document["status"] = name_of(result.status);
  document["stopped_by"] = result.stopped_by.empty() ? Json() : Json(result.stopped_by);
  document["budget_bytes"] = context.limits.budget.count;
  document["margin"] = margin;
  document["objective"] = name_of(context.limits.objective);
  document["optimal"] = choice_of(result, result.optimal, margin);
  document["balanced"] = choice_of(result, result.balanced, margin);
  document["largest"] = choice_of(result, result.largest, margin);
  document["fastest"] = choice_of(result, result.fastest, margin);
  const bool confirmed = result.optimal && result.trials[*result.optimal].under_margin;
  document["confirmed_by_trial"] = confirmed ? Json(result.trials[*result.optimal].trial) : Json();
  document["next_larger"] = next_larger_of(result, margin);
  document["frontier"] = frontier_of(result);
  document["pareto"] = pareto_of(result, margin);
  document["trials"] = Json::array();
  for (const RunTrial& trial : result.trials) {
    document["trials"].push_back(trial_document(trial, margin, context.steps));
  }
  put_context(document, context);
  return document;
}

}  // namespace loadline
