// Training on quantized weights, from outside.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "base/json.h"
#include "cli/harness/program.h"

namespace loadline::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

std::vector<std::string> training(const fs::path& adapter) {
  return on_demo(
      "train --quantize nf4 --batch-size 2 --lora-rank 4 --lora-layers 2 --max-seq-length 64 "
      "--max-steps 3 --distrust off",
      {"--adapter-path", adapter.string()});
}

TEST(Quantized, TrainingFromPreparedWeightsGivesTheAdapterOfTheRunThatPreparedThem) {
  const Program program;
  const Ended first = program.run(training(program.home() / "first"));
  ASSERT_EQ(first.exit_code, 0) << first.err;
  EXPECT_THAT(first.out + first.err, HasSubstr("will be kept in"));
  const Ended second = program.run(training(program.home() / "second"));
  ASSERT_EQ(second.exit_code, 0) << second.err;
  EXPECT_THAT(second.out + second.err, ::testing::Not(HasSubstr("will be kept in")));
  const auto weights = [&](const char* run) {
    return read_file(program.home() / run / "adapter_model.safetensors", 64_MiB);
  };
  EXPECT_EQ(weights("first"), weights("second"));
}

TEST(Quantized, ThePlanIsSmallerAndNamesWhatIsInFourBits) {
  const Program program;
  const auto plan = [&](const std::string& quantize) {
    const Ended ended = program.run({"plan", "--demo", "--quantize", quantize, "--json"});
    EXPECT_EQ(ended.exit_code, 0) << ended.err;
    return parse_json(ended.out, "stdout");
  };
  const Json dense = plan("none");
  const Json small = plan("nf4");
  EXPECT_LT(small["total_bytes"].get<std::int64_t>(), dense["total_bytes"].get<std::int64_t>());
  std::int64_t quantized = 0;
  for (const Json& line : small["lines"]) quantized += line["dtype"] == "nf4" ? 1 : 0;
  EXPECT_EQ(quantized, 4 * 6) << "q,k,v, o, gate,up and down of six layers";
}

}  // namespace
}  // namespace loadline::testing
