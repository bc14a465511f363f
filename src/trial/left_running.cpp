#include "trial/left_running.h"

#include "base/json.h"

namespace loadline {
namespace {

constexpr const char* kKey = "left_running";
constexpr const char* kNotAgain = "It is not tried again; --restart begins anew";

// Every trial has a folder of its own, and what is read may lie elsewhere another time.
Json without_places(Json worker) {
  if (!worker.is_object()) return worker;
  for (const char* place :
       {"adapter_path", "model", "train_rows", "valid_rows", "prepared_weights"}) {
    worker.erase(place);
  }
  return worker;
}

}  // namespace

TrialOutcome left_running(bool same_boot, bool before) {
  TrialOutcome outcome;
  outcome.evidence[kKey] = same_boot ? "the search ended" : "the machine went down";
  outcome.verdict = same_boot && !before ? Verdict::kInterrupted : Verdict::kKilled;
  outcome.cause = "it was running when ";
  if (!same_boot) {
    outcome.cause += "the machine went down. ";
    outcome.cause += kNotAgain;
  } else if (before) {
    outcome.cause += "the search was killed, for the second time. ";
    outcome.cause += kNotAgain;
  } else {
    outcome.cause += "the search was killed. It is tried again";
  }
  return outcome;
}

bool was_left_running(const TrialOutcome& outcome) { return outcome.evidence.contains(kKey); }

bool is_same_question(const TrialSpec& a, const TrialSpec& b) {
  return a.batch_size == b.batch_size && a.lora_rank == b.lora_rank &&
         a.lora_layers == b.lora_layers && without_places(a.worker) == without_places(b.worker);
}

}  // namespace loadline
