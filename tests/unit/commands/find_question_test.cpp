#include "commands/find_question.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <functional>
#include <string>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"

namespace loadline {
namespace {

namespace fs = std::filesystem;

// The question over the demo's model and data, whose cache lies in `cache`.
Json asked(const fs::path& cache, WorkloadOptions options = {}) {
  ::setenv("XDG_CACHE_HOME", cache.c_str(), 1);
  options.demo = true;
  const MachineFacts machine;
  const Workload workload = prepare_workload(options, machine, stderr);
  return question_document({}, workload, machine, {});
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
