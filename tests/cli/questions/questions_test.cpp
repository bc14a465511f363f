// The commands that only answer: version, machine, tokenize, chat, data, plan.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "base/json.h"
#include "cli/harness/program.h"

namespace loadline::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

TEST(Questions, VersionAndHelpEndWithZero) {
  EXPECT_THAT(Program().run({"--version"}).out, StartsWith("loadline "));
  const Ended help = Program().run({"find", "--help"});
  EXPECT_EQ(help.exit_code, 0);
  EXPECT_THAT(help.out, HasSubstr("--memory-limit"));
}

TEST(Questions, HelpIsACommandTooAndTheVersionHasALetter) {
  EXPECT_EQ(Program().run({"help"}).out, Program().run({"--help"}).out);
  EXPECT_EQ(Program().run({"help", "find"}).out, Program().run({"find", "--help"}).out);
  EXPECT_EQ(Program().run({"help", "find"}).exit_code, 0);
  EXPECT_EQ(Program().run({"-V"}).out, Program().run({"--version"}).out);
  const Ended unknown = Program().run({"help", "fnd"});
  EXPECT_EQ(unknown.exit_code, 2);
  EXPECT_THAT(unknown.err, HasSubstr("loadline has no command fnd. Did you mean find?"));
}

TEST(Questions, ACommandWithoutItsSubcommandShowsHowItIsTyped) {
  const Ended ended = Program().run({"profile"});
  EXPECT_EQ(ended.exit_code, 2);
  EXPECT_THAT(ended.err, HasSubstr("Usage: loadline profile COMMAND [FLAGS]"));
}

TEST(Questions, MachineSaysMemoryAndCap) {
  const Json machine = parse_json(Program().run({"machine", "--json"}).out, "stdout");
  EXPECT_EQ(machine["schema_version"], 1);
  const Ended text = Program().run({"machine"});
  EXPECT_EQ(text.exit_code, 0);
  EXPECT_THAT(text.out, HasSubstr("budget"));
  EXPECT_THAT(text.out, HasSubstr("RLIMIT_AS"));
}

TEST(Questions, TokenizeGivesTheReferenceIds) {
  const Ended ended = Program().run({"tokenize", "--model", demo_model(), "--no-special"},
                                    "In the beginning God created the heaven and the earth.");
  EXPECT_EQ(ended.out, "1271 262 1664 1307 497 1742 282 262 1088 274 262 909 1987\n");
}

TEST(Questions, TokenizeTakesAJsonStringALine) {
  const Ended ended = Program().run({"tokenize", "--model", demo_model(), "--jsonl"},
                                    "\"And God said unto\"\n\"naïve café — 日本 1811\"\n");
  EXPECT_EQ(ended.exit_code, 0) << ended.err;
  EXPECT_THAT(ended.out, StartsWith("[1,343,497,436,386]\n[1,1970,1967,198,178,312"));
}

TEST(Questions, ChatRendersATemplateALineAndSaysErrorsALine) {
  const Ended ended = Program().run(
      {"chat", "--template-jsonl"},
      R"({"chat_template":"{{ bos_token }}{{ messages[0].content }}","bos_token":"<s>","messages":[{"role":"user","content":"hi"}]})"
      "\n"
      R"({"chat_template":"{{ raise_exception('no') }}","messages":[]})"
      "\n");
  EXPECT_EQ(ended.exit_code, 0);
  EXPECT_THAT(ended.out, StartsWith("{\"text\":\"<s>hi\"}\n{\"error\":"));
}

TEST(Questions, ChatRendersWithAModelsTemplate) {
  const Ended ended = Program().run({"chat", "--model", demo_model(), "--add-generation-prompt"},
                                    R"([{"role":"user","content":"Hello"}])"
                                    "\n");
  EXPECT_EQ(ended.out, "<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n") << ended.err;
}

