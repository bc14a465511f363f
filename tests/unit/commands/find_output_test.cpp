#include "commands/find_output.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "base/error.h"
#include "base/file.h"

namespace loadline {
namespace {

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

}  // namespace
}  // namespace loadline
