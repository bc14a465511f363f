// generate and fuse from outside.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/json.h"
#include "cli/harness/program.h"

namespace loadline::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

const std::vector<std::string> kGenesis{
    "generate", "--model",         demo_model(), "--raw-prompt", "--max-tokens",
    "24",       "--compute-dtype", "f32",        "--prompt",     "And God said unto"};

TEST(Generate, ContinuesARawPromptAsTheReferenceDoes) {
  const Ended ended = Program().run(kGenesis);
  EXPECT_EQ(ended.exit_code, 0) << ended.err;
  EXPECT_EQ(ended.out,
            " Moses, Go up, and see, and hearken unto the words of the law, and say unto them,\n");
  EXPECT_THAT(ended.err, HasSubstr("answer 24 tokens"));
}

TEST(Generate, AppliesTheChatTemplateAndStopsAtTheEndOfTheTurn) {
  const Program program;
  const std::vector<std::string> chat{"generate",     "--model", demo_model(),      "--json",
                                      "--prompt",     "-",       "--compute-dtype", "f32",
                                      "--max-tokens", "300"};
  const Ended ended = program.run(chat, "Continue: In the beginning");
  ASSERT_EQ(ended.exit_code, 0) << ended.err;
  const Json document = parse_json(ended.out, "stdout");
  EXPECT_EQ(document["finish"], "stop");
  EXPECT_EQ(document["ids"].back(), 2047) << "generation_config.json names it";
  EXPECT_GT(document["prompt_tokens"], 10);
  EXPECT_THAT(document["text"].get<std::string>(), ::testing::Not(HasSubstr("<|im_end|>")));
}

TEST(Generate, OfTheDemoStopsAtTheEndOfTheTurnToo) {
  const Program program;
  const std::vector<std::string> chat{
      "generate",     "--demo", "--json",   "--compute-dtype",           "f32",
      "--max-tokens", "300",    "--prompt", "Continue: In the beginning"};
  const Ended ended = program.run(chat);
  ASSERT_EQ(ended.exit_code, 0) << ended.err;
  EXPECT_EQ(parse_json(ended.out, "stdout")["finish"], "stop");
  const Ended both = program.run(with(chat, {"--model", demo_model()}));
  EXPECT_EQ(both.exit_code, 2);
  EXPECT_THAT(program.run({"generate", "--prompt", "a"}).err, HasSubstr("--model"));
}

