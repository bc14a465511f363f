#include "training/divergence.h"

#include <fmt/format.h>

namespace loadline {
namespace {

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
                                std::int64_t updates, const std::string& kept) {
  if (settings.is_trial()) return seen;
  return fmt::format("{}; {}. {}", seen, kept, way_out_of_divergence(settings, updates));
}

}  // namespace loadline
