#include "commands/train_start.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>

#include "base/counted.h"
#include "base/number_text.h"
#include "report/print.h"
#include "report/text.h"
#include "training/run_folder.h"
#include "workload/cut_rows.h"
#include "workload/ranks.h"

namespace loadline {
namespace {

std::string in_millions(std::int64_t parameters) {
  const double millions = static_cast<double>(parameters) / 1e6;
  return millions < 1000 ? fmt::format("{:.1f} million", millions)
                         : fmt::format("{:.2f} billion", millions / 1000);
}

std::string model_line(const TrainingSettings& s, const Workload& workload) {
  const ModelConfig& model = workload.model;
  return fmt::format("Model: {} ({}, {}, {} parameters{})", printable(workload.model_text()),
                     printable(model.model_type), counted(model.layers, "layer"),
                     in_millions(parameter_count(model)),
                     s.quantize == Quantization::kNf4 ? ", its projections in nf4" : "");
}

std::string adapter_line(const TrainingSettings& s) {
  return fmt::format("Adapter: LoRA of rank {}, alpha {:g}, on {} of the last {}{}", s.lora.rank,
                     s.lora.alpha, names_of(s.lora.targets), counted(s.lora.layers, "layer"),
                     s.lora.dropout > 0 ? fmt::format(", dropout {:g}", s.lora.dropout) : "");
}

std::string batch_line(const TrainingSettings& s) {
  return fmt::format(
      "Effective batch: {} x {} accumulation = {} of at most {} tokens, compute {}, "
      "checkpointing {}",
      s.batch_size, s.grad_accumulation_steps,
      counted(s.batch_size * s.grad_accumulation_steps, "row"), s.max_seq_length,
      name_of(s.compute), s.checkpointing == ActivationCheckpointing::kOn ? "on" : "off");
}

std::string updates_line(const TrainingSettings& s, const TrainOptions& options,
                         std::int64_t rows) {
  const std::int64_t uses = s.max_steps * s.batch_size * s.grad_accumulation_steps;
  return fmt::format("Updates: {} ({:.2f} epochs of {}){}; AdamW, learning rate {:g}, {}{}",
                     s.max_steps, static_cast<double>(uses) / static_cast<double>(rows),
                     counted(rows, "row"),
                     options.epochs ? fmt::format(", from --epochs {}", *options.epochs) : "",
                     s.learning_rate, name_of(s.schedule),
                     s.warmup_steps > 0 ? fmt::format(" after {} of warm-up", s.warmup_steps) : "");
}

std::string memory_line(const TrainingSettings& s, const Workload& workload, const Budget& budget,
                        double margin) {
  const Bytes planned = workload.plan(s).total().bytes;
  return fmt::format("Memory: {} planned, {} with {} margin; the budget is {} ({})",
                     to_string(planned), to_string(adjusted(planned, margin)), percent_text(margin),
                     to_string(budget.bytes), budget.binds);
}

std::string repeat_warning(const TrainingSettings& s, std::int64_t rows) {
  const std::int64_t update = s.batch_size * s.grad_accumulation_steps;
  if (update <= rows) return "";
  return fmt::format(
      "Warning: an update takes {} and the data has {}: rows repeat in it. --batch-size {} takes "
      "each once",
      counted(update, "row"), counted(rows, "row"),
      std::max<std::int64_t>(1, rows / s.grad_accumulation_steps));
}

std::string same_rows_warning(const Workload& workload) {
  if (!workload.valid || workload.valid->rows.fingerprint() != workload.train->rows.fingerprint()) {
    return "";
  }
  return fmt::format(
      "Warning: the validation rows of {} are the training rows: their loss falls with what is "
      "learned by heart, and best/ is chosen by it",
      printable(workload.valid->source.string()));
}

}  // namespace

std::string distrust_line(const DistrustSettings& distrust) {
  if (distrust.mode == DistrustMode::kOff) return "";
  if (distrust.mode == DistrustMode::kWeighted) {
    return "Distrust: weighted; rows count by their distrust (docs/distrust.md)";
  }
  return "Distrust: additive; it is part of the loss that training shows and has no gradient "
         "(docs/distrust.md)";
}

void say_start(std::FILE* out, const TrainingSettings& settings, const TrainOptions& options,
               const Workload& workload, const TrainChoice& choice, const Budget& budget) {
  const auto say = [&](const std::string& line) { tell(out, "{}\n", line); };
  say(model_line(settings, workload));
  say(adapter_line(settings));
  say("Configuration: " + choice.source);
  say(batch_line(settings));
  say(updates_line(settings, options, workload.train->report.rows));
  say(memory_line(settings, workload, budget, options.workload.margin));
  if (settings.distrust.mode != DistrustMode::kOff) say(distrust_line(settings.distrust));
  if (!workload.distrust_note.empty()) say(workload.distrust_note);
  for (const std::string& warning : cut_warnings(workload, settings.max_seq_length)) say(warning);
  for (const std::string& warning :
       {rank_warning(workload.model, settings.lora, settings.lora.rank),
        repeat_warning(settings, workload.train->report.rows), same_rows_warning(workload)}) {
    if (!warning.empty()) say(warning);
  }
  const std::filesystem::path folder = run_folder(settings);
  if (folder != settings.adapter_path) {
    say(fmt::format(
        "Replaces the finished run in {} once it is finished too; until then that stays as it is, "
        "and this one is in {}. Then the earlier one is kept as {}",
        printable(settings.adapter_path.string()), printable(folder.string()),
        printable(earlier_run_folder(settings.adapter_path).string())));
  }
  std::fflush(out);
}

}  // namespace loadline
