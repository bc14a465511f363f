#include "commands/find_output.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "base/error.h"
#include "base/file.h"

namespace loadline {
namespace {

namespace fs = std::filesystem;

// What is said where `output` has this content.
std::string refusal_over(const std::string& content) {
  const TemporaryFolder folder;
  const std::filesystem::path output = folder.path() / "answer.json";
  replace_file(output, content);
  try {
    require_output(output, {}, folder.path() / "run");
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUsage);
    return error.what();
  }
  EXPECT_EQ(read_file(output, 1_KiB), content);
  return "";
}

TEST(FindOutput, AFileThatIsNoEarlierResultIsNotReplaced) {
  EXPECT_THAT(refusal_over(R"({"model_type":"llama","hidden_size":64})"),
              testing::HasSubstr("is no result of an earlier search"));
  EXPECT_THAT(refusal_over("my notes"), testing::HasSubstr("is no result"));
  EXPECT_THAT(refusal_over("[1]"), testing::HasSubstr("is no result"));
}

TEST(FindOutput, ADocumentOfAnotherKindIsNotReplaced) {
  for (const char* document : {
           R"({"schema_version":1,"status":"complete","steps":8,"loss":2.5})",
           R"({"schema_version":1,"status":"error","exit_code":2,"message":"wrong"})",
           R"({"schema_version":1,"status":"complete","trials":3,"frontier":{}})",
       }) {
    EXPECT_THAT(refusal_over(document), testing::HasSubstr("is no result")) << document;
  }
}

TEST(FindOutput, AnEarlierResultAndAnEmptyFileAreReplaced) {
  EXPECT_EQ(refusal_over(R"({"schema_version":1,"status":"complete","frontier":[],"trials":[]})"),
            "");
  EXPECT_EQ(refusal_over(""), "");
}

TEST(FindOutput, ADashIsNoFileAndTheFlagThatWritesToStdoutIsNamed) {
  try {
    require_output("-", {}, "run");
    FAIL() << "not refused";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUsage);
    EXPECT_THAT(error.what(), testing::HasSubstr("--json writes the document to stdout"));
  }
}

TEST(FindOutput, OfALinkTheFileIsWrittenThatItLeadsTo) {
  const TemporaryFolder folder;
  const fs::path place = fs::canonical(folder.path());
  fs::create_symlink("there.json", place / "link");
  fs::create_symlink("link", place / "link-to-link");
  for (const bool is_there : {false, true}) {
    if (is_there) replace_file(place / "there.json", "");
    for (const char* name : {"link", "link-to-link", "there.json"}) {
      EXPECT_EQ(require_output(place / name, {}, place / "run"), place / "there.json") << name;
    }
  }
}

TEST(FindOutput, ALinkThatLeadsNowhereIsRefused) {
  const TemporaryFolder folder;
  fs::create_symlink("circle", folder.path() / "circle");
  try {
    require_output(folder.path() / "circle", {}, folder.path() / "run");
    FAIL() << "not refused";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUsage);
  }
}

}  // namespace
}  // namespace loadline
