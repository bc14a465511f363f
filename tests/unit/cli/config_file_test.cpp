#include "cli/config_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/file.h"

namespace loadline {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

class ConfigFile : public testing::Test {
 protected:
  std::string write(const std::string& content) {
    replace_file(file_, content);
    return file_.string();
  }
  static std::vector<std::string> expand(const std::vector<std::string>& arguments) {
    const auto first_name = [](const std::string& flag) {
      if (flag == "--bach-size" || flag == "--of-another" || flag == "--of-show") {
        return std::string();
      }
      return flag == "--iters" ? std::string("--max-steps") : flag;
    };
    const auto is_command = [](const std::string& word) {
      return word == "find" || word == "train" || word == "profile";
    };
    const auto command_words = [](const std::vector<std::string>& words) {
      return std::size_t{words.size() > 1 && words[1] == "list" ? 2U : 1U};
    };
    const auto is_of_command = [](const std::string& flag, const std::string& command) {
      if (flag == "--of-show") return command.empty() || command == "profile";
      return flag != "--bach-size" && (command.empty() || flag != "--of-another");
    };
    return expand_config_file(arguments, {.first_name = first_name,
                                          .is_of_command = is_of_command,
                                          .is_command = is_command,
                                          .command_words = command_words});
  }
  static std::string refusal(const std::vector<std::string>& arguments) {
    try {
      static_cast<void>(expand(arguments));
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  }

  TemporaryFolder folder_;
  std::filesystem::path file_ = folder_.path() / "flags.toml";
};

TEST_F(ConfigFile, BecomesFlagsBeforeThoseThatWereTyped) {
  const std::string file = write(
      "batch_size = 4\nadapter-path = '-x y'\nlearning_rate = 5e-4\nmask-prompt = false\n"
      "target_modules = ['q_proj', 'v_proj']\n");
  const auto expected = testing::UnorderedElementsAre(
      "train", "--batch-size=4", "--adapter-path=-x y", "--learning-rate=0.0005",
      "--mask-prompt=false", "--target-modules=q_proj,v_proj", "--batch-size", "8");
  for (const std::vector<std::string>& words :
       {std::vector<std::string>{"train", "-c", file, "--batch-size", "8"},
        {"train", "--batch-size", "8", "--config", file},
        {"train", "--config=" + file, "--batch-size", "8"}}) {
    const std::vector<std::string> flags = expand(words);
    EXPECT_THAT(flags, expected);
    EXPECT_EQ(flags.front(), "train");
    EXPECT_EQ(flags.back(), "8");
  }
}

TEST_F(ConfigFile, WithoutOneTheWordsStayAsTheyAre) {
  EXPECT_THAT(expand({"generate", "--prompt", "-cat"}),
              ElementsAre("generate", "--prompt", "-cat"));
}

TEST_F(ConfigFile, WhatIsNoFlagIsRefusedWithFileLineAndKey) {
  EXPECT_THAT(refusal({"train", "-c", write("seed = 1\nbach_size = 4\n")}),
              AllOf(HasSubstr("flags.toml:2"), HasSubstr("'bach_size'")));
  EXPECT_THAT(refusal({"train", "-c", write("config = 'other.toml'\n")}), HasSubstr("'config'"));
  EXPECT_THAT(refusal({"train", "-c", write("[lora]\nrank = 4\n")}), HasSubstr("'lora'"));
  EXPECT_THAT(refusal({"train", "-c", write("seed = \n")}), HasSubstr("flags.toml:1"));
}

TEST_F(ConfigFile, WhatStandsAboveAllSectionsIsForTheCommandsThatHaveIt) {
  EXPECT_THAT(expand({"train", "-c", write("seed = 1\nof-another = 4\n")}),
              ElementsAre("train", "--seed=1"));
  EXPECT_THAT(refusal({"train", "-c", write("seed = 1\n[train]\nof-another = 4\n")}),
              AllOf(HasSubstr("flags.toml:3"), HasSubstr("'of-another'")));
}

TEST_F(ConfigFile, AFlagThatStandsTwiceIsRefusedAsATypedOneIs) {
  EXPECT_THAT(refusal({"train", "-c", write("max_steps = 4\nmax-steps = 5\n")}),
              AllOf(HasSubstr("'max-steps' and 'max_steps'"), HasSubstr("leave one out")));
  EXPECT_THAT(refusal({"train", "-c", write("max_steps = 4\niters = 5\n")}),
              AllOf(HasSubstr("flags.toml:"), HasSubstr("'iters' and 'max_steps'")));
}

TEST_F(ConfigFile, WhatIsTypedWinsOverWhatContradictsIt) {
  const std::string file = write("epochs = 2\nseed = 3\n");
  EXPECT_THAT(expand({"train", "-c", file, "--max-steps", "3"}),
              ElementsAre("train", "--seed=3", "--max-steps", "3"));
  EXPECT_THAT(expand({"train", "-c", file, "--iters=3"}),
              ElementsAre("train", "--seed=3", "--iters=3"));
  const std::string saves = write("yes = true\n");
  EXPECT_THAT(expand({"find", "-c", saves, "--no-save"}), ElementsAre("find", "--no-save"));
  EXPECT_THAT(expand({"find", "-c", saves, "--no-save=false"}),
              ElementsAre("find", "--yes=true", "--no-save=false"));
}

TEST_F(ConfigFile, WhatIsTypedWinsOverWhatItsValueContradicts) {
  const std::string shape = write("batch-size = 4\nlora-rank = 8\nlora-layers = 2\n");
  EXPECT_THAT(expand({"train", "-c", shape, "--profile", "mine"}),
              ElementsAre("train", "--profile", "mine"));
  const std::string part = write("profile = 'mine'\nlora-rank = 8\nlora-layers = 2\n");
  EXPECT_THAT(expand({"train", "-c", part, "--batch-size", "4"}),
              ElementsAre("train", "--lora-layers=2", "--lora-rank=8", "--batch-size", "4"));
  const std::string draws = write("temperature = 0.7\ntop-p = 0.9\n");
  EXPECT_THAT(expand({"generate", "-c", draws, "--temperature", "0.0"}),
              ElementsAre("generate", "--temperature=0.7", "--temperature", "0.0"));
  EXPECT_THAT(expand({"generate", "-c", draws, "--temperature=1"}),
              testing::Contains("--top-p=0.9"));
  const std::string cache = write("trunk_cache = 'on'\ntrunk_cache_limit = '1GiB'\n");
  EXPECT_THAT(expand({"train", "-c", cache, "--trunk-cache", "off"}),
              ElementsAre("train", "--trunk-cache=on", "--trunk-cache", "off"));
  EXPECT_THAT(expand({"ask", "-c", write("batch-size = 4\n"), "--max", "batch"}),
              ElementsAre("ask", "--max", "batch"));
  EXPECT_THAT(expand({"data", "-c", write("json = true\n"), "--dump"}),
              ElementsAre("data", "--dump"));
  EXPECT_THAT(expand({"ask", "-c", write("speed-loss = 5\n"), "--memory", "my-run"}),
              ElementsAre("ask", "--memory", "my-run"));
  const std::string distrust = write("distrust-alpha = 2.5\n");
  EXPECT_THAT(expand({"train", "-c", distrust, "--distrust", "off"}),
              ElementsAre("train", "--distrust", "off"));
}

TEST_F(ConfigFile, WhatIsTypedWinsOverWhatNeedsAnotherValueOfIt) {
  EXPECT_THAT(
      expand({"train", "-c", write("early-stopping-patience = 3\n"), "--steps-per-eval", "0"}),
      ElementsAre("train", "--steps-per-eval", "0"));
  EXPECT_THAT(expand({"train", "-c", write("steps-per-eval = 0\n"), "--early-stopping-patience=3"}),
              ElementsAre("train", "--early-stopping-patience=3"));
  EXPECT_THAT(
      expand({"train", "-c", write("early-stopping-patience = 3\n"), "--steps-per-eval", "9"}),
      testing::Contains("--early-stopping-patience=3"));
  const std::string asked = write("[train]\nmax = 'rank'\nspeed-loss = 2\n");
  EXPECT_THAT(expand({"train", "-c", asked, "--max", "batch"}),
              ElementsAre("train", "--max=rank", "--max", "batch"));
  EXPECT_THAT(expand({"train", "-c", asked, "--max", "rank"}), testing::Contains("--speed-loss=2"));
  const std::string model = write("model = 'demo'\nadd-generation-prompt = true\n");
  EXPECT_THAT(expand({"chat", "-c", model, "--template-jsonl"}),
              ElementsAre("chat", "--template-jsonl"));
}

TEST_F(ConfigFile, AnAdapterThatIsTypedHasAShapeAndAShapeThatIsTypedIsComparedWithTheFilesAdapter) {
  const std::string shape = write(
      "rslora = true\nlora-rank = 8\nlora-layers = 2\nlora-alpha = 16\ntarget-modules = 'all'\n");
  EXPECT_THAT(expand({"train", "-c", shape, "--resume-adapter-file", "a"}),
              ElementsAre("train", "--resume-adapter-file", "a"));
  const std::string adapter = write("resume-adapter-file = 'a'\n");
  EXPECT_THAT(expand({"train", "-c", adapter, "--lora-rank", "8"}),
              ElementsAre("train", "--resume-adapter-file=a", "--lora-rank", "8"));
}

TEST_F(ConfigFile, WhatGivesPartOfAConfigurationGivesNoWayToAProfile) {
  const std::string file = write("batch-size = 4\nlora-rank = 8\n");
  EXPECT_THAT(expand({"train", "-c", file, "--profile", "mine"}),
              ElementsAre("train", "--batch-size=4", "--lora-rank=8", "--profile", "mine"));
}

TEST_F(ConfigFile, ASectionIsForItsCommandAndWinsOverWhatStandsAbove) {
  const std::string file =
      write("seed = 1\nmax_steps = 9\n[find]\nranks = '8,16'\n[train]\nepochs = 2\nseed = 4\n");
  EXPECT_THAT(
      expand({"find", "-c", file, "--demo"}),
      testing::UnorderedElementsAre("find", "--seed=1", "--max-steps=9", "--ranks=8,16", "--demo"));
  EXPECT_THAT(expand({"train", "-c", file}),
              testing::UnorderedElementsAre("train", "--epochs=2", "--seed=4"));
  EXPECT_THAT(refusal({"train", "-c", write("[train]\nbach_size = 4\n")}),
              HasSubstr("flags.toml:2: 'bach_size'"));
  EXPECT_THAT(refusal({"train", "-c", write("[train.deep]\nseed = 4\n")}), HasSubstr("'deep'"));
}

TEST_F(ConfigFile, ItsFlagsStandBehindTheSubcommand) {
  const std::string file = write("[profile]\njson = true\n");
  EXPECT_THAT(expand({"profile", "-c", file, "list"}),
              ElementsAre("profile", "list", "--json=true"));
}

TEST_F(ConfigFile, ASectionIsForAllSubcommandsOfItsCommandEachTakingWhatItHas) {
  EXPECT_THAT(expand({"profile", "list", "-c", write("[profile]\nof-show = 1\njson = true\n")}),
              ElementsAre("profile", "list", "--json=true"));
  EXPECT_THAT(refusal({"train", "-c", write("[train]\nof-show = 1\n")}), HasSubstr("'of-show'"));
}

TEST_F(ConfigFile, NoneOrTwoFilesAreRefused) {
  const std::string file = write("seed = 1\n");
  EXPECT_THAT(refusal({"train", "-c"}), HasSubstr("needs the name"));
  EXPECT_THAT(refusal({"train", "-c", file, "--config", file}), HasSubstr("only one file"));
  EXPECT_THAT(refusal({"train", "-c", "missing.toml"}), HasSubstr("missing.toml"));
}

}  // namespace
}  // namespace loadline
