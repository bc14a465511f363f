#include "text/data_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <functional>

#include "base/error.h"
#include "base/file.h"
#include "text/byte_source.h"

namespace loadline {
namespace {

namespace fs = std::filesystem;

// What `look` throws to a user who may not look into `folder`, "" if nothing.
std::string refused(const fs::path& folder, const std::function<void()>& look) {
  const uid_t self = ::geteuid();
  fs::permissions(folder, self == 0 ? fs::perms::owner_all : fs::perms::none);
  if (self == 0 && ::seteuid(65534) != 0) return "";  // root may look at all
  std::string message;
  try {
    look();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kEnvironment) << error.what();
    message = error.what();
  }
  if (self == 0 && ::seteuid(0) != 0) ADD_FAILURE() << "goes on as nobody";
  fs::permissions(folder, fs::perms::owner_all);
  return message;
}

TEST(DataFiles, ThatMayNotBeLookedAtAreTheEnvironmentsFault) {
  const TemporaryFolder home;
  const fs::path folder = home.path() / "closed";
  make_folder(folder);
  replace_file(folder / "rows.jsonl", "");
  const auto names_the_file = ::testing::HasSubstr("rows.jsonl: cannot be looked at: Permission");
  EXPECT_THAT(refused(folder, [&] { (void)resolve_data(folder / "rows.jsonl"); }), names_the_file);
  EXPECT_THAT(refused(folder, [&] { (void)regular_size(folder / "rows.jsonl"); }), names_the_file);
}

}  // namespace
}  // namespace loadline
