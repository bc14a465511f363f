// The demo's model on the demo's chat data: training must help on rows it does not see.
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/json.h"
#include "text/packed.h"
#include "text/tokenizer.h"
#include "training/trainer.h"

namespace loadline {
namespace {

const std::filesystem::path kDemo = LOADLINE_SOURCE_DIR "/demo";

// The first `count` rows in the demo's template (ChatML), every token in the loss.
void pack_chats(const std::filesystem::path& jsonl, int count,
                const std::filesystem::path& packed) {
  const Tokenizer tokenizer = Tokenizer::load(kDemo / "model" / "tokenizer.json");
  const std::string text = read_file(jsonl, 16_MiB);
  PackedWriter writer(packed, "demo");
  std::size_t begin = 0;
  for (int row = 0; row < count; ++row) {
    const std::size_t end = text.find('\n', begin);
    const Json line = parse_json(text.substr(begin, end - begin), jsonl.string());
    std::string chat;
    for (const Json& message : line.at("messages")) {
      chat += "<|im_start|>" + message.at("role").get<std::string>() + "\n" +
              message.at("content").get<std::string>() + "<|im_end|>\n";
    }
    TokenizedRow tokenized;
    tokenized.ids = tokenizer.encode(chat, false);
    tokenized.in_loss.assign(tokenized.ids.size(), true);
    writer.add(tokenized);
    begin = end + 1;
  }
  writer.finish();
}

struct Losses : TrainingObserver {
  void evaluated(const EvaluationReport& report) override { valid.push_back(report.valid_loss); }
  std::vector<double> valid;
};

TEST(DemoTraining, ThirtyStepsLowerTheValidationLoss) {
  const TemporaryFolder folder;
  TrainingSettings s;
  s.model = kDemo / "model";
  s.train_rows = folder.path() / "train.packed";
  s.valid_rows = folder.path() / "valid.packed";
  pack_chats(kDemo / "data" / "train.jsonl", 120, s.train_rows);
  pack_chats(kDemo / "data" / "valid.jsonl", 10, *s.valid_rows);
  s.adapter_path = folder.path() / "adapter";
  s.max_steps = 30;
  s.batch_size = 4;
  s.max_seq_length = 96;
  s.lora = {.rank = 8, .alpha = 16, .layers = 6, .targets = parse_targets("all", {})};
  s.learning_rate = 2e-3;
  s.warmup_steps = 5;
  Losses losses;
  const TrainingHost host{.peak_memory = [] { return Bytes{}; },
                          .stop_requested = [] { return false; }};
  EXPECT_EQ(run_training(s, host, losses).reason, TrainingEnd::Reason::kDone);
  ASSERT_EQ(losses.valid.size(), 2U) << "before the first update and after the last";
  EXPECT_GT(losses.valid.front(), 4.8);  // the model never saw such text: 5.11 over all rows
  EXPECT_LT(losses.valid.back(), losses.valid.front() - 0.3);
}

}  // namespace
}  // namespace loadline
