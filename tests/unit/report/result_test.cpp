#include "report/result.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/json.h"
#include "unit/report/example_result.h"

namespace loadline {
namespace {

using testing::example_limits;
using testing::example_result;

ResultContext example_context() {
  ResultContext context;
  context.model = {{"path", "demo/model"}};
  context.data = {{"rows", 890}};
  context.limits = example_limits();
  context.run_folder = "runs/1";
  context.versions = {{"oneDNN", "2.6.0"}};
  return context;
}

Json example_document() { return result_document(example_result(), example_context()); }

TEST(Result, HasEveryFieldThatTheDocumentPromises) {
  const Json document = example_document();
  for (const char* field :
       {"schema_version", "status", "budget_bytes", "margin", "objective", "optimal", "balanced",
        "largest", "fastest", "frontier", "pareto", "trials", "profile", "run_dir", "machine",
        "model", "data", "versions"}) {
    EXPECT_TRUE(document.contains(field)) << field;
  }
  for (const char* choice : {"optimal", "largest", "fastest"}) {
    for (const char* field :
         {"batch_size", "lora_rank", "lora_layers", "peak_bytes", "adjusted_bytes", "step_seconds",
          "tokens_per_second", "slowed_by_others", "trial"}) {
      EXPECT_TRUE(document[choice].contains(field)) << choice << " " << field;
    }
  }
  for (const char* field : {"id", "spec", "outcome", "planned_bytes", "peak_bytes",
                            "adjusted_bytes", "tokens_per_second", "steps", "growth", "coverage"}) {
    EXPECT_TRUE(document["trials"][0].contains(field)) << field;
  }
  for (const char* field : {"lora_rank", "lora_layers", "max_batch", "basis"}) {
    EXPECT_TRUE(document["frontier"][0].contains(field)) << field;
  }
}

TEST(Result, SaysOfCheckpointingWhatHoldsForAllTrialsAndNothingWhereBothAreCompared) {
  ResultContext context = example_context();
  context.grad_checkpoint = true;
  EXPECT_EQ(result_document(example_result(), context)["grad_checkpoint"], true);
  context.grad_checkpoint.reset();
  EXPECT_FALSE(result_document(example_result(), context).contains("grad_checkpoint"));
}

TEST(Result, SaysWhatWasMeasuredInTheTrialsOwnNumbers) {
  const Json document = example_document();
  EXPECT_EQ(document["status"], "complete");
  EXPECT_EQ(document["budget_bytes"], (20480_MiB).count);
  EXPECT_EQ(document["optimal"]["batch_size"], 17);
  EXPECT_EQ(document["optimal"]["peak_bytes"], (16086_MiB).count);
  EXPECT_EQ(document["optimal"]["adjusted_bytes"], adjusted(16086_MiB, 0.15).count);
  EXPECT_EQ(document["optimal"]["trial"], 2);
  EXPECT_EQ(document["next_larger"]["batch_size"], 18);
  EXPECT_EQ(document["next_larger"]["outcome"], "exceeds_budget");
  EXPECT_EQ(document["next_larger"]["basis"], "measured");
  EXPECT_EQ(document["trials"][2]["outcome"], "exceeds_budget");
  EXPECT_EQ(document["trials"][1]["spec"]["lora_rank"], 128);
  EXPECT_NEAR(document["trials"][1]["measured_over_planned"].get<double>(), 1 / 0.99, 1e-6);
  EXPECT_EQ(document["frontier"][1]["basis"], "planned");
  EXPECT_EQ(document["frontier"][2]["basis"], "measured");
  EXPECT_EQ(document["versions"]["oneDNN"], "2.6.0");
  EXPECT_EQ(document["versions"]["loadline"], LOADLINE_VERSION);
}

TEST(Result, WithoutAFitChoosesNothing) {
  SearchResult result;
  result.trials = {testing::example_trial(1, {1, 8, 4}, Verdict::kExceedsBudget, 900_MiB, 0, 0)};
  const Json document = result_document(result, example_context());
  EXPECT_EQ(document["status"], "nothing_fits");
  EXPECT_TRUE(document["optimal"].is_null());
  EXPECT_TRUE(document["next_larger"].is_null());
  EXPECT_TRUE(document["profile"].is_null());
}

TEST(Result, OfAnUnfinishedSearchSaysWhatEndedIt) {
  SearchResult result = example_result();
  result.status = SearchResult::Status::kUnfinished;
  result.stopped_by = "the time limit was reached";
  result.frontier[0].settled = false;
  const Json document = result_document(result, example_context());
  EXPECT_EQ(document["status"], "unfinished");
  EXPECT_EQ(document["stopped_by"], "the time limit was reached");
  EXPECT_EQ(document["frontier"][0]["settled"], false);
}

TEST(Result, StaysJsonWithNumbersThatAreNone) {
  SearchResult result = example_result();
  result.trials[2].outcome.steps[0].loss = NAN;
  result.trials[2].outcome.peak.reset();
  result.trials[2].outcome.growth = Growth{.relative = INFINITY};
  const Json document = result_document(result, example_context());
  const Json read = parse_json(document.dump(), "result");
  EXPECT_TRUE(read["trials"][2]["steps"][0]["loss"].is_null());
  EXPECT_TRUE(read["trials"][2]["peak_bytes"].is_null());
  EXPECT_TRUE(read["trials"][2]["measured_over_planned"].is_null());
}

TEST(Result, NamesTheTrialThatClosedACellForAnotherReasonThanMemory) {
  SearchResult result = example_result();
  result.trials.push_back(
      testing::example_trial(5, {12, 128, 24}, Verdict::kTimedOut, 100_MiB, 0, 0));
  result.frontier[3].unusable = 4;
  const Json cell = result_document(result, example_context())["frontier"][3];
  EXPECT_EQ(cell["unusable"]["outcome"], "timed_out");
  EXPECT_EQ(cell["unusable"]["batch_size"], 12);
}

TEST(Result, ACellOfWhichNothingIsKnownHasNoBasis) {
  SearchResult result = testing::example_result();
  result.status = SearchResult::Status::kUnfinished;
  result.frontier[0] = {.lora_rank = 64, .lora_layers = 16, .unusable = {}};
  result.frontier[1] = {.lora_rank = 64, .lora_layers = 24, .settled = true, .unusable = {}};
  const Json document = result_document(result, example_context());
  EXPECT_EQ(document["frontier"][0]["max_batch"], 0);
  EXPECT_TRUE(document["frontier"][0]["basis"].is_null());
  EXPECT_EQ(document["frontier"][1]["basis"], "measured") << "not even 1 fits: that was measured";
}

}  // namespace
}  // namespace loadline
