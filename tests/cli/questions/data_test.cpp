// loadline data: what is wrong with rows, and what is remembered of it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <chrono>
#include <filesystem>
#include <string>

#include "base/file.h"
#include "base/json.h"
#include "cli/harness/program.h"

namespace loadline::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;

TEST(Data, BadRowsAreNamedAndLeftOutOnlyWhenAskedFor) {
  const Program program;
  const std::string file = program.write("d.jsonl",
                                         "{\"input_ids\":[1,2,3],\"auth_weight\":0.5,"
                                         "\"prov_entropy\":2}\n{\"text\":7}\nno JSON\n"
                                         "{\"input_ids\":[4]}\n{\"input_ids\":[1,2,3,4,5]}\n");
  const auto data = [&](const std::vector<std::string>& more) {
    return program.run(with({"data", "--model", demo_model(), "--data", file}, more));
  };
  // The second time, the packed file of the time between is in the cache.
  for (int time = 1; time <= 2; ++time) {
    const Ended refused = data({});
    EXPECT_EQ(refused.exit_code, 2);
    EXPECT_THAT(refused.err, HasSubstr("d.jsonl:2: 'text' should be a string"));
    EXPECT_THAT(refused.err, HasSubstr("d.jsonl:3: not valid JSON"));
    EXPECT_THAT(refused.err, HasSubstr("2 lines are bad, 2 are good"));
    const Ended skipped = data({"--skip-bad-rows", "--max-seq-length", "4"});
    EXPECT_EQ(skipped.exit_code, 0) << skipped.err;
    EXPECT_THAT(skipped.err, HasSubstr("2 bad lines are left out"));
    EXPECT_THAT(skipped.out, HasSubstr("1 without a token to predict"));
    EXPECT_THAT(skipped.out, HasSubstr("bad lines            2, left out"));
    EXPECT_THAT(
        skipped.out,
        HasSubstr("cut at 4             1 row is longer (50.0 %), 1 token is lost (12.5 %)"));
    EXPECT_THAT(skipped.out, HasSubstr("with distrust fields 1 (50.0 %)"));
  }
  const Json document = parse_json(data({"--skip-bad-rows", "--json"}).out, "stdout");
  EXPECT_EQ(document["rows"], 2);
  EXPECT_EQ(document["bad_lines"], 2);
  EXPECT_EQ(document["rows_too_short"], 1);
  EXPECT_EQ(document["lengths"].size(), 5U);
}

TEST(Data, RowsThatAreCutBeforeTheirAnswerAreLeftOutAndCounted) {
  const Program program;
  const auto row = [](int words) {
    std::string prompt;
    for (int i = 0; i < words; ++i) prompt += "the ";
    return R"({"prompt":")" + prompt + R"(","completion":"God"})" + "\n";
  };
  const auto data = [&](const std::string& file) {
    return program.run({"data", "--model", demo_model(), "--data", file, "--mask-prompt",
                        "--max-seq-length", "64"});
  };
  const Ended some = data(program.write("some.jsonl", row(2) + row(200) + row(100)));
  EXPECT_EQ(some.exit_code, 0) << some.err;
  EXPECT_THAT(some.out, HasSubstr("rows                 1\n"));
  EXPECT_THAT(some.out, HasSubstr("left out             2 without one within 64 tokens"));
  EXPECT_THAT(some.out, HasSubstr("cut at 64            2 rows are longer (66.7 %), "));
  const Ended none = data(program.write("none.jsonl", row(200)));
  EXPECT_EQ(none.exit_code, 2);
  EXPECT_THAT(none.err, HasSubstr("none.jsonl: no row has a token to predict within 64 tokens"));
}