TEST(Questions, ChatTakesTheEmbeddedModelsTemplateForTheDemo) {
  const std::string line = R"([{"role":"user","content":"Hello"}])";
  const Ended ended = Program().run({"chat", "--demo"}, line);
  EXPECT_EQ(ended.out, "<|im_start|>user\nHello<|im_end|>\n") << ended.err;
  const auto refusal = [&](const std::vector<std::string>& flags) {
    return Program().run(with({"chat"}, flags), line).err;
  };
  EXPECT_THAT(refusal({"--demo", "--model", demo_model()}),
              HasSubstr("--demo brings a model of its own"));
  EXPECT_THAT(refusal({"--demo", "--template-jsonl"}), HasSubstr("leave out --model, --demo and"));
  EXPECT_THAT(refusal({}), HasSubstr("chat needs --model DIR, --model ORG/NAME, --demo or"));
}

TEST(Questions, ChatTakesALineForAConversationAndPassesOverBlankOnes) {
  const Ended ended = Program().run({"chat", "--model", demo_model()},
                                    "[{\"role\":\"user\",\"content\":\"one\"}]\n \r\n"
                                    "{\"messages\":[{\"role\":\"user\",\"content\":\"two\"}]}\n\n");
  EXPECT_EQ(ended.exit_code, 0) << ended.err;
  EXPECT_EQ(ended.out, "<|im_start|>user\none<|im_end|>\n<|im_start|>user\ntwo<|im_end|>\n");
  EXPECT_THAT(Program().run({"chat", "--help"}).out, ::testing::HasSubstr("list of messages, or"));
}

TEST(Questions, ChatRefusesWhatARowOfTrainingDataMayNotHave) {
  const auto error_of = [](const char* line) {
    const Ended ended = Program().run({"chat", "--model", demo_model()}, line);
    EXPECT_EQ(ended.out, "") << line;
    EXPECT_NE(ended.exit_code, 0) << line;
    return ended.err;
  };
  using ::testing::HasSubstr;
  EXPECT_THAT(error_of("[1,2]\n"), HasSubstr("stdin:1: 'messages': message 1 has no 'role'"));
  EXPECT_THAT(error_of(R"({"messages":"abc"})"),
              HasSubstr(R"(stdin:1: 'messages' should be a list of messages, but it is "abc")"));
  EXPECT_THAT(error_of(R"({"messages":[{"role":"user","content":"a"}],"tools":{}})"),
              HasSubstr("stdin:1: 'tools' should be a list of objects"));
}

TEST(Questions, DataCountsRowsAndDumpsThem) {
  const Program program;
  const Json data = parse_json(program.run({"data", "--demo", "--json"}).out, "stdout");
  EXPECT_EQ(data["rows"], 890);
  EXPECT_EQ(data["valid"]["rows"], 99);
  EXPECT_EQ(data["valid"]["tokens"], 13548 + 99);
  const Ended dump = program.run({"data", "--demo", "--dump"});
  const Json first = parse_json(dump.out.substr(0, dump.out.find('\n')), "stdout");
  EXPECT_EQ(first["ids"].size(), first["loss_mask"].size());
}

TEST(Questions, PlanListsBuffersWhoseSumIsShown) {
  const Ended ended = Program().run(
      {"plan", "--model", demo_model(), "--batch-size", "4", "--lora-rank", "8", "--json"});
  ASSERT_EQ(ended.exit_code, 0) << ended.err;
  const Json plan = parse_json(ended.out, "stdout");
  EXPECT_TRUE(plan["fits"].get<bool>());
  EXPECT_GT(plan["lines"].size(), 20U);
  EXPECT_EQ(plan["total_bytes"].get<std::int64_t>(),
            plan["arena_bytes"].get<std::int64_t>() + plan["process_bytes"].get<std::int64_t>());
}

TEST(Questions, PlanSaysAMarginWithItsFraction) {
  const Ended ended = Program().run({"plan", "--model", demo_model(), "--margin", "0.125"});
  EXPECT_THAT(ended.out, HasSubstr(" with 12.5 % margin, the budget is "));
}

