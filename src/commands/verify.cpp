#include "commands/verify.h"

#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "commands/find_session.h"
#include "commands/proven_profile.h"
#include "report/print.h"
#include "report/text.h"
#include "workload/paths.h"

namespace loadline {
namespace {

constexpr std::int64_t kSteps = 15;  // the guide's

ErrorKind kind_of(Verdict verdict) {
  if (verdict == Verdict::kBadInput) return ErrorKind::kBadInput;
  if (verdict == Verdict::kRefused) return ErrorKind::kEnvironment;
  return ErrorKind::kDoesNotFit;
}

}  // namespace

Profile verify(const Workload& workload, const MachineFacts& machine, const SearchLimits& limits,
               const Configuration& configuration, std::int64_t max_steps, std::FILE* out) {
  const FindQuestion question{.space = {.ranks = {configuration.lora_rank},
                                        .layers = {configuration.lora_layers},
                                        .max_batch = configuration.batch_size},
                              .limits = limits,
                              .steps = kSteps,
                              .planned_steps = max_steps,
                              .time_limit = std::nullopt};
  const std::filesystem::path folder =
      runs_folder() / fmt::format("verify-{}-{}-{}", workload.run_name(), timestamp(), ::getpid());
  require_writable_folder(profile_folder());  // before a trial whose profile would be lost
  make_folder(folder);
  const Json context{{"schema_version", 1},
                     {"by", "train --verify"},
                     {"model", workload.model_document()},
                     {"data", workload.data_document()}};
  replace_file(folder / "run.json", context.dump(2) + "\n");
  TerminalView view(out, false);
  view.proof_begins();
  FindSession session(workload, machine, question, folder, view);
  const RunTrial trial = session.prove(configuration);
  if (trial.outcome.verdict == Verdict::kInterrupted) {
    throw Error(ErrorKind::kInterrupted,
                "--verify: interrupted, nothing is proven yet and nothing was trained. The same "
                "command begins with the trial again");
  }
  if (!trial.outcome.fits()) {
    throw Error(
        kind_of(trial.outcome.verdict),
        fmt::format("--verify: {} does not pass here: {}. `loadline find` finds what does. The "
                    "evidence is in {}",
                    describe(configuration), trial.outcome.cause, folder.string()));
  }
  Profile profile = profile_of(trial, {trial}, workload, machine, limits, folder);
  profile.by_verify = true;
  const std::filesystem::path path = save_profile(profile_folder(), profile);
  profile.name = path.stem().string();
  tell(out, "Verified by one trial; profile saved: {}\n", path.string());
  return profile;
}

}  // namespace loadline
