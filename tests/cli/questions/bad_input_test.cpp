// Bad input gets a message that names the thing and the way out, exit 2, and nothing half-written.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "cli/harness/program.h"

namespace loadline::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

// Copies the demo's model folder, so that a test can break a file of it.
std::string copied_model(const Program& program) {
  const fs::path folder = program.home() / "model";
  fs::copy(demo_model(), folder, fs::copy_options::recursive);
  for (const auto& entry : fs::directory_iterator(folder))
    fs::permissions(entry, fs::perms::owner_write, fs::perm_options::add);
  return folder.string();
}

TEST(BadInput, NoArgumentsAreWrongUsage) {
  const Ended ended = Program().run({});
  EXPECT_EQ(ended.exit_code, 2);
  EXPECT_EQ(ended.out, "");
  EXPECT_THAT(ended.err, HasSubstr("subcommand"));
  EXPECT_THAT(ended.err, HasSubstr("Find the largest and the fastest LoRA configuration"));
}

TEST(BadInput, ATerminalObeysNothingThatAFileSays) {
  const Program program;
  static_cast<void>(program.write("model/config.json", R"({"model_type": "a\u001b[2Jb"})"));
  const Ended ended = program.run({"plan", "--model", (program.home() / "model").string()});
  EXPECT_EQ(ended.exit_code, 2);
  EXPECT_THAT(ended.err, AllOf(HasSubstr("a?[2Jb"), Not(HasSubstr("\x1b"))));
}

TEST(BadInput, AnUnknownFlagIsNamedWithTheOneThatIsMeant) {
  const Ended ended = Program().run({"plan", "--model", demo_model(), "--bach-size", "3"});
  EXPECT_EQ(ended.exit_code, 2);
  EXPECT_THAT(ended.err, HasSubstr("loadline plan has no flag --bach-size. Did you mean "
                                   "--batch-size?"));
}

TEST(BadInput, AFlagThatResemblesNoneIsNamedAlone) {
  const Ended ended = Program().run({"train", "--demo", "--quux=7"});
  EXPECT_EQ(ended.exit_code, 2);
  EXPECT_THAT(ended.err, HasSubstr("loadline train has no flag --quux.\n"));
}

TEST(BadInput, AnUnknownCommandIsNamedWithTheOneThatIsMeant) {
  const Ended ended = Program().run({"trian", "--demo"});
  EXPECT_EQ(ended.exit_code, 2);
  EXPECT_THAT(ended.err, HasSubstr("loadline has no command trian. Did you mean train?"));
  EXPECT_THAT(Program().run({"profile", "shwo"}).err,
              HasSubstr("loadline profile has no command shwo. Did you mean show?"));
}

TEST(BadInput, AWordTooManyIsNamed) {
  const Ended ended = Program().run({"plan", "--demo", "--batch-size", "3", "4"});
  EXPECT_EQ(ended.exit_code, 2);
  EXPECT_THAT(ended.err, HasSubstr("4 was not expected"));
}

TEST(BadInput, AValueThatIsNoNumberIsNamedWithItsFlag) {
  const auto err = [](const char* flag, const char* value) {
    return Program().run({"train", "--demo", flag, value}).err;
  };
  EXPECT_THAT(err("--batch-size", "4x"), HasSubstr("--batch-size: 4x is no whole number"));
  EXPECT_THAT(err("--batch-size", "99999999999999999999"),
              HasSubstr("99999999999999999999 is no whole number"));
  EXPECT_THAT(err("--lora-alpha", "much"), HasSubstr("--lora-alpha: much is no number"));
  EXPECT_THAT(err("--seed", "-1"), HasSubstr("--seed: -1 is no whole number from 0 to"));
  EXPECT_THAT(err("--lora-alpha", "1e400"), HasSubstr("--lora-alpha: 1e400 is no number"));
  EXPECT_THAT(err("--lora-alpha", "nan"), HasSubstr("--lora-alpha: nan is no number"));
  EXPECT_THAT(err("--batch-size", "many"), ::testing::Not(HasSubstr("from")));
  EXPECT_THAT(err("--lora-layers", "some"),
              HasSubstr("--lora-layers: some is no whole number, nor all"));
  EXPECT_THAT(err("--batch-size", ""), HasSubstr("--batch-size: an empty word is no whole number"));
}

TEST(BadInput, ALeadingZeroIsNoOctalNumber) {
  const auto bytes_of = [](const char* batch) {
    const Ended ended = Program().run({"plan", "--demo", "--batch-size", batch, "--json"});
    return Json::parse(ended.out).at("total_bytes").get<std::int64_t>();
  };
  EXPECT_EQ(bytes_of("010"), bytes_of("10"));
}

TEST(BadInput, AnEmptyValueIsRefusedAndSwallowsNoOtherFlag) {
  const Program program;
  const Ended behind = program.run({"find", "--demo", "--output=", "--no-save"});
  EXPECT_EQ(behind.exit_code, 2);
  EXPECT_THAT(behind.err, HasSubstr("--output= has no value"));
  EXPECT_THAT(program.run({"find", "--demo", "--run-dir", ""}).err,
              HasSubstr("--run-dir: is empty"));
  const std::string config = program.write("flags.toml", "max-batch = 2\noutput = \"\"\n");
  EXPECT_THAT(program.run({"find", "--demo", "-c", config}).err,
              HasSubstr("flags.toml:2: 'output' is empty"));
}

TEST(BadInput, AFlagUnderTwoNamesIsAMistakeAndTypedAgainItsLastValueCounts) {
  EXPECT_THAT(Program().run({"train", "--demo", "--max-steps", "2", "--iters", "3"}).err,
              HasSubstr("--max-steps and --iters are two names of one flag: leave one out"));
  const auto plan_of = [](const std::vector<std::string>& flags) {
    const Ended ended = Program().run(with({"plan", "--demo", "--json"}, flags));
    return Json::parse(ended.out).at("total_bytes");
  };
  EXPECT_EQ(plan_of({"--batch-size", "2", "--batch-size=3"}), plan_of({"--batch-size", "3"}));
}

TEST(BadInput, ANameThatIsNotUtf8IsRefusedAtOnce) {
  const Ended ended = Program().run({"plan", "--model", "/models/b\xff"});
  EXPECT_EQ(ended.exit_code, 2);
  EXPECT_THAT(ended.err, HasSubstr("must be UTF-8"));
}

TEST(BadInput, AMissingModelIsNamedWithTheWayOut) {
  const Program program;
  const Ended ended = program.run(on_demo("find", {"--model", "/no/such/model"}));
  EXPECT_EQ(ended.exit_code, 2);
  EXPECT_THAT(ended.err, HasSubstr("/no/such/model"));
  EXPECT_THAT(ended.err, HasSubstr("Download"));
  EXPECT_THAT(ended.err, HasSubstr("ORG/NAME"));
}

TEST(BadInput, AllThatIsMissingIsNamedAtOnceAndTheDemo) {
  const auto err = [](const std::vector<std::string>& words) {
    const Ended ended = Program().run(words);
    EXPECT_EQ(ended.exit_code, 2);
    return ended.err;
  };
  for (const char* command : {"find", "train", "data"}) {
    EXPECT_THAT(err({command}), AllOf(HasSubstr("--model DIR"),
                                      HasSubstr("--data FILE are missing"), HasSubstr("--demo")));
    EXPECT_THAT(err({command, "--data", demo_train()}), HasSubstr("--model DIR or ORG/NAME is"));
    EXPECT_THAT(err({command, "--model", demo_model()}), HasSubstr("--data FILE is missing"));
  }
  EXPECT_THAT(err({"plan"}), HasSubstr("--model DIR or ORG/NAME is missing"));
  EXPECT_THAT(err({"generate", "--prompt", "hi"}), HasSubstr("--model DIR or ORG/NAME is missing"));
}

TEST(BadInput, APromptThatIsEmptyOnStdinIsRefused) {
  const Ended ended = Program().run({"generate", "--model", demo_model(), "--prompt", "-"});
  EXPECT_EQ(ended.exit_code, 2);
  EXPECT_THAT(ended.err, HasSubstr("--prompt -: stdin is empty"));
}

TEST(BadInput, AModelThatCannotBeLookedAtIsNamed) {
  const Program program;
  const fs::path loop = program.home() / "loop";
  fs::create_symlink(loop, loop);
  for (const std::string& model : {loop.string(), std::string(300, 'x')}) {
    const Ended ended = program.run({"plan", "--model", model});
    EXPECT_EQ(ended.exit_code, 2) << ended.err;
    EXPECT_THAT(ended.err, HasSubstr("loadline: " + model + ": cannot be looked at: "));
  }
}

TEST(BadInput, MissingDataIsNamed) {
  const Ended ended =
      Program().run({"find", "--model", demo_model(), "--data", "/no/such/train.jsonl"});
  EXPECT_EQ(ended.exit_code, 2);
  EXPECT_THAT(ended.err, HasSubstr("/no/such/train.jsonl"));
}

TEST(BadInput, AModelWithoutTokenizerIsNamed) {
  const Program program;
  const std::string model = copied_model(program);
  fs::remove(model + "/tokenizer.json");
  const Ended ended = program.run(on_demo("find", {"--model", model}));
  EXPECT_EQ(ended.exit_code, 2);
  EXPECT_THAT(ended.err, HasSubstr("tokenizer.json"));
}

TEST(BadInput, TruncatedWeightsAreNamedAndNoAdapterIsWritten) {
  const Program program;
  const std::string model = copied_model(program);
  fs::resize_file(model + "/model.safetensors", 100'000);
  const fs::path adapter = program.home() / "adapter";
  const Ended ended =
      program.run(on_demo("train --batch-size 2 --lora-rank 4 --lora-layers 2 --max-steps 1",
                          {"--model", model, "--adapter-path", adapter.string()}));
  EXPECT_EQ(ended.exit_code, 2) << ended.err;
  EXPECT_THAT(ended.err, HasSubstr("model.safetensors"));
  EXPECT_FALSE(fs::exists(adapter / "adapter_model.safetensors"));
}

TEST(BadInput, AnUnsupportedModelTypeListsTheSupportedOnes) {
  const Program program;
  const std::string model = copied_model(program);
  std::string config = read_file(model + "/config.json", 1_MiB);
  config.replace(config.find("\"llama\""), 7, "\"bert\"");
  replace_file(model + "/config.json", config);
  const Ended ended = program.run({"plan", "--model", model});
  EXPECT_EQ(ended.exit_code, 2);
  EXPECT_THAT(ended.err, HasSubstr("bert"));
  EXPECT_THAT(
      ended.err,
      HasSubstr(
          "llama, mistral, qwen2, qwen3, phi3, gemma2, gemma3_text, granite, smollm3 and olmo2"));
}

TEST(BadInput, AMalformedRowIsNamedWithFileAndLine) {
  const Program program;
  const std::string data =
      program.write("rows.jsonl", "{\"text\": \"In the beginning\"}\n{\"text\": \n");
  const Ended ended = program.run({"data", "--model", demo_model(), "--data", data});
  EXPECT_EQ(ended.exit_code, 2);
  EXPECT_THAT(ended.err, HasSubstr("rows.jsonl:2"));
}

TEST(BadInput, EmptyDataIsNamed) {
  const Program program;
  const std::string data = program.write("rows.jsonl", "\n\n");
  const Ended ended = program.run({"find", "--model", demo_model(), "--data", data});
  EXPECT_EQ(ended.exit_code, 2);
  EXPECT_THAT(ended.err, HasSubstr("rows.jsonl"));
}

TEST(BadInput, RankZeroAndTooManyLayersAreRefused) {
  const Program program;
  const Ended rank = program.run({"plan", "--model", demo_model(), "--lora-rank", "0"});
  EXPECT_EQ(rank.exit_code, 2);
  EXPECT_THAT(rank.err, HasSubstr("rank"));
  const Ended layers = program.run({"plan", "--model", demo_model(), "--lora-layers", "7"});
  EXPECT_EQ(layers.exit_code, 2);
  EXPECT_THAT(layers.err, HasSubstr("6"));
  const Ended grid = program.run(on_demo("find --layers-grid 2,9"));
  EXPECT_EQ(grid.exit_code, 2);
  EXPECT_THAT(grid.err, HasSubstr("6 layers"));
}

TEST(BadInput, AnOutputThatCannotBeWrittenIsRefusedBeforeTheSearch) {
  const Program program;
  const std::string file = program.write("a-file", "x");
  const Ended ended = program.run(on_demo("find", {"--run-dir", file + "/run"}));
  EXPECT_EQ(ended.exit_code, 4) << ended.err;
  EXPECT_THAT(ended.err, HasSubstr("a-file"));
}

TEST(BadInput, AMemoryLimitThatIsNoneIsRefused) {
  const Ended ended = Program().run({"plan", "--model", demo_model(), "--memory-limit", "lots"});
  EXPECT_EQ(ended.exit_code, 2);
  EXPECT_THAT(ended.err, HasSubstr("lots"));
}

TEST(BadInput, TrainWithoutProfileOrFlagsSaysTheThreeWays) {
  const Program program;
  const Ended ended = program.run(on_demo("train"));
  EXPECT_EQ(ended.exit_code, 2);
  EXPECT_THAT(ended.err, HasSubstr("loadline find"));
  EXPECT_THAT(ended.err, HasSubstr("--conservative"));
}

TEST(BadInput, AWrongValueOfAFileIsSaidToStandThere) {
  const Program program;
  const std::string config = program.write("flags.toml", "max-batch = 2\nsteps = 1\n");
  const auto err = [&](const std::vector<std::string>& more) {
    return program.run(with({"find", "--demo", "-c", config}, more)).err;
  };
  EXPECT_THAT(err({}), AllOf(HasSubstr("--steps 1: should be between"),
                             HasSubstr("\n--steps stands in " + config + ":2\n")));
  EXPECT_THAT(err({"--steps", "2"}), Not(HasSubstr("stands in")));
  EXPECT_THAT(err({"--max-batch", "0"}), Not(HasSubstr("stands in")));
  const std::string word = program.write("word.toml", "max_batch = \"4x\"\n");
  EXPECT_THAT(program.run({"find", "--demo", "-c", word}).err,
              AllOf(HasSubstr("--max-batch: 4x is no whole number"),
                    HasSubstr("\n--max-batch stands in " + word + ":1\n")));
}

TEST(BadInput, AConfigurationFileForAllCommandsHasWhatOneOfThemKnows) {
  const Program program;
  const std::string file =
      program.write("flags.toml", "demo = true\nranks = [8]\nprompt = 'a'\nmax-tokens = 1\n");
  for (const char* command : {"plan", "generate"}) {
    const Ended ended = program.run({command, "-c", file});
    EXPECT_EQ(ended.exit_code, 0) << ended.err;
  }
}

TEST(BadInput, AnUnknownKeyInTheConfigurationFileIsRefused) {
  const Program program;
  const std::string file = program.write("flags.toml", "bach-size = 3\n");
  const Ended ended = program.run({"plan", "--model", demo_model(), "-c", file});
  EXPECT_EQ(ended.exit_code, 2);
  EXPECT_THAT(ended.err, HasSubstr("bach-size"));
}

}  // namespace
}  // namespace loadline::testing
