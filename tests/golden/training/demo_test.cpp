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

// Seen: 1e-7. An Adam that is biased, a clipping or a rate that is another, show far above this.
constexpr double kAgrees = 1e-4;

struct Losses : TrainingObserver {
  void evaluated(const EvaluationReport& report) override { valid.push_back(report.valid_loss); }
  void stepped(const StepReport& report) override { train.push_back(report.loss); }
  std::vector<double> valid, train;
};

// make_demo_run.py: the same seed adapter and order of rows, in plain PyTorch.
TEST(DemoTraining, AHundredStepsLowerTheValidationLossAsPyTorchDoes) {
  const Json golden = read_json(LOADLINE_SOURCE_DIR "/tests/golden/training/demo_run.json");
  const Json& run = golden.at("run");
  const TemporaryFolder folder;
  TrainingSettings s;
  s.model = kDemo / "model";
  s.train_rows = folder.path() / "train.packed";
  s.valid_rows = folder.path() / "valid.packed";
  pack_chats(kDemo / "data" / "train.jsonl", run.at("rows"), s.train_rows);
  pack_chats(kDemo / "data" / "valid.jsonl", run.at("valid_rows"), *s.valid_rows);
  s.adapter_path = folder.path() / "adapter";
  s.seed = run.at("seed");
  s.max_steps = run.at("steps");
  s.batch_size = run.at("batch");
  s.max_seq_length = run.at("seq");
  s.lora = {.rank = run.at("rank"),
            .alpha = run.at("alpha"),
            .layers = run.at("layers"),
            .targets = {Projection::kQ, Projection::kV}};
  s.learning_rate = run.at("rate");
  s.warmup_steps = run.at("warmup");
  s.weight_decay = run.at("weight_decay");
  s.max_grad_norm = run.at("max_grad_norm");
  Losses losses;
  const TrainingHost host{.peak_memory = [] { return Bytes{}; },
                          .stop_requested = [] { return false; }};
  EXPECT_EQ(run_training(s, host, losses).reason, TrainingEnd::Reason::kDone);
  ASSERT_EQ(losses.valid.size(), 2U) << "before the first update and after the last";
  const Json& valid = golden.at("valid_losses");
  EXPECT_NEAR(losses.valid[0], valid[0].get<double>(), kAgrees * losses.valid[0]);
  EXPECT_NEAR(losses.valid[1], valid[1].get<double>(), kAgrees * losses.valid[1]);
  EXPECT_LT(losses.valid[1], losses.valid[0] - 1.5);
  for (const Json& point : golden.at("train_losses")) {
    const double loss = losses.train.at(point[0].get<std::size_t>() - 1);
    EXPECT_NEAR(loss, point[1].get<double>(), kAgrees * loss) << "update " << point[0];
  }
}

}  // namespace
}  // namespace loadline
