// loadline worker: a trial's child process. Trains as its spec says and tells its parent, a JSON
// line at a time.
#include <unistd.h>

#include <memory>
#include <new>
#include <string>

#include "base/error.h"
#include "base/json.h"
#include "commands/command.h"
#include "machine/interrupt.h"
#include "machine/process_memory.h"
#include "training/trainer.h"
#include "trial/protocol.h"

namespace loadline {
namespace {

// A parent that is gone cannot be told; its death ends this process anyway.
void send(const WorkerEvent& event) {
  const std::string line = encode_event(event) + '\n';
  std::string_view rest = line;
  while (!rest.empty()) {
    const ssize_t written = ::write(kProtocolDescriptor, rest.data(), rest.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return;
    rest.remove_prefix(static_cast<std::size_t>(written));
  }
}

class Reporter final : public TrainingObserver {
 public:
  void loaded(const LoadReport& report) override {
    send(Loaded{report.seconds, report.planned.bytes, report.peak, report.rows,
                report.worst_batch_tokens, report.longest_row});
    coverage_ =
        fmt::format("covers 100 % of batches, longest row {} tokens, largest batch {} tokens",
                    report.longest_row, report.worst_batch_tokens);
  }
  void stepped(const StepReport& report) override {
    send(Stepped{{report.step, report.loss, report.seconds, report.tokens, report.peak}});
  }
  void evaluated(const EvaluationReport& report) override {
    send(Evaluated{report.valid_loss, report.seconds, report.peak});
  }
  void saved(std::int64_t /*step*/, const std::filesystem::path& /*where*/, Bytes peak) override {
    send(Saved{peak});
  }
  [[nodiscard]] const std::string& coverage() const { return coverage_; }

 private:
  std::string coverage_;
};

Verdict verdict_of(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kDoesNotFit:
      return Verdict::kOutOfMemory;
    case ErrorKind::kInterrupted:
      return Verdict::kInterrupted;
    case ErrorKind::kUsage:
    case ErrorKind::kBadInput:
      return Verdict::kBadInput;
    case ErrorKind::kEnvironment:
      return Verdict::kRefused;
  }
  return Verdict::kCrashed;
}

int fail(Verdict verdict, const std::string& detail, int code) {
  send(Failed{verdict, detail});
  fmt::print(stderr, "{}\n", detail);
  return code;
}

int train_for_trial(const TrainingSettings& settings) {
  Reporter reporter;
  const TrainingHost host{.peak_memory = [] { return read_own_memory().peak; },
                          .stop_requested = interrupted};
  const TrainingEnd end = run_training(settings, host, reporter);
  if (end.reason == TrainingEnd::Reason::kDiverged) return fail(Verdict::kDiverged, end.detail, 1);
  if (end.reason == TrainingEnd::Reason::kInterrupted)
    return fail(Verdict::kInterrupted, "interrupted", 3);
  const ProcessMemory memory = read_own_memory();
  send(Finished{memory.peak, memory.anonymous, memory.file, reporter.coverage()});
  return 0;
}

int work(const std::string& spec_file) {
  catch_interrupts();
  try {
    const TrialSpec spec = trial_spec_from_json(read_json(spec_file), spec_file);
    return train_for_trial(training_settings_from_json(spec.worker, spec_file));
  } catch (const Error& error) {
    return fail(verdict_of(error.kind()), error.what(), error.exit_code());
  } catch (const std::bad_alloc&) {
    return fail(Verdict::kOutOfMemory, "an allocation was refused", 1);
  }
}

}  // namespace

CommandFunction add_worker(Flags flags) {
  const auto spec = std::make_shared<std::string>();
  flags.required("--spec", *spec, "The trial's spec.json");
  return [spec] { return work(*spec); };
}

}  // namespace loadline
