#include "training/saved_run.h"

#include <fmt/format.h>

#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "checkpoint/adapter.h"
#include "training/run_folder.h"
#include "training/trunk_cache.h"

namespace loadline {

SavedRun::SavedRun(const TrainingSettings& settings, const std::string& validation)
    : settings_(settings),
      folder_(run_folder(settings)),
      checkpoints_(folder_),
      best_(folder_, validation) {}

// The adapters go first: without a checkpoint beside them they would be nobody's.
void SavedRun::clear() {
  remove_adapters(folder_);
  checkpoints_.clear();
  best_.clear();
}

Restored SavedRun::take_up(const ModelConfig& config, const RunIdentity& identity,
                           LoraModel& model) {
  const Restored restored =
      restore(checkpoints_.latest().value(), config, settings_, identity, model);
  step_ = restored.step;
  earlier_best_ = best_.take_up();
  // The run may have been killed after the checkpoint counted and before this was replaced.
  replace_adapter(adapter_of(model));
  return restored;
}

void SavedRun::save(LoraModel& model, const RunIdentity& identity, std::int64_t step) {
  const Adapter adapter = adapter_of(model);
  checkpoints_.save(model, adapter, settings_, identity, step);
  replace_adapter(adapter);
  step_ = step;
}

SavedRun::BestKept SavedRun::keep_best(const LoraModel& model, const BestLoss& loss) {
  try {
    best_.replace(adapter_of(model), settings_.adapter_format, loss);
  } catch (const Error& error) {
    return {.warning = fmt::format("{}. The run goes on; of the adapter of this step, the best so "
                                   "far, what was written before that is kept",
                                   error.what())};
  }
  try {
    best_.record();
  } catch (const Error& error) {
    return {.is_written = true,
            .warning = fmt::format("{}. The run goes on; the best adapter so far is written, and "
                                   "its record is tried again at each evaluation and save",
                                   error.what())};
  }
  return {.is_written = true};
}

void SavedRun::take_up_best(const std::optional<BestLoss>& loss) {
  if (!loss) return;
  best_.take_up_unrecorded(*loss);
  record_best();
}

void SavedRun::record_best() {
  try {
    best_.record();
  } catch (const Error&) {  // nothing new
  }
}

SavedRun::Settled SavedRun::settle(std::int64_t updates) {
  if (!is_replacing()) return {.folder = folder_, .earlier_run = {}};
  if (updates == 0) remove_replacing_run(settings_.adapter_path);
  if (!checkpoints_.latest()) TrunkCache::remove_in(folder_);  // nothing will go on with it
  const bool takes_its_place = checkpoints_.holds_finished_run();
  std::optional<std::filesystem::path> earlier = settle_finished_run(settings_.adapter_path);
  return {.folder = takes_its_place ? settings_.adapter_path : folder_,
          .earlier_run = std::move(earlier)};
}

std::string SavedRun::what_is_kept() const {
  std::vector<std::string> kept;
  if (step_ > 0)
    kept.push_back(fmt::format("the adapter of step {} is in {}", step_, folder_.string()));
  if (checkpoints_.latest_step() > step_) {  // the disk took it, and then refused the adapter
    kept.push_back(fmt::format("the checkpoint of step {} is in {}", checkpoints_.latest_step(),
                               checkpoints_.latest()->string()));
  }
  if (best_.best()) {
    kept.push_back(fmt::format("the best adapter, {}, is in {}", words_of(*best_.best()),
                               best_.folder().string()));
  }
  if (kept.empty()) kept.emplace_back("no adapter was saved");
  return fmt::format("{}{}", fmt::join(kept, ", "), what_stays());
}

std::string SavedRun::words_of_stop(std::int64_t step) const {
  if (step == 0) {
    return "stopped before the first update was done: nothing was saved" + what_stays();
  }
  return fmt::format("stopped after step {}, which is saved; continue with --resume{}", step,
                     what_stays());
}

std::string SavedRun::what_stays() const {
  if (!is_replacing() || checkpoints_.holds_finished_run()) return "";
  return fmt::format("; the finished run in {} is as it was", settings_.adapter_path.string());
}

Adapter SavedRun::adapter_of(const LoraModel& model) const {
  Adapter adapter = model.adapter();
  const bool is_of_hub = !settings_.base_model.empty();
  adapter.base_model = is_of_hub ? settings_.base_model : settings_.model.string();
  adapter.base_revision = settings_.base_revision;
  return adapter;
}

void SavedRun::replace_adapter(const Adapter& adapter) const {
  write_adapter(folder_, adapter, settings_.adapter_format);
  remove_adapters(folder_, settings_.adapter_format);
}

}  // namespace loadline
