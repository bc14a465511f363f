#include "workload/cache.h"

#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>

#include "base/file.h"
#include "unit/environment.h"

namespace loadline {
namespace {

namespace fs = std::filesystem;
using std::chrono::hours;

class KeptWeights : public ::testing::Test {
 protected:
  KeptWeights() { environment_.set("XDG_CACHE_HOME", folder_.path().string()); }

  static fs::path place(Quantization quantize) {
    return prepared_weights_of(WeightFiles(LOADLINE_SOURCE_DIR "/demo/model"),
                               {.compute = DType::kBf16, .quantize = quantize});
  }
  fs::path put(const std::string& name, hours age) const {
    fs::path file = folder_.path() / "loadline" / "prepared" / name;
    make_folder(file.parent_path());
    replace_file(file, "x");
    fs::last_write_time(file, fs::file_time_type::clock::now() - age);
    return file;
  }

  Environment environment_;
  TemporaryFolder folder_;
};

TEST_F(KeptWeights, GoWhenNobodyUsedThemForAMonthAndOthersAreMade) {
  const fs::path unused = put("0.weights", hours(24 * 31));
  const fs::path recent = put("1.weights", hours(24 * 29));
  const fs::path other = put("2.txt", hours(24 * 31));
  const fs::path made = place(Quantization::kNf4);
  EXPECT_EQ(made.parent_path(), unused.parent_path());
  EXPECT_FALSE(fs::exists(unused));
  EXPECT_TRUE(fs::exists(recent));
  EXPECT_TRUE(fs::exists(other));
}

TEST_F(KeptWeights, StayWhereTheyAreUsed) {
  const fs::path kept = put(place(Quantization::kNf4).filename(), hours(24 * 31));
  EXPECT_EQ(place(Quantization::kNf4), kept);
  EXPECT_NE(place(Quantization::kNone), kept) << "and others are made";
  EXPECT_TRUE(fs::exists(kept));
}

TEST_F(KeptWeights, LieNowhereElseWhereTheCacheCannotBeWritten) {
  environment_.set("XDG_CACHE_HOME", "/proc/nowhere");
  EXPECT_EQ(place(Quantization::kNf4).parent_path(), "/proc/nowhere/loadline/prepared")
      << "a temporary folder may lie in memory";
}

}  // namespace
}  // namespace loadline