// A base model that was trained on a template's turns: nothing but the template names their end.
TEST(Generate, StopsWhereTheTemplateEndsTheTurnThoughNothingNamesItAsTheEnd) {
  const Program program;
  const fs::path folder = program.home() / "base";
  fs::create_directory(folder);
  for (const char* file :
       {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"}) {
    fs::copy_file(fs::path(demo_model()) / file, folder / file);
  }
  const auto run = [&](const std::vector<std::string>& more) {
    return program.run(with({"generate", "--model", folder.string(), "--json", "--compute-dtype",
                             "f32", "--max-tokens", "300"},
                            more));
  };
  const Ended ended = run({"--prompt", "Continue: In the beginning"});
  ASSERT_EQ(ended.exit_code, 0) << ended.err;
  EXPECT_EQ(parse_json(ended.out, "stdout")["finish"], "stop");
  const Ended raw = run({"--raw-prompt", "--prompt",
                         "<|im_start|>user\nContinue: In the beginning<|im_end|>\n"
                         "<|im_start|>assistant\n"});
  EXPECT_EQ(parse_json(raw.out, "stdout")["finish"], "length") << "a raw prompt has no turns";
}

TEST(Generate, SaysThatTheModelsPositionsCutTheAnswer) {
  const Program program;
  const Ended cut = program.run(with(kGenesis, {"--max-tokens", "100000", "--plan"}));
  EXPECT_EQ(cut.exit_code, 0) << cut.err;
  EXPECT_THAT(cut.err, HasSubstr("--max-tokens 100000: the model has 1024 positions, which leaves "
                                 "the answer at most 1019 tokens"));
  EXPECT_THAT(program.run(with(kGenesis, {"--plan"})).err,
              ::testing::Not(HasSubstr("--max-tokens")));
}

TEST(Generate, DrawsTheSameWithTheSameSeedAndOtherwiseWithAnother) {
  const Program program;
  const auto drawn = [&](const char* seed) {
    return program.run(with(kGenesis, {"--temperature", "0.8", "--top-p", "0.95", "--seed", seed}))
        .out;
  };
  EXPECT_EQ(drawn("7"), drawn("7"));
  EXPECT_NE(drawn("7"), drawn("8"));
}

TEST(Generate, PlansItsCacheAndRefusesWhatDoesNotFit) {
  const Program program;
  const Ended plan = program.run(with(kGenesis, {"--plan", "--json"}));
  ASSERT_EQ(plan.exit_code, 0) << plan.err;
  const Json document = parse_json(plan.out, "stdout");
  std::int64_t cache = 0;
  for (const Json& line : document["lines"]) {
    if (line["phase"] == "cache") cache += line["bytes"].get<std::int64_t>();
  }
  EXPECT_EQ(cache, 6 * 2 * (5 + 24) * 64 * 4) << "6 layers, k and v, positions, KW, f32";
  const Ended refused = program.run(with(kGenesis, {"--memory-limit", "17MiB"}));
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_THAT(refused.err, HasSubstr("does not fit"));
}

TEST(Generate, RefusesWhatItWouldIgnore) {
  const Program program;
  const std::vector<std::pair<std::vector<std::string>, const char*>> cases{
      {{"--top-p", "0.9"}, "--temperature above 0"},
      {{"--seed", "3"}, "--seed 3"},
      {{"--temperature", "-1"}, "--temperature -1"},
      {{"--temperature", "1", "--top-p", "0"}, "--top-p 0"},
      {{"--max-tokens", "0"}, "--max-tokens 0"},
      {{"--system-prompt", "x"}, "--system-prompt"},
      {{"--adapter-path", "nowhere"}, "nowhere"}};
  for (const auto& [flags, message] : cases) {
    const Ended ended = program.run(with(kGenesis, flags));
    EXPECT_EQ(ended.exit_code, 2);
    EXPECT_THAT(ended.err, HasSubstr(message));
  }
}

TEST(Fuse, GivesAModelThatSaysWhatBaseAndAdapterSay) {
  const Program program;
  const std::string adapter = (program.home() / "adapter").string();
  const Ended training = program.run({"train",         "--demo",   "--batch-size",     "2",
                                      "--lora-rank",   "4",        "--lora-layers",    "6",
                                      "--max-steps",   "6",        "--max-seq-length", "48",
                                      "--val-batches", "1",        "--learning-rate",  "0.02",
                                      "--lr-schedule", "constant", "--adapter-path",   adapter});
  ASSERT_EQ(training.exit_code, 0) << training.err;
  const std::string fused = (program.home() / "fused").string();
  EXPECT_THAT(program.run(with(kGenesis, {"--adapter-path", adapter})).err,
              ::testing::Not(HasSubstr("Warning")));
  const std::string another = (program.home() / "another").string();
  fs::create_directory(another);
  for (const auto& file : fs::directory_iterator(demo_model())) {
    fs::create_symlink(file.path(), another / file.path().filename());
  }
  const fs::path of_tools = "additional_chat_templates/tool_use.jinja";
  (void)program.write(("another" / of_tools).string(), "{{ tools }}");
  EXPECT_THAT(program.run(with(kGenesis, {"--model", another, "--adapter-path", adapter})).err,
              ::testing::Not(HasSubstr("Warning")))
      << "the same weights under another name";
  fs::remove_all(program.home() / ".cache");
  for (const std::vector<std::string>& command :
       {with(kGenesis, {"--model", another, "--adapter-path", adapter}),
        std::vector<std::string>{"fuse", "--model", another, "--adapter-path", adapter, "--output",
                                 fused + "2"}}) {
    const Ended warned = program.run(command);
    EXPECT_EQ(warned.exit_code, 0) << warned.err;
    EXPECT_THAT(warned.err, HasSubstr("Warning: the adapter's configuration says"));
    EXPECT_THAT(warned.err, HasSubstr(another));
  }
  EXPECT_EQ(read_file(fs::path(fused + "2") / of_tools, 1_KiB), "{{ tools }}");
  const std::vector<std::string> fuse{"fuse",  "--model",  demo_model(), "--adapter-path",
                                      adapter, "--output", fused};
  const Ended ended = program.run(fuse);
  ASSERT_EQ(ended.exit_code, 0) << ended.err;
  EXPECT_THAT(ended.out, HasSubstr("Fused 24 matrices"));
  for (const char* file : {"config.json", "generation_config.json", "tokenizer.json",
                           "tokenizer_config.json", "special_tokens_map.json"}) {
    EXPECT_EQ(read_file(fs::path(fused) / file, 1_MiB),
              read_file(fs::path(demo_model()) / file, 1_MiB));
  }
  const std::string plain = program.run(kGenesis).out;
  const std::string adapted = program.run(with(kGenesis, {"--adapter-path", adapter})).out;
  EXPECT_NE(adapted, plain);
  // Rounded to bf16 once more: the first words are the same.
  EXPECT_EQ(program.run(with(kGenesis, {"--model", fused})).out.substr(0, 20),
            adapted.substr(0, 20));
  const Ended of_demo =
      program.run({"fuse", "--demo", "--adapter-path", adapter, "--output", fused + "3", "--json"});
  const Json document = parse_json(of_demo.out, "stdout");
  EXPECT_EQ(document["matrices"], 24);
  EXPECT_EQ(document["written_to"], fused + "3");
  EXPECT_EQ(read_file(fs::path(fused + "3") / "model.safetensors", 16_MiB),
            read_file(fs::path(fused) / "model.safetensors", 16_MiB));
  const Ended again = program.run(fuse);
  EXPECT_EQ(again.exit_code, 2);
  EXPECT_THAT(again.err, HasSubstr("not an empty folder"));
}

// The demo's model with so much beside it that it is not fused before a signal comes.
std::string large_model(const Program& program) {
  const fs::path folder = program.home() / "large";
  fs::create_directory(folder);
  for (const auto& file : fs::directory_iterator(demo_model())) {
    const bool weights = file.path().extension() == ".safetensors";
    fs::copy_file(file, folder / (weights ? "b.safetensors" : file.path().filename()));
  }
  const std::string bytes = read_file(folder / "b.safetensors", 64_MiB);
  std::uint64_t length = 0;
  std::memcpy(&length, bytes.data(), sizeof(length));
  Json where{{"unused", "a.safetensors"}};
  const Json header = parse_json(bytes.substr(sizeof(length), length), "header");
  for (const auto& tensor : header.items()) {
    if (tensor.key() != "__metadata__") where[tensor.key()] = "b.safetensors";
  }
  replace_file(folder / "model.safetensors.index.json", Json{{"weight_map", where}}.dump());
  constexpr std::uint64_t kUnused = (512_MiB).count;
  const std::string unused =
      Json{{"unused", {{"dtype", "U8"}, {"shape", {kUnused}}, {"data_offsets", {0, kUnused}}}}}
          .dump();
  length = unused.size();
  replace_file(folder / "a.safetensors",
               std::string(reinterpret_cast<const char*>(&length), sizeof(length)) + unused);
  fs::resize_file(folder / "a.safetensors", sizeof(length) + length + kUnused);  // with a hole
  return folder.string();
}

TEST(Fuse, EndsWithThreeWhenItIsStoppedAndLeavesNothing) {
  const Program program;
  const std::string adapter = (program.home() / "adapter").string();
  const Ended training = program.run({"train", "--demo", "--batch-size", "1", "--lora-rank", "1",
                                      "--lora-layers", "1", "--max-steps", "1", "--max-seq-length",
                                      "16", "--val-batches", "1", "--adapter-path", adapter});
  ASSERT_EQ(training.exit_code, 0) << training.err;
  const std::string fused = (program.home() / "fused").string();
  const Ended ended =
      program.run_in_shell("$LOADLINE fuse --model " + large_model(program) + " --adapter-path " +
                           adapter + " --output " + fused + " & while kill -0 $! && ! ls -d " +
                           fused + ".??????; do sleep 0.01; done; kill -TERM $!; wait $!");
  EXPECT_EQ(ended.exit_code, 3) << ended.err;
  EXPECT_THAT(ended.err, HasSubstr("nothing was written"));
  for (const auto& left : fs::directory_iterator(program.home())) {
    EXPECT_FALSE(left.path().filename().string().starts_with("fused")) << left;
  }
}

}  // namespace
}  // namespace loadline::testing
