#include "workload/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <CLI/CLI.hpp>
#include <string>

#include "base/error.h"
#include "commands/command.h"
#include "commands/train_options.h"

namespace loadline {
namespace {

using testing::HasSubstr;
using testing::Not;

std::string help_of(CommandFunction (*add)(Flags)) {
  CLI::App app;
  add(Flags(app));
  return app.help();
}

std::string refusal_of(const WorkloadOptions& options) {
  try {
    validate(options);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(WorkloadOptions, WhatOnlyFindComparesIsSaidInItsHelpAndItsErrors) {
  EXPECT_THAT(help_of(add_find),
              AllOf(HasSubstr("both: compared"), HasSubstr("512,1024"), HasSubstr("-1 or all")));
  EXPECT_THAT(help_of(add_train),
              AllOf(Not(HasSubstr("both: compared")), Not(HasSubstr("512,1024"))));
  WorkloadOptions options;
  options.grad_checkpoint = "maybe";
  EXPECT_THAT(refusal_of(options), HasSubstr("one of auto, on, off"));
  EXPECT_THAT(refusal_of(options), Not(HasSubstr("both")));
  options.compares = true;
  EXPECT_THAT(refusal_of(options), HasSubstr("one of auto, on, off, both"));
}

TEST(ParseDuration, TakesHoursMinutesAndSecondsAndANumberAloneAsSeconds) {
  const auto seconds = [](const char* text) {
    return parse_duration(text, "--time-limit").count();
  };
  EXPECT_EQ(seconds("45"), 45);
  EXPECT_EQ(seconds("90s"), 90);
  EXPECT_EQ(seconds("5min"), 300);
  EXPECT_EQ(seconds("1h30m"), 5400);
  EXPECT_EQ(seconds("1h1m1s"), 3661);
  EXPECT_EQ(seconds("1.5h"), 5400);
  EXPECT_EQ(seconds("90 s"), 90);
  EXPECT_EQ(seconds("1h 30m"), 5400);
  for (const char* wrong : {"", "0", "0s", "-5m", "5x", "30m1h", "1h30", "1m1min", "m", "1e3s",
                            "nan", "inf", "0.4", "1 30", "9 0s"}) {
    EXPECT_THROW(seconds(wrong), Error) << wrong;
  }
  try {
    seconds("soon");
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("a number alone means seconds"));
  }
}

TEST(WorkloadOptions, WhatTrainNeedsForTheSameRunIsWhatWasGiven) {
  EXPECT_THAT(words_for_train({}), testing::IsEmpty());
  WorkloadOptions options;
  options.valid_data = "/d/v.jsonl";
  options.mask_prompt = options.skip_bad_rows = options.rslora = true;
  options.template_date = "2026-11-28";
  options.lora_alpha = 32;
  options.lora_dropout = 0.05;
  options.seed = 7;
  options.distrust = "additive";
  options.distrust_alpha = 2.5;
  options.distrust_lambda = 0.5;
  options.memory_limit = "20GiB";
  options.margin = 0.2;
  const std::vector<std::string> words = words_for_train(options);
  TrainOptions again;
  CLI::App app;
  add_train_flags(Flags(app), again);
  app.parse(std::vector<std::string>(words.rbegin(), words.rend()));
  EXPECT_EQ(words_for_train(again.workload), words);
  EXPECT_EQ(words.size(), 23U);
}

TEST(Dates, AreDaysThatThereAre) {
  using namespace std::chrono;
  EXPECT_EQ(parse_date("2024-02-29", "--template-date"), year(2024) / 2 / 29);
  for (const char* text : {"", "2026-02-29", "2026-13-01", "2026-1-1", "26-01-01", "2026/01/01",
                           "2026-01-0x", "-026-01-01", "2026-01-011"}) {
    EXPECT_THROW((void)parse_date(text, "--template-date"), Error) << text;
  }
}

TEST(Numbers, AreARisingListInWhichAllMayStandForTheModelsLayers) {
  using testing::ElementsAre;
  EXPECT_THAT(parse_numbers("16,8,8", "--ranks"), ElementsAre(8, 16));
  EXPECT_THAT(parse_numbers("2,all", "--layers-grid", 6), ElementsAre(2, 6));
  EXPECT_THAT(parse_numbers("-1,2", "--layers-grid", 6), ElementsAre(2, 6));
  EXPECT_THAT(parse_numbers("all", "--layers-grid", 6), ElementsAre(6));
  for (const char* text : {"", "0", "8,", "8;16", "-2", "all"}) {
    EXPECT_THROW((void)parse_numbers(text, "--ranks"), Error) << text;
  }
  EXPECT_THROW((void)parse_numbers("2,-2", "--layers-grid", 6), Error);
}

}  // namespace
}  // namespace loadline