// A cut that hides what it cuts would not help to choose one.
TEST(Data, LengthsAreThoseOfTheRowsBeforeTheyAreCut) {
  const Program program;
  std::string rows;
  for (const int length : {10, 20, 30, 40}) {
    rows += "{\"input_ids\":[1";
    for (int i = 1; i < length; ++i) rows += ",2";
    rows += "]}\n";
  }
  std::vector<std::string> words{
      "data", "--model", demo_model(), "--data", program.write("d.jsonl", rows), "--max-seq-length",
      "15"};
  const Ended ended = program.run(words);
  EXPECT_THAT(ended.out, HasSubstr("length before a cut  median 20, 90 % 40, 99 % 40, longest 40"));
  EXPECT_THAT(ended.out, HasSubstr("3 rows are longer (75.0 %), 45 tokens are lost (45.0 %)"));
  words.emplace_back("--json");
  const Json document = parse_json(program.run(words).out, "stdout");
  EXPECT_EQ(document["median_row"], 20);
  EXPECT_EQ(document["p90_row"], 40);
  EXPECT_EQ(document["longest_row"], 40);
  EXPECT_EQ(document["lengths"].back()["to"], 40);
  EXPECT_EQ(document["rows_truncated"], 3);
  EXPECT_EQ(document["tokens_truncated"], 45);
}

// With a foreign fingerprint a run would end at its first save.
TEST(Data, ADamagedFileInTheCacheIsPackedAnew) {
  const Program program;
  const std::string file = program.write("d.jsonl", "{\"input_ids\":[1,2,3]}\n");
  const auto data = [&] { return program.run({"data", "--model", demo_model(), "--data", file}); };
  const Ended first = data();
  std::filesystem::path packed;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(program.home())) {
    if (entry.path().extension() == ".packed") packed = entry.path();
  }
  const std::string whole = read_file(packed, 1_MiB);
  for (const std::size_t at : {8, 60, 63}) {  // the version, the fingerprint
    std::string damaged = whole;
    damaged[at] = at == 63 ? 'x' : '\x80';
    replace_file(packed, damaged);
    const Ended again = data();
    EXPECT_EQ(again.exit_code, 0) << again.err;
    EXPECT_THAT(again.err, HasSubstr("Tokenizing"));
    EXPECT_EQ(again.out, first.out);
    EXPECT_EQ(read_file(packed, 1_MiB), whole);
  }
  EXPECT_EQ(data().err, "");
}

TEST(Data, OfWhichMostLinesAreBadIsWarnedOfThoughTheyAreToBeSkipped) {
  const Program program;
  const std::string file =
      program.write("d.jsonl", "{\"input_ids\":[1,2,3]}\n{\"text\":7}\n{\"text\":8}\n");
  for (int time = 1; time <= 2; ++time) {  // tokenized, and found in the cache
    const Ended ended =
        program.run({"data", "--model", demo_model(), "--skip-bad-rows", "--data", file});
    EXPECT_EQ(ended.exit_code, 0) << ended.err;
    EXPECT_THAT(ended.err, HasSubstr("Warning: 2 of the 3 lines of " + file + " are bad"));
  }
}

TEST(Data, WithoutTheRoleOfTheAssistantIsWarnedOf) {
  const Program program;
  const std::string file = program.write(
      "d.jsonl", R"({"messages":[{"role":"human","content":"a"},{"role":"gpt","content":"b"}]})");
  const std::vector<std::string> data{"data", "--model", demo_model(), "--data", file};
  const Ended ended = program.run(data);
  EXPECT_EQ(ended.exit_code, 0) << ended.err;
  EXPECT_THAT(ended.err, AllOf(HasSubstr("Warning: "), HasSubstr("its roles are human, gpt")));
  EXPECT_THAT(program.run(data).err, HasSubstr("no message of 1 row has the role assistant"));
}

TEST(Data, TakesADumpOrADocument) {
  const Ended ended = Program().run({"data", "--demo", "--dump", "--json"});
  EXPECT_EQ(ended.exit_code, 2);
  EXPECT_THAT(ended.err, HasSubstr("--dump"));
}

TEST(Data, AFileOfBadRowsAloneIsRefusedWithTheirReasonsWhereTheyAreSkippedToo) {
  const Program program;
  const Ended ended = program.run({"data", "--model", demo_model(), "--skip-bad-rows", "--data",
                                   program.write("d.jsonl", "{\"text\":7}\nno JSON\n")});
  EXPECT_EQ(ended.exit_code, 2);
  EXPECT_THAT(ended.err, HasSubstr("there is no row to train on (2 lines; "));
  EXPECT_THAT(ended.err, HasSubstr("d.jsonl:1: 'text' should be a string"));
  EXPECT_THAT(ended.err, HasSubstr("d.jsonl:2: not valid JSON"));
}

