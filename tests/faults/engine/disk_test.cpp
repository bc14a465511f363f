// The disk is full at each write of a training run and of what a search leaves behind.
#include <gmock/gmock.h>

#include <set>

#include "base/error.h"
#include "base/json.h"
#include "checkpoint/safetensors.h"
#include "engine_fault.h"
#include "faults/small_disk.h"
#include "report/profile.h"

namespace loadline {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class DiskOfTheEngine : public EngineFaults {
 protected:
  void SetUp() override {
    if (!SmallDisk::why_not().empty()) GTEST_SKIP() << SmallDisk::why_not();
  }
};

// Empty when it went well; else what was said, which must name the disk's file and the reason.
std::string refusal_of(const SmallDisk& disk, const std::function<void()>& write) {
  try {
    write();
    return "";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kEnvironment) << error.what();
    EXPECT_THAT(error.what(), HasSubstr(disk.path().string()));
    return error.what();
  }
}

// Runs `write` on a disk with more and more room until it goes well. Returns how often it did not.
// What a failed one leaves behind is for `look` to judge.
int until_it_fits(const std::function<void(const fs::path&)>& write,
                  const std::function<void(const fs::path&)>& look) {
  int refused = 0;
  for (std::size_t pages = 0; pages < 4096; pages = pages < 4 ? pages + 1 : pages + pages / 2) {
    SCOPED_TRACE(pages);
    const SmallDisk disk(20_MiB);
    disk.leave(pages);
    const std::string refusal = refusal_of(disk, [&] { write(disk.path()); });
    if (refusal.empty()) return refused;
    EXPECT_THAT(refusal, HasSubstr("No space left on device"));
    ++refused;
    look(disk.path());
  }
  ADD_FAILURE() << "it never fitted";
  return refused;
}

// All files but the filler.
std::set<std::string> files_in(const fs::path& folder) {
  std::set<std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file() && entry.path().filename() != "filler") {
      files.insert(entry.path().filename().string());
    }
  }
  return files;
}

TEST_F(DiskOfTheEngine, AnAdapterIsThereWholeOrNotAtAll) {
  TrainingSettings s = small();
  const auto train = [&](const fs::path& disk) {
    s.adapter_path = disk / "adapter";
    run(s);
  };
  const auto look = [&](const fs::path& disk) {
    for (const auto& entry : fs::recursive_directory_iterator(disk)) {
      const fs::path& file = entry.path();
      if (!entry.is_regular_file() || file.filename() == "filler") continue;
      if (file.extension() == ".safetensors") {
        EXPECT_GT(read_safetensors_header(file).tensors.size(), 0U);
      } else if (file.extension() == ".json") {
        EXPECT_TRUE(read_json(file).is_object());
      } else {
        // One that is being written has six letters behind its name.
        EXPECT_TRUE(file.extension() == ".jsonl" || file.filename() == "latest") << file;
      }
    }
  };
  EXPECT_GE(until_it_fits(train, look), 5);
}

TEST_F(DiskOfTheEngine, AReadOnlyAdapterFolderIsRefusedBeforeTheFirstStep) {
  TrainingSettings s = small();
  const SmallDisk disk(1_MiB);
  disk.make_read_only();
  s.adapter_path = disk.path();
  EXPECT_THAT(refusal_of(disk, [&] { run(s); }), HasSubstr("Read-only file system"));
}

TEST_F(DiskOfTheEngine, APackedFileIsThereWholeOrNotAtAll) {
  const auto pack = [](const fs::path& disk) {
    write_packed(disk / "rows.packed", made_up_rows(4000));
  };
  const auto look = [](const fs::path& disk) {
    EXPECT_EQ(files_in(disk), std::set<std::string>{});
  };
  EXPECT_GE(until_it_fits(pack, look), 5);
}

TEST_F(DiskOfTheEngine, AProfileAndAResultAreThereWholeOrNotAtAll) {
  Profile profile;
  profile.created = "2026-11-23T15:04:05Z";
  profile.model_path = "/models/demo";
  const auto nothing = [](const fs::path& disk) {
    EXPECT_EQ(files_in(disk), std::set<std::string>{});
  };
  EXPECT_GE(until_it_fits([&](const fs::path& disk) { save_profile(disk, profile); }, nothing), 1);
  const std::string document(50'000, 'x');
  const auto result = [&](const fs::path& disk) { replace_file(disk / "result.json", document); };
  EXPECT_GE(until_it_fits(result, nothing), 5);
}

}  // namespace
}  // namespace loadline