TEST(Questions, PlanShowsWhatAllLayersHaveAlikeAsOneLineAndTheVerdictLast) {
  const Ended ended = Program().run({"plan", "--model", demo_model(), "--batch-size", "4",
                                     "--lora-rank", "8", "--lora-layers", "4"});
  ASSERT_EQ(ended.exit_code, 0) << ended.err;
  EXPECT_THAT(ended.out, HasSubstr("\n6 x layer weights q,k,v "));
  EXPECT_THAT(ended.out, HasSubstr("\n4 x layer LoRA inner "));
  EXPECT_THAT(ended.out, ::testing::Not(HasSubstr("layer 3")));
  EXPECT_LT(std::count(ended.out.begin(), ended.out.end(), '\n'), 90);
  const std::size_t sums = ended.out.find("By phase");
  ASSERT_NE(sums, std::string::npos);
  EXPECT_LT(sums, ended.out.find("\n  weights ", sums));
  const std::string last = ended.out.substr(ended.out.rfind('\n', ended.out.size() - 2) + 1);
  EXPECT_THAT(last, StartsWith("Verdict: "));
  EXPECT_THAT(last, ::testing::EndsWith(": predicted to fit\n"));
  const Ended small = Program().run(
      {"plan", "--model", demo_model(), "--lora-rank", "8", "--memory-limit", "20MiB"});
  EXPECT_EQ(small.exit_code, 1);
  EXPECT_THAT(small.out, HasSubstr(": predicted to exceed it\n"));
}

TEST(Questions, PlanRefusesWhatIsSaidOfDataThatIsNotThere) {
  const Program program;
  const std::vector<std::vector<std::string>> refused{{"--valid-data", "nosuch.jsonl"},
                                                      {"--mask-prompt"},
                                                      {"--skip-bad-rows"},
                                                      {"--template-date", "2026-11-28"},
                                                      {"--seed", "1"}};
  for (const std::vector<std::string>& flags : refused) {
    std::vector<std::string> words{"plan", "--model", demo_model()};
    words.insert(words.end(), flags.begin(), flags.end());
    const Ended ended = program.run(words);
    EXPECT_EQ(ended.exit_code, 2) << flags[0];
    EXPECT_THAT(ended.err, HasSubstr(flags[0]));
    EXPECT_THAT(ended.err, HasSubstr("has no effect without --data"));
  }
  EXPECT_EQ(program.run({"plan", "--demo", "--seed", "1", "--json"}).exit_code, 0);
}

TEST(Questions, PlanSaysWhichConfigurationItIsFor) {
  const Program program;
  const std::vector<std::string> flags{
      "plan", "--model",          demo_model(), "--batch-size",      "4",   "--lora-rank",
      "8",    "--lora-layers",    "-1",         "--quantize",        "nf4", "--compute-dtype",
      "f32",  "--max-seq-length", "64",         "--grad-checkpoint", "on"};
  std::vector<std::string> as_json = flags;
  as_json.emplace_back("--json");
  EXPECT_EQ(parse_json(program.run(as_json).out, "stdout")["configuration"],
            (Json{{"batch_size", 4},
                  {"lora_rank", 8},
                  {"lora_layers", 6},
                  {"target_modules", {"q_proj", "k_proj", "v_proj", "o_proj"}},
                  {"max_seq_length", 64},
                  {"compute", "f32"},
                  {"quantize", "nf4"},
                  {"grad_checkpoint", true}}));
  EXPECT_THAT(program.run(flags).out,
              StartsWith("Batch size 4, LoRA of rank 8 on q_proj,k_proj,v_proj,o_proj of the last "
                         "6 of 6 layers, rows of at most 64 tokens, compute f32, quantize nf4, "
                         "checkpointing on\n"));
}