TEST(Data, AValidationFileWithoutARowIsNamedAsThatWithTheWayOut) {
  const Program program;
  const std::string train = program.write("d/train.jsonl", "{\"text\":\"a row to train on\"}\n");
  const std::string valid = program.write("d/valid.jsonl", "");
  const Ended found = program.run({"data", "--model", demo_model(), "--data", train});
  EXPECT_EQ(found.exit_code, 2);
  EXPECT_THAT(found.err, AllOf(HasSubstr("valid.jsonl: there is no row to validate on (0 lines; "),
                               HasSubstr("beside the data"), HasSubstr("move it away")));
  const Ended given =
      program.run({"data", "--model", demo_model(), "--data", train, "--valid-data", valid});
  EXPECT_EQ(given.exit_code, 2);
  EXPECT_THAT(given.err, HasSubstr("Name a file with rows, or leave the flag out"));
}

TEST(Data, WhatIsNoRegularFileIsNamedWithTheWayOut) {
  const Program program;
  for (const char* data : {"/dev/null", "$HOME/pipe"}) {
    const Ended ended =
        program.run_in_shell(std::string("mkfifo $HOME/pipe 2>&-; $LOADLINE data --model '") +
                             demo_model() + "' --data " + data);
    EXPECT_EQ(ended.exit_code, 2);
    EXPECT_THAT(ended.err, HasSubstr("is not a regular file, and rows are read more than once"));
  }
}

TEST(Data, AFolderHasThreeSplits) {
  const Program program;
  for (const char* split : {"train", "valid", "test"}) {
    (void)program.write(std::string("d/") + split + ".jsonl", "{\"input_ids\":[1,2,3]}\n");
  }
  const Ended ended =
      program.run({"data", "--model", demo_model(), "--data", (program.home() / "d").string()});
  for (const char* split : {"train.jsonl", "valid.jsonl", "test.jsonl"}) {
    EXPECT_THAT(ended.out, HasSubstr(split));
  }
}

TEST(Data, CtrlCWhileItTokenizesEndsWithThreeAndLeavesNothingInTheCache) {
  const Program program;
  std::string rows;
  for (int i = 0; i < 100'000; ++i) rows += R"({"text":"row )" + std::to_string(i) + "\"}\n";
  const std::string file = program.write("d.jsonl", rows);
  const Ended ended = program.run_and_signal({"data", "--model", demo_model(), "--data", file},
                                             "Tokenizing", SIGINT);
  EXPECT_EQ(ended.exit_code, 3) << ended.err;
  EXPECT_THAT(ended.err, HasSubstr("d.jsonl: interrupted after "));
  EXPECT_TRUE(fs::is_empty(program.home() / ".cache/loadline/packed"));
}

TEST(Data, WhatAKilledTokenizingLeftIsRemovedADayLater) {
  const Program program;
  const std::string file = program.write("d.jsonl", "{\"text\":\"one two three\"}\n");
  const fs::path old = program.write(".cache/loadline/packed/a.packed.loadline-Ab12Cd", "half");
  const fs::path fresh = program.write(".cache/loadline/packed/b.packed.loadline-Ab12Cd", "half");
  const fs::path whole = program.write(".cache/loadline/packed/c.packed", "whole");
  const auto two_days_ago = fs::file_time_type::clock::now() - std::chrono::hours(48);
  for (const fs::path& path : {old, whole}) fs::last_write_time(path, two_days_ago);
  ASSERT_EQ(program.run({"data", "--model", demo_model(), "--data", file}).exit_code, 0);
  EXPECT_FALSE(fs::exists(old));
  EXPECT_TRUE(fs::exists(fresh)) << "somebody may be writing it";
  EXPECT_TRUE(fs::exists(whole));
}

}  // namespace
}  // namespace loadline::testing
