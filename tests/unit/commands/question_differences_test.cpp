#include "commands/question_differences.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "base/json.h"

namespace loadline {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class QuestionDifferences : public testing::Test {
 protected:
  Json there_ = Json::parse(R"({
      "question": {
        "model": "aaaaaaaaaaaaaaaaaaaaaaaaaaaa", "data": "lengths", "rows": "ids",
        "valid_rows": null, "settings": {"quantize": "none", "grad_checkpoint": "auto"},
        "ranks": [32, 64], "layers": [6], "max_batch": 2, "sequences": [0],
        "checkpointing": [-1], "steps": 15, "memory_limit": null, "machine": "CPU, 2 cores"},
      "model": {"name": "ORG/NAME", "path": "/cache/NAME"},
      "data": {"path": "/d/train.jsonl", "rows": 9, "tokens": 90, "tokens_in_loss": 90,
               "valid": null}})");
  Json now_ = there_;
  Json& question_ = now_["question"];

  [[nodiscard]] std::vector<std::string> lines() const {
    return question_differences(there_, now_);
  }
};

TEST_F(QuestionDifferences, QuestionsThatAgreeHaveNone) { EXPECT_THAT(lines(), IsEmpty()); }

TEST_F(QuestionDifferences, EachPartIsNamedWithBothValues) {
  question_["ranks"] = {8};
  question_["max_batch"] = 3;
  question_["memory_limit"] = "20GiB";
  question_["settings"]["quantize"] = "nf4";
  question_["settings"]["grad_checkpoint"] = false;
  question_["settings"]["rslora"] = true;
  EXPECT_THAT(lines(),
              ElementsAre("grad_checkpoint: there auto, now off", "quantize: there none, now nf4",
                          "rslora: there none, now on", "max_batch: there 2, now 3",
                          "memory_limit: there none, now 20GiB", "ranks: there 32,64, now 8"));
}

TEST_F(QuestionDifferences, WhatIsComparedIsSaidAsItIsTyped) {
  question_["sequences"] = {512, 1024};
  question_["checkpointing"] = {0, 1};
  EXPECT_THAT(lines(), ElementsAre("checkpointing: there none, now off,on",
                                   "sequences: there none, now 512,1024"));
}

TEST_F(QuestionDifferences, AModelIsNamedAndOneOfTheSameNameByItsFingerprint) {
  question_["model"] = "bbbbbbbbbbbbbbbbbbbbbbbbbbbb";
  EXPECT_THAT(lines(), ElementsAre("model: ORG/NAME has another shape, or other weights: there "
                                   "aaaaaaaaaaaaaaaaaa, now bbbbbbbbbbbbbbbbbb"));
  now_["model"] = {{"path", "/m"}};
  EXPECT_THAT(lines(), ElementsAre("model: there ORG/NAME, now /m"));
}

TEST_F(QuestionDifferences, RowsAreNamedByTheirFileAndThoseOfTheSameFileByTheirNumbers) {
  question_["rows"] = "other ids";
  question_["data"] = "other lengths";
  EXPECT_THAT(lines(), ElementsAre("data: /d/train.jsonl has as many rows and tokens as it had, "
                                   "but not the same"));
  now_["data"]["tokens_in_loss"] = 40;
  EXPECT_THAT(lines(), ElementsAre("data: /d/train.jsonl: there 9 rows, 90 tokens, 90 in the loss, "
                                   "now 9 rows, 90 tokens, 40 in the loss"));
  now_["data"]["path"] = "/d/other.jsonl";
  question_["valid_rows"] = "ids too";
  now_["data"]["valid"] = {{"path", "/d/valid.jsonl"}};
  EXPECT_THAT(lines(), ElementsAre("data: there /d/train.jsonl, now /d/other.jsonl",
                                   "valid_data: there none, now /d/valid.jsonl"));
}

TEST_F(QuestionDifferences, SomethingIsNamedWhateverAnEarlierVersionWrote) {
  there_.erase("model");
  there_["data"] = "no document";
  question_["rows"] = "other ids";
  EXPECT_THAT(lines(), ElementsAre("data: there none, now /d/train.jsonl"));
  question_ = there_["question"];
  question_["data"] = "other lengths";
  EXPECT_THAT(lines(), ElementsAre("data: there lengths, now other lengths"));
}

}  // namespace
}  // namespace loadline
