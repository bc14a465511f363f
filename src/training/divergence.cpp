#include "training/divergence.h"

#include <fmt/format.h>

#include <filesystem>
#include <optional>

#include "base/shell_quoted.h"

namespace loadline {
namespace {

// No learning rate spoils what no update has touched. A folder with an adapter takes no other rate;
// and one that has no finite loss itself, or is worse than none, is nothing to go on from.
std::string way_out_of_divergence(const TrainingSettings& settings, std::int64_t updates,
                                  const SavedRun& saved) {
  if (updates == 0) {
    return fmt::format("No update was made before: look at the weights in {}{} and at the data",
                       settings.model.string(),
                       settings.resume_adapter_file
                           ? ", at the adapter " + settings.resume_adapter_file->string()
                           : std::string());
  }
  const std::string lower = fmt::format("a lower --learning-rate than {}", settings.learning_rate);
  const auto go_on_from = [&](const std::string& which, const std::filesystem::path& folder) {
    return fmt::format("Go on from {} with {}: --resume-adapter-file {} and another --adapter-path",
                       which, lower, shell_quoted(folder.string()));
  };
  const std::optional<BestLoss>& best = saved.best_adapter().best();
  if (best && !helps(*best)) {
    return fmt::format("No evaluation was better than before training: begin anew with {}{}", lower,
                       saved.step() == 0 ? "" : " and another --adapter-path");
  }
  if (best && best->step < updates) {
    return go_on_from("the best one", saved.best_adapter().folder());
  }
  if (saved.step() == 0 && !best) return "Try " + lower;
  if (saved.step() == 0 || saved.step() == updates) {
    // The update after it was made, so that its loss was finite.
    if (const auto before = saved.checkpoints().one_before_latest(); before && saved.step() > 0) {
      return "That is its own loss. " +
             go_on_from(fmt::format("the checkpoint of step {}", step_of_checkpoint(*before)),
                        *before);
    }
    return fmt::format("That is its own loss: begin anew with {} and another --adapter-path",
                       lower);
  }
  return go_on_from(fmt::format("that of step {}", saved.step()), saved.folder());
}

}  // namespace

std::string words_of_divergence(const TrainingSettings& settings, const std::string& seen,
                                std::int64_t updates, const SavedRun& saved) {
  if (settings.is_trial()) return seen;
  return fmt::format("{}; {}. {}", seen, saved.what_is_kept(),
                     way_out_of_divergence(settings, updates, saved));
}

}  // namespace loadline
