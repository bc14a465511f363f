#include "training/run_logs.h"

#include <fmt/format.h>

#include <utility>

#include "base/error.h"

namespace loadline {

RunLogs::RunLogs(const std::filesystem::path& folder, std::int64_t first_step, bool is_trial,
                 EvaluatedRows names, Warn warn)
    : metrics_(folder, first_step, std::move(names)), warn_(std::move(warn)) {
  if (!is_trial) tensorboard_.emplace(folder, first_step);
}

void RunLogs::add(const StepReport& report) { add_to_all(report); }
void RunLogs::add(const EvaluationReport& report) { add_to_all(report); }

template <typename Report>
void RunLogs::add_to_all(const Report& report) {
  add_to(metrics_, metrics_refused_, report);
  if (tensorboard_) add_to(*tensorboard_, tensorboard_refused_, report);
}

template <typename Log, typename Report>
void RunLogs::add_to(Log& log, bool& is_told, const Report& report) {
  try {
    log.add(report);
  } catch (const Error& error) {
    if (std::exchange(is_told, true)) return;
    warn_(report.step, fmt::format("{}. The run goes on; what cannot be written there is missing "
                                   "in that file",
                                   error.what()));
  }
}

}  // namespace loadline
