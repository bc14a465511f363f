#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <memory>
#include <string>

#include "cli/harness/program.h"

namespace loadline::testing {
namespace {

using ::testing::HasSubstr;

Ended tokenize_lines(const std::string& lines) {
  return Program().run({"tokenize", "--model", demo_model(), "--no-special", "--jsonl"}, lines);
}

TEST(Tokenize, TakesAStringALineAndGivesItsIdsALine) {
  const Ended ended = tokenize_lines("\"In the beginning\"\n\"\"\r\n  \"\\u0049n\"  \n\n\"In\"");
  EXPECT_EQ(ended.exit_code, 0) << ended.err;
  EXPECT_EQ(ended.out, "[1271,262,1664,1307]\n[]\n[1271]\n[1271]\n");
}

TEST(Tokenize, TakesHalvesOfSurrogatePairsForReplacementCharacters) {
  const Ended ended = tokenize_lines(
      "\"a\\ud800b\"\n\"a\xFF"
      "b\"\n\"a\\ufffdb\"\n");
  EXPECT_EQ(ended.exit_code, 0) << ended.err;
  const std::string first = ended.out.substr(0, ended.out.find('\n') + 1);
  EXPECT_EQ(ended.out, first + first + first);
}

TEST(Tokenize, TakesTheEmbeddedModelsTokenizerForTheDemo) {
  const Ended ended = Program().run({"tokenize", "--demo", "--no-special"}, "In the beginning");
  EXPECT_EQ(ended.exit_code, 0) << ended.err;
  EXPECT_EQ(ended.out, "1271 262 1664 1307\n");
  EXPECT_THAT(Program().run({"tokenize"}, "x").err, HasSubstr("--model DIR or ORG/NAME"));
  EXPECT_THAT(Program().run({"tokenize", "--demo", "--model", demo_model()}, "x").err,
              HasSubstr("--demo brings a model of its own"));
}

TEST(Tokenize, NamesTheLineThatIsNoString) {
  for (const char* line : {"{\"text\":\"a\"}", "\"a", "12", "\"\\ud8\""}) {
    const Ended ended = tokenize_lines("\"In\"\n" + std::string(line) + "\n");
    EXPECT_EQ(ended.exit_code, 2) << line;
    EXPECT_THAT(ended.err, HasSubstr("stdin:2")) << line;
    EXPECT_EQ(ended.out, "[1271]\n") << line;
  }
}

TEST(Tokenize, AnswersEachLineBeforeItWaitsForTheNext) {
  const TemporaryFolder folder;
  const std::string pipe = (folder.path() / "pipe").string();
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  const std::string command = fmt::format("'{}/loadline' tokenize --model '{}' --jsonl < '{}'",
                                          LOADLINE_BINARY_DIR, demo_model(), pipe);
  const std::unique_ptr<FILE, int (*)(FILE*)> answers(::popen(command.c_str(), "r"), ::pclose);
  ASSERT_NE(answers, nullptr);
  const FileDescriptor questions(::open(pipe.c_str(), O_WRONLY | O_CLOEXEC));
  ASSERT_EQ(::write(questions.get(), "\"In\"\n", 5), 5);
  pollfd polled{::fileno(answers.get()), POLLIN, 0};
  EXPECT_EQ(::poll(&polled, 1, 60'000), 1) << "no answer within a minute";
}

}  // namespace
}  // namespace loadline::testing
