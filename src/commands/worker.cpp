// loadline worker: a trial's child process. Trains as its spec says and tells its parent, a JSON
// line at a time.
#include <unistd.h>

#include <cstdlib>
#include <exception>
#include <memory>
#include <new>
#include <string>
#include <string_view>

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
void write_line(std::string_view rest) {
  while (!rest.empty()) {
    const ssize_t written = ::write(kProtocolDescriptor, rest.data(), rest.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return;
    rest.remove_prefix(static_cast<std::size_t>(written));
  }
}

void send(const WorkerEvent& event) { write_line(encode_event(event) + '\n'); }

class Reporter final : public TrainingObserver {
 public:
  void loaded(const LoadReport& report) override {
    send(Loaded{report.seconds, report.planned.bytes, report.peak, report.rows,
                report.worst_batch_tokens, report.longest_row});
  }
  void stepped(const StepReport& report) override {
    TrialStep step{report.step,   report.loss, report.seconds,
                   report.tokens, report.peak, read_own_memory().anonymous};
    if (report.loss != report.cross_entropy) step.cross_entropy = report.cross_entropy;
    if (report.reference) step.reference = {report.reference->tokens, report.reference->seconds};
    send(Stepped{step});
  }
  void evaluated(const EvaluationReport& report) override {
    send(Evaluated{report.valid_loss, report.seconds, report.peak});
  }
  void saved(std::int64_t /*step*/, const std::filesystem::path& /*where*/, Bytes peak) override {
    send(Saved{peak});
  }
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

// Takes no memory, as there may be none.
int fail_without_memory() {
  write_line(R"({"event":"failed","verdict":"out_of_memory","detail":"an allocation was refused"})"
             "\n");
  return 1;
}

int train_for_trial(const TrainingSettings& settings) {
  Reporter reporter;
  const TrainingHost host{.peak_memory = [] { return read_own_memory().peak; },
                          .stop_requested = interrupted};
  const TrainingEnd end = run_training(settings, host, reporter);
  if (end.reason == TrainingEnd::Reason::kDiverged) return fail(Verdict::kDiverged, end.detail, 1);
  if (end.reason == TrainingEnd::Reason::kInterrupted)
    return fail(Verdict::kInterrupted, "it was asked to end", 3);
  const ProcessMemory memory = read_own_memory();
  send(Finished{memory.peak, memory.anonymous, memory.file, end.coverage});
  return 0;
}

bool memory_was_refused = false;

[[noreturn]] void note_refusal() {
  memory_was_refused = true;
  throw std::bad_alloc();
}

// Some destructors take memory (a JSON document's does), and oneDNN ends the process where it finds
// none in a wrong moment: what ends here after a refusal ended by it.
[[noreturn]] void end_for_good() {
  if (memory_was_refused) ::_exit(fail_without_memory());
  std::abort();
}

int train_from(const std::string& spec_file) {
  try {
    const TrialSpec spec = trial_spec_from_json(read_json(spec_file), spec_file);
    return train_for_trial(training_settings_from_json(spec.worker, spec_file));
  } catch (const Error& error) {
    return fail(verdict_of(error.kind()), error.what(), error.exit_code());
  } catch (const std::bad_alloc&) {
    return fail_without_memory();
  } catch (const std::exception& error) {
    return fail(Verdict::kCrashed, fmt::format("a fault in loadline itself: {}", error.what()), 70);
  }
}

int work(const std::string& spec_file) {
  catch_interrupts();
  std::set_new_handler(note_refusal);
  std::set_terminate(end_for_good);
  try {
    return train_from(spec_file);
  } catch (const std::bad_alloc&) {  // not even for the words about an Error
    return fail_without_memory();
  }
}

}  // namespace

CommandFunction add_worker(Flags flags) {
  const auto spec = std::make_shared<std::string>();
  flags.required("--spec", *spec, "The trial's spec.json");
  return [spec] { return work(*spec); };
}

}  // namespace loadline
