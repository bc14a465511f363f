#include "workload/packing.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <memory>

#include "base/file.h"
#include "checkpoint/config.h"
#include "unit/environment.h"

namespace loadline {
namespace {

namespace fs = std::filesystem;
using std::chrono::hours;

class Packing : public ::testing::Test {
 protected:
  Packing() { environment_.set("XDG_CACHE_HOME", folder_.path().string()); }

  // The packed file of a data set with `rows` rows.
  fs::path pack(int rows) {
    const fs::path data = folder_.path() / (std::to_string(rows) + ".jsonl");
    std::string text;
    for (int i = 0; i < rows; ++i) text += "{\"input_ids\":[1,2,3]}\n";
    replace_file(data, text);
    Workload workload;
    workload.model_folder = LOADLINE_SOURCE_DIR "/demo/model";
    workload.model = read_config(workload.model_folder);
    pack_workload(workload, {}, data.string(), out_.get());
    return workload.train->packed;
  }
  static void age(const fs::path& file, hours time) {
    fs::last_write_time(file, fs::file_time_type::clock::now() - time);
  }

  Environment environment_;
  TemporaryFolder folder_;
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> out_{std::tmpfile(), std::fclose};
};

TEST_F(Packing, WhatNobodyUsedForAMonthGoesWhenAnotherDataSetIsPacked) {
  const fs::path unused = pack(1);
  const fs::path used = pack(2);
  const fs::path recent = pack(3);
  for (const fs::path& file : {unused, used}) age(file, hours(24 * 31));
  age(recent, hours(24 * 29));
  EXPECT_EQ(pack(2), used);
  EXPECT_TRUE(fs::exists(unused)) << "finding one removes nothing";
  pack(4);
  EXPECT_FALSE(fs::exists(unused));
  EXPECT_TRUE(fs::exists(used));
  EXPECT_TRUE(fs::exists(recent));
}

}  // namespace
}  // namespace loadline
