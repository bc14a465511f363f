#include "training/divergence.h"

#include <fmt/format.h>

namespace loadline {
namespace {

std::string what_is_kept(const TrainingSettings& settings, std::int64_t saved_step) {
  if (saved_step == 0) return "no adapter was saved";
  return fmt::format("the adapter of step {} is in {}", saved_step, settings.adapter_path.string());
}

// No learning rate spoils what no update has touched.
std::string way_out_of_divergence(const TrainingSettings& settings, std::int64_t updates) {
  if (updates > 0)
    return fmt::format("Try a lower --learning-rate than {}", settings.learning_rate);
  return fmt::format("No update was made before: look at the weights in {}{} and at the data",
                     settings.model.string(),
                     settings.resume_adapter_file
                         ? ", at the adapter " + settings.resume_adapter_file->string()
                         : std::string());
}

}  // namespace

std::string words_of_divergence(const TrainingSettings& settings, const std::string& seen,
                                std::int64_t updates, std::int64_t saved_step) {
  if (settings.order == RowOrder::kWorstFirst) return seen;
  return fmt::format("{}; {}. {}", seen, what_is_kept(settings, saved_step),
                     way_out_of_divergence(settings, updates));
}

}  // namespace loadline
