#include "commands/find_question.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <functional>
#include <string>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "commands/search_folder.h"

namespace loadline {
namespace {

namespace fs = std::filesystem;

// The question over the demo's model and data, whose cache lies in `cache`.
Json asked(const fs::path& cache, WorkloadOptions options = {}) {
  ::setenv("XDG_CACHE_HOME", cache.c_str(), 1);
  options.demo = true;
  const MachineFacts machine;
  const Workload workload = prepare_workload(options, machine, stderr);
  return question_document({}, workload, machine, options.memory_limit);
}

TEST(FindQuestion, ASearchGoesOnWhereItsCacheLiesElsewhere) {
  const TemporaryFolder one, other;
  WorkloadOptions quantized;
  quantized.quantize = "nf4";
  EXPECT_EQ(asked(one.path(), quantized), asked(other.path(), quantized));
}

TEST(FindQuestion, OtherValidationRowsAreAnotherQuestion) {
  const TemporaryFolder folder;
  const fs::path rows = folder.path() / "rows.jsonl";
  WorkloadOptions options;
  options.valid_data = rows.string();
  replace_file(rows, "{\"text\": \"one row\"}\n");
  const Json first = asked(folder.path(), options);
  EXPECT_EQ(asked(folder.path(), options), first);
  replace_file(rows, "{\"text\": \"another row\"}\n");
  EXPECT_NE(asked(folder.path(), options), first);
}

TEST(FindQuestion, AMemoryLimitIsTheSameHoweverItIsSpelled) {
  const TemporaryFolder folder;
  const auto limit_in = [&](const std::string& typed) {
    WorkloadOptions options;
    options.memory_limit = typed;
    return asked(folder.path(), options).at("memory_limit");
  };
  for (const char* same : {"20GiB", "20GB", "20 g", "20480MiB", "21474836480"}) {
    EXPECT_EQ(limit_in(same), "20GiB") << same;
  }
  EXPECT_EQ(limit_in("1.5GiB"), "1536MiB");
  EXPECT_EQ(limit_in("21474836481"), "21474836481B");
}

// Searches over the demo, in a folder of their own, on days with different budgets.
class PlaceOfSearch : public testing::Test {
 protected:
  PlaceOfSearch() {
    ::setenv("XDG_CACHE_HOME", folder_.path().c_str(), 1);
    ::setenv("XDG_STATE_HOME", folder_.path().c_str(), 1);
  }
  // Begins the search, or goes on with it, and says whether it recomputes.
  bool recomputes(Bytes budget, bool restart = false, const std::string& typed = "auto") {
    WorkloadOptions options;
    options.demo = true;
    options.grad_checkpoint = typed;
    const MachineFacts machine;
    Workload workload = prepare_workload(options, machine, stderr);
    FindQuestion question;
    question.space = {.ranks = {8}, .layers = {6}, .max_batch = 2};
    question.limits.budget = budget;
    place_ = place_of_search(workload, question, machine, {}, run_dir_, restart);
    const bool on = workload.base.checkpointing == ActivationCheckpointing::kOn;
    open_search_folder(place_.folder, {{"question", place_.question}, {"grad_checkpoint", on}},
                       restart, folder_.path() / "profiles", [](const std::string&) {});
    EXPECT_FALSE(workload.checkpointing_auto) << "trials have it or have it not";
    return on;
  }

  TemporaryFolder folder_;
  std::optional<std::string> run_dir_;
  SearchPlace place_;
};

constexpr Bytes kMuch = 4_GiB, kLittle = 1_MiB;

TEST_F(PlaceOfSearch, ASearchKeepsWhatAutoStoodForWhenItBegan) {
  for (const bool has_folder : {false, true}) {
    if (has_folder) run_dir_ = (folder_.path() / "mine").string();
    EXPECT_FALSE(recomputes(kMuch));
    const fs::path begun = place_.folder;
    EXPECT_FALSE(recomputes(kMuch));
    EXPECT_EQ(place_.note, "");
    EXPECT_FALSE(recomputes(kLittle)) << "its trials would not compare";
    EXPECT_EQ(place_.folder, begun);
    EXPECT_THAT(place_.note,
                testing::AllOf(testing::HasSubstr("auto was off when this search began"),
                               testing::HasSubstr("--grad-checkpoint on asks that")));
    EXPECT_TRUE(recomputes(kLittle, true)) << "a restart begins anew";
    EXPECT_TRUE(recomputes(kMuch));
    EXPECT_EQ(place_.folder, begun);
  }
}

TEST_F(PlaceOfSearch, TheDemosSearchesAreCalledDemo) {
  recomputes(kMuch);
  EXPECT_THAT(place_.folder.filename().string(), testing::MatchesRegex("demo-[0-9a-f]+"));
}

TEST_F(PlaceOfSearch, WhatWasTypedIsAnotherQuestionThanAuto) {
  EXPECT_FALSE(recomputes(kMuch, false, "off"));
  const fs::path typed = place_.folder;
  EXPECT_FALSE(recomputes(kMuch));
  EXPECT_NE(place_.folder, typed);
}

TEST_F(PlaceOfSearch, ASearchThatAnEarlierVersionBeganGoesOn) {
  EXPECT_FALSE(recomputes(kMuch, false, "off"));
  const fs::path begun = place_.folder;
  const Json earlier{{"question", place_.question}};  // auto stood for off, and it told no more
  replace_file(begun / "run.json", earlier.dump());
  EXPECT_FALSE(recomputes(kMuch));
  EXPECT_EQ(place_.folder, begun);
  EXPECT_EQ(place_.question, earlier.at("question"));
}

std::string refusal_of(const std::function<void()>& read) {
  try {
    read();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(FindGrid, ANumberThatCannotBeIsNamedWithItsFlagAndWhatCouldBe) {
  ModelConfig model;
  model.layers = 6;
  EXPECT_THAT(refusal_of([] { ranks_in("8,100000"); }),
              testing::AllOf(testing::HasSubstr("--ranks 8,100000: 100000 "),
                             testing::HasSubstr("between 1 and 16384")));
  EXPECT_THAT(refusal_of([&] { layers_in("2,8,16", model); }),
              testing::AllOf(testing::HasSubstr("--layers-grid 2,8,16: 16 "),
                             testing::HasSubstr("the model has 6 layers, so 1 to 6, or all")));
  EXPECT_THAT(layers_in(std::nullopt, model), testing::ElementsAre(6));
}

}  // namespace
}  // namespace loadline
