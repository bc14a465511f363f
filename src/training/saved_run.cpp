#include "training/saved_run.h"

#include "checkpoint/adapter.h"

namespace loadline {

SavedRun::SavedRun(const TrainingSettings& settings, const std::string& validation)
    : settings_(settings),
      checkpoints_(settings.adapter_path),
      best_(settings.adapter_path, validation) {}

// The adapters go first: without a checkpoint beside them they would be nobody's.
void SavedRun::clear() {
  remove_adapters(settings_.adapter_path);
  checkpoints_.clear();
  best_.clear();
}

void SavedRun::take_up(const ModelConfig& config, const RunIdentity& identity, LoraModel& model) {
  step_ = restore(checkpoints_.latest().value(), config, settings_, identity, model);
  best_.take_up();
  // The run may have been killed after the checkpoint counted and before this was replaced.
  replace_adapter(adapter_of(model));
}

void SavedRun::save(LoraModel& model, const RunIdentity& identity, std::int64_t step) {
  const Adapter adapter = adapter_of(model);
  checkpoints_.save(model, adapter, settings_, identity, step);
  replace_adapter(adapter);
  step_ = step;
}

void SavedRun::save_best(const LoraModel& model, std::int64_t step, double valid_loss) {
  best_.replace(adapter_of(model), settings_.adapter_format, step, valid_loss);
}

Adapter SavedRun::adapter_of(const LoraModel& model) const {
  Adapter adapter = model.adapter();
  adapter.base_model = settings_.model.string();
  return adapter;
}

void SavedRun::replace_adapter(const Adapter& adapter) const {
  write_adapter(settings_.adapter_path, adapter, settings_.adapter_format);
  remove_adapters(settings_.adapter_path, settings_.adapter_format);
}

}  // namespace loadline