TEST(Questions, AllLayersMayBeSaidAsAWordAndAsMinusOne) {
  for (const char* layers : {"all", "-1"}) {
    const Ended ended = Program().run(
        {"plan", "--model", demo_model(), "--lora-layers", layers, "--lora-rank", "8", "--json"});
    ASSERT_EQ(ended.exit_code, 0) << ended.err;
    EXPECT_EQ(parse_json(ended.out, "stdout")["configuration"]["lora_layers"], 6);
  }
}

TEST(Questions, ATomlFileGivesFlagsAndTypedOnesWin) {
  const Program program;
  const std::string file =
      program.write("flags.toml", "batch_size = 4\nlora-rank = 8\ntarget-modules = [\"q_proj\"]\n");
  const Ended from_file = program.run({"plan", "--model", demo_model(), "-c", file, "--json"});
  const Ended typed = program.run({"plan", "--model", demo_model(), "--batch-size", "4",
                                   "--lora-rank", "8", "--target-modules", "q_proj", "--json"});
  EXPECT_EQ(from_file.exit_code, 0) << from_file.err;
  EXPECT_EQ(parse_json(from_file.out, "a")["total_bytes"],
            parse_json(typed.out, "b")["total_bytes"]);
  const Ended wins =
      program.run({"plan", "--model", demo_model(), "-c", file, "--batch-size", "8", "--json"});
  EXPECT_GT(parse_json(wins.out, "c")["total_bytes"], parse_json(typed.out, "b")["total_bytes"]);
}

TEST(Questions, ATomlFileGivesFlagsToTheSubcommandThatIsTyped) {
  const Program program;
  for (const char* text : {"json = true\n", "[profile]\njson = true\n"}) {
    const std::string file = program.write("flags.toml", text);
    const Ended list = program.run({"profile", "list", "-c", file});
    EXPECT_EQ(list.exit_code, 0) << list.err;
    EXPECT_TRUE(parse_json(list.out, "stdout")["profiles"].is_array());
  }
  EXPECT_THAT(program.run({"profile", "list", "--help"}).out, HasSubstr("--config"));
}

TEST(Questions, WhatAFileHasForAllCommandsIsNoFaultOfTheOneThatHasNoUseForIt) {
  const Program program;
  const auto refusal = [&](const std::vector<std::string>& words, const std::string& content) {
    return program.run(with(words, {"-c", program.write("flags.toml", content)})).err;
  };
  const std::vector<std::string> generate{"generate", "--demo",       "--prompt",
                                          "a",        "--max-tokens", "1"};
  EXPECT_THAT(refusal(generate, "seed = 7\n"), Not(HasSubstr("loadline:")));
  EXPECT_THAT(refusal(generate, "[generate]\nseed = 7\n"), HasSubstr("--seed 7: needs"));
  EXPECT_THAT(refusal(with(generate, {"--seed", "7"}), "seed = 7\n"), HasSubstr("--seed 7: needs"));
  const std::vector<std::string> adapter{"adapter", "--demo", "--adapter-path", "gone"};
  EXPECT_THAT(refusal(adapter, "adapter-format = 'mlx'\n"), HasSubstr("gone"));
  EXPECT_THAT(refusal(adapter, "[adapter]\nadapter-format = 'mlx'\n"), HasSubstr("needs --output"));
  for (const char* command : {"profile", "run"}) {
    for (const std::string& section : {std::string(), std::string("[") + command + "]\n"}) {
      EXPECT_THAT(refusal({command, "remove", "gone"}, section + "json = true\n"),
                  AllOf(HasSubstr("gone"), Not(HasSubstr("--json"))));
    }
  }
}

TEST(Questions, PlanSaysWhatChangesNoByte) {
  const Ended ended =
      Program().run({"plan", "--demo", "--seed", "1", "--lora-alpha", "8", "--rslora", "--json"});
  EXPECT_EQ(ended.exit_code, 0);
  for (const char* flag : {"--seed 1", "--lora-alpha 8", "--rslora"}) {
    EXPECT_THAT(ended.err, HasSubstr(std::string(flag) + ": changes no byte of the plan"));
  }
}

}  // namespace
}  // namespace loadline::testing
