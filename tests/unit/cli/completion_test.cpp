#include "cli/completion.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <fstream>
#include <string>

#include "base/error.h"
#include "cli/flags.h"

namespace loadline {
namespace {

using testing::HasSubstr;
using testing::Not;

struct Completed {
  CLI::App app{"What it is for", "loadline"};
  std::string mode, path, name, shell;
  Completed() {
    Flags train(*app.add_subcommand("train", "It's [the] way: a\\b"));
    train.value("--mode,--way slow|fast", mode, "How it goes");
    train.value("--path FILE", path, "Where");
    Flags(*app.add_subcommand("profile", "Profiles")).command("show", "One").word("name", name, "");
    Flags(*app.add_subcommand("spell", "Spell")).word("shell bash|zsh", shell, "Of which");
    app.add_subcommand("worker", "")->group("");
  }
};

// What bash offers behind these words, the last of which is being typed.
std::string offered(const std::string& words) {
  const std::string file = testing::TempDir() + "/completion.bash";
  std::ofstream(file) << completion_script(Completed().app, "bash") << "COMP_WORDS=(" << words
                      << ")\nCOMP_CWORD=$(( ${#COMP_WORDS[@]} - 1 ))\n"
                      << "_loadline\necho \"${COMPREPLY[*]}\"\n";
  std::FILE* pipe = popen(("bash " + file).c_str(), "r");
  std::string text;
  for (int c = std::fgetc(pipe); c != EOF && c != '\n'; c = std::fgetc(pipe)) {
    text += static_cast<char>(c);
  }
  EXPECT_EQ(pclose(pipe), 0);
  return text;
}

TEST(Completion, InBashOffersCommandsFlagsAndTheWordsOfAFlag) {
  EXPECT_EQ(offered("loadline ''"), "train profile spell --help");
  EXPECT_EQ(offered("loadline tr"), "train");
  EXPECT_EQ(offered("loadline train --"), "--help --mode --way --path");
  EXPECT_EQ(offered("loadline train --way ''"), "slow fast");
  EXPECT_EQ(offered("loadline train --mode=x --mode f"), "fast");
  EXPECT_EQ(offered("loadline train --path ''"), "") << "files, as ever";
  EXPECT_EQ(offered("loadline profile s"), "show");
  EXPECT_EQ(offered("loadline profile show --h"), "--help");
  EXPECT_EQ(offered("loadline spell z"), "zsh");
}

TEST(Completion, InZshAndFishDescribesWhatItOffersAndQuotesTheirSigns) {
  const std::string zsh = completion_script(Completed().app, "zsh");
  EXPECT_THAT(zsh, HasSubstr(R"('train:It'\''s \[the\] way\: a\\b')"));
  EXPECT_THAT(zsh, HasSubstr("'--way=[How it goes]:slow|fast:(slow fast)'"));
  EXPECT_THAT(zsh, HasSubstr("'--path=[Where]:FILE:_files'"));
  EXPECT_THAT(zsh, HasSubstr("'*:word:(bash zsh)'"));
  const std::string fish = completion_script(Completed().app, "fish");
  EXPECT_THAT(fish, HasSubstr(R"(-f -a train -d 'It\'s [the] way: a\\b')"));
  EXPECT_THAT(fish, HasSubstr("-l way -x -a 'slow fast' -d 'How it goes'"));
  EXPECT_THAT(fish, HasSubstr("'__fish_seen_subcommand_from profile; and "
                              "__fish_seen_subcommand_from show' -l help"));
  for (const std::string& script : {zsh, fish}) EXPECT_THAT(script, Not(HasSubstr("worker")));
}

TEST(Completion, OfAnotherShellIsRefusedWithThoseThereAre) {
  try {
    completion_script(Completed().app, "tcsh");
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("tcsh: should be one of bash, zsh, fish"));
  }
}

}  // namespace
}  // namespace loadline
