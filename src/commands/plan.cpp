// loadline plan: where every byte of a configuration goes, without running anything.
#include <algorithm>
#include <cstdio>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "base/number_text.h"
#include "commands/command.h"
#include "commands/plan_view.h"
#include "commands/train_refusal.h"
#include "commands/ways_out.h"
#include "report/print.h"
#include "training/settings.h"
#include "workload/options.h"
#include "workload/ranks.h"
#include "workload/workload.h"

namespace loadline {
namespace {

constexpr std::int64_t kDefaultLayers = 16;

struct PlanOptions {
  WorkloadOptions workload;
  std::int64_t batch_size = 1;
  std::int64_t lora_rank = 64;
  std::optional<std::int64_t> lora_layers;
};

std::string shape_text(const std::vector<std::int64_t>& shape) {
  return fmt::format("({})", fmt::join(shape, ", "));
}

// One buffer, or those of all layers that are alike.
struct PlanLine {
  std::string name;
  const Buffer* first;
  Bytes bytes;
  int buffers = 1;
};

// "layer weights q,k,v" for that of layer 3; any other name as it is.
std::string name_without_layer(const std::string& name) {
  constexpr std::string_view kLayer = "layer ";
  if (!name.starts_with(kLayer)) return name;
  const std::size_t end = name.find_first_not_of("0123456789", kLayer.size());
  if (end == std::string::npos || end == kLayer.size() || name[end] != ' ') return name;
  return "layer" + name.substr(end);
}

// In the plan's order. A model of 32 layers has hundreds of buffers, and few kinds of them.
std::vector<PlanLine> lines_of(const MemoryPlan& plan) {
  std::vector<PlanLine> lines;
  for (const Buffer& buffer : plan.buffers()) {
    std::string name = name_without_layer(buffer.name);
    const auto alike = std::find_if(lines.begin(), lines.end(), [&](const PlanLine& line) {
      return line.name == name && line.name != buffer.name && line.first->phase == buffer.phase &&
             line.first->shape == buffer.shape && line.first->dtype == buffer.dtype;
    });
    if (alike == lines.end()) {
      lines.push_back({.name = std::move(name), .first = &buffer, .bytes = buffer.bytes});
    } else {
      alike->bytes += buffer.bytes;
      ++alike->buffers;
    }
  }
  return lines;
}

}  // namespace

Json plan_document(const MemoryPlan& plan, const Budget& budget, double margin) {
  const Bytes needed = adjusted(plan.total().bytes, margin);
  Json lines = Json::array();
  for (const Buffer& buffer : plan.buffers()) {
    lines.push_back({{"name", buffer.name},
                     {"shape", buffer.shape},
                     {"dtype", name_of(buffer.dtype)},
                     {"bytes", buffer.bytes.count},
                     {"phase", buffer.phase},
                     {"offset", buffer.offset},
                     {"first", buffer.life.first},
                     {"last", buffer.life.last}});
  }
  return {{"schema_version", 1},
          {"total_bytes", plan.total().bytes.count},
          {"arena_bytes", plan.arena().count},
          {"process_bytes", plan.process().count},
          {"margin", margin},
          {"adjusted_bytes", needed.count},
          {"budget_bytes", budget.bytes.count},
          {"budget_binds", budget.binds},
          {"fits", needed <= budget.bytes},
          {"lines", std::move(lines)}};
}

void print_plan(const MemoryPlan& plan, const Budget& budget, double margin) {
  fmt::print("{:<44} {:>22} {:>5} {:>12}  {}\n", "buffer", "shape", "type", "bytes", "phase");
  for (const PlanLine& line : lines_of(plan)) {
    const std::string name =
        line.buffers > 1 ? fmt::format("{} x {}", line.buffers, line.name) : line.first->name;
    fmt::print("{:<44} {:>22} {:>5} {:>12}  {}\n", name, shape_text(line.first->shape),
               name_of(line.first->dtype), to_string(line.bytes), line.first->phase);
  }
  const Bytes total = plan.total().bytes;
  const Bytes needed = adjusted(total, margin);
  fmt::print("\nBy phase (--json has every buffer):\n{}\n", plan_table(plan));
  fmt::print("\narena {} (buffers that do not live together share it) + process {} = {}\n",
             to_string(plan.arena()), to_string(plan.process()), to_string(total));
  fmt::print("\nVerdict: {} with {} margin, the budget is {} ({}): predicted to {}\n",
             to_string(needed), percent_text(margin), to_string(budget.bytes), budget.binds,
             needed <= budget.bytes ? "fit" : "exceed it");
}

namespace {

// Named as in a profile (docs/profile.md).
Json configuration_document(const TrainingSettings& s) {
  Json targets = Json::array();
  for (const Projection target : s.lora.targets) targets.push_back(name_of(target));
  return {{"batch_size", s.batch_size},
          {"lora_rank", s.lora.rank},
          {"lora_layers", s.lora.layers},
          {"target_modules", std::move(targets)},
          {"max_seq_length", s.max_seq_length},
          {"compute", name_of(s.compute)},
          {"quantize", name_of(s.quantize)},
          {"grad_checkpoint", s.checkpointing == ActivationCheckpointing::kOn}};
}

void print_configuration(const TrainingSettings& s, const ModelConfig& model) {
  fmt::print(
      "Batch size {}, LoRA of rank {} on {} of the last {} of {} layers, rows of at most {} "
      "tokens, compute {}, quantize {}, checkpointing {}\n\n",
      s.batch_size, s.lora.rank, names_of(s.lora.targets), s.lora.layers, model.layers,
      s.max_seq_length, name_of(s.compute), name_of(s.quantize),
      s.checkpointing == ActivationCheckpointing::kOn ? "on" : "off");
}

// Without data a batch is full rows, and what is said of data would change nothing.
void validate_plan(const WorkloadOptions& options) {
  if (!options.data.empty() || options.demo) return;
  const auto refuse = [](const std::string& flag) {
    throw usage_error("{}: has no effect without --data. Give the data, or leave it out", flag);
  };
  if (options.valid_data) refuse("--valid-data " + *options.valid_data);
  if (options.mask_prompt) refuse("--mask-prompt");
  if (options.skip_bad_rows) refuse("--skip-bad-rows");
  if (options.template_date) refuse("--template-date " + *options.template_date);
  if (options.seed != 0) refuse(fmt::format("--seed {}", options.seed));
}

// Flags that train has too, and files for both: no reason to refuse them.
void say_without_effect(const WorkloadOptions& options) {
  const auto say = [](const std::string& flag) {
    tell(stderr, "{}: changes no byte of the plan\n", flag);
  };
  if (options.seed != 0) say(fmt::format("--seed {}", options.seed));
  if (options.lora_alpha) say(fmt::format("--lora-alpha {}", *options.lora_alpha));
  if (options.rslora) say("--rslora");
}

int run_plan(const PlanOptions& options) {
  validate_plan(options.workload);
  say_without_effect(options.workload);
  const MachineFacts machine = read_machine();
  const Workload workload = prepare_workload(options.workload, machine, stderr, ModelParts::kText);
  const std::int64_t all = workload.model.layers;
  const std::int64_t layers = options.lora_layers.value_or(std::min(kDefaultLayers, all));
  TrainingSettings settings =
      workload.with(options.batch_size, options.lora_rank, layers == -1 ? all : layers);
  validate(settings, workload.model);
  const Budget budget = compute_budget(machine.memory, options.workload.limit());
  const double margin = options.workload.margin;
  choose_checkpointing(workload, settings, budget.bytes, margin);
  const MemoryPlan plan = workload.plan(settings);
  const bool fits = adjusted(plan.total().bytes, margin) <= budget.bytes;
  const std::string warning = rank_warning(workload.model, settings.lora, settings.lora.rank);
  if (!warning.empty()) tell(stderr, "{}\n", warning);
  if (options.workload.json) {
    Json document = plan_document(plan, budget, margin);
    document["configuration"] = configuration_document(settings);
    fmt::print("{}\n", document.dump(2));
  } else {
    print_configuration(settings, workload.model);
    print_plan(plan, budget, margin);
    if (!fits) {
      fmt::print("\n{}\n", ways_out(workload, settings, budget.bytes, margin, AskedBy::kPlan));
    }
  }
  return fits ? 0 : 1;
}

}  // namespace

CommandFunction add_plan(Flags flags) {
  const auto options = std::make_shared<PlanOptions>();
  add_model_flags(flags, options->workload);
  add_data_flags(flags, options->workload);
  add_lora_flags(flags, options->workload);
  add_memory_flags(flags, options->workload);
  add_demo_flag(flags, options->workload, "Plan for the embedded model and data");
  flags.value("--batch-size", options->batch_size, "Rows of a micro-batch");
  flags.value("--lora-rank", options->lora_rank, "LoRA rank");
  flags.layers("--lora-layers,--num-layers", options->lora_layers,
               "The last N layers, 16 where none is given; -1 or all: all");
  return [options] { return run_plan(*options); };
}

}  // namespace loadline
