#include "commands/train_refusal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <memory>

#include "base/error.h"
#include "base/file.h"

namespace loadline {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

// Batch 8 at rank 8 on all layers of the demo's model, rows of 256 tokens.
class ProofTest : public testing::Test {
 protected:
  ProofTest() {
    workload_.model = read_config(LOADLINE_SOURCE_DIR "/demo/model");
    workload_.base.max_seq_length = 256;
    workload_.base.lora.targets = {Projection::kQ, Projection::kV};
    workload_.base.threads = 2;
    settings_ = workload_.with(8, 8, 6);
    profile_.name = "mine";
    profile_.batch_size = profile_.lora_rank = 8;
    profile_.lora_layers = 6;
    profile_.peak = planned(ActivationCheckpointing::kOff);
    profile_.budget = 1_GiB;
  }
  [[nodiscard]] Bytes planned(ActivationCheckpointing checkpointing) const {
    TrainingSettings s = settings_;
    s.checkpointing = checkpointing;
    return workload_.plan(s).total().bytes;
  }
  // A budget just above the needs of checkpointing.
  [[nodiscard]] Budget small() const {
    const Bytes on = adjusted(planned(ActivationCheckpointing::kOn), kMargin);
    return {.bytes = on + 1_MiB, .binds = "--memory-limit"};
  }
  ActivationCheckpointing taken(const Budget& budget) {
    take_checkpointing(profile_, workload_, budget, kMargin, settings_, out_.get());
    return settings_.checkpointing;
  }
  std::string refusal(const Budget& budget, const NamedSource& source = {}) {
    try {
      require_proof_within(profile_, workload_, settings_, budget, kMargin, out_.get(), source);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  }

  // Just what so much with checkpointing is planned to need, and what `train` says to that.
  [[nodiscard]] Budget enough_for(std::int64_t batch_size, std::int64_t rank) const {
    TrainingSettings s = workload_.with(batch_size, rank, 6);
    s.checkpointing = ActivationCheckpointing::kOn;
    const Bytes needed = adjusted(workload_.plan(s).total().bytes, kMargin);
    return {.bytes = needed + 16_KiB, .binds = "--memory-limit"};
  }
  std::string said() {
    std::rewind(out_.get());
    std::string text(1000, '\0');
    text.resize(std::fread(text.data(), 1, text.size(), out_.get()));
    return text;
  }
  std::string planned_refusal(const Budget& budget) {
    try {
      require_fit(workload_, settings_, budget, kMargin);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  }

  static constexpr double kMargin = 0.15;
  Workload workload_;
  TrainingSettings settings_;
  Profile profile_;
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> out_{std::tmpfile(), std::fclose};
};

TEST_F(ProofTest, AutoIsAsItWasProvenWhereThatFitsTodayToo) {
  EXPECT_EQ(taken({.bytes = 1_GiB, .binds = ""}), ActivationCheckpointing::kOff);
  EXPECT_TRUE(proves(profile_, settings_));
  profile_.key.grad_checkpoint = true;
  EXPECT_EQ(taken({.bytes = 1_GiB, .binds = ""}), ActivationCheckpointing::kOn);
  EXPECT_TRUE(proves(profile_, settings_));
}

TEST_F(ProofTest, AutoTurnsCheckpointingOnWhereTheProofIsMoreThanTodaysBudget) {
  EXPECT_EQ(taken(small()), ActivationCheckpointing::kOn);
  EXPECT_FALSE(proves(profile_, settings_)) << "it is the plan's now";
}

TEST_F(ProofTest, AutoStaysAsItWasProvenWhereCheckpointingWouldNotFitEither) {
  EXPECT_EQ(taken({.bytes = 20_MiB, .binds = ""}), ActivationCheckpointing::kOff);
  profile_.peak = profile_.peak.scaled(10);  // as much more than planned as that was measured
  EXPECT_EQ(taken(small()), ActivationCheckpointing::kOff);
}

TEST_F(ProofTest, ARefusalNamesTheFlagsThatWouldFit) {
  EXPECT_THAT(refusal(small()),
              AllOf(HasSubstr("profile mine was measured to need"), HasSubstr("(--memory-limit)"),
                    HasSubstr("\n  --grad-checkpoint on would need"),
                    HasSubstr("\n  --batch-size "), HasSubstr("`loadline find`")));
  // Rows of another length are another profile's: what this one gave is spelled out.
  EXPECT_THAT(refusal(small()), HasSubstr(" --batch-size 8 --lora-rank 8 --lora-layers 6 would"));
  settings_.resume = true;  // which keeps its batch size
  EXPECT_THAT(refusal(small()), AllOf(HasSubstr("\n  --grad-checkpoint on would need"),
                                      Not(HasSubstr("--batch-size")), Not(HasSubstr("find"))));
}

TEST_F(ProofTest, CheckpointingInPlaceOfOffThatWasTypedNamesWhatTheProfileGaveUnlessARunHasIt) {
  workload_.checkpointing_auto = false;
  EXPECT_THAT(refusal(small()), HasSubstr("\n  --grad-checkpoint on --batch-size 8 --lora-rank 8 "
                                          "--lora-layers 6 would need"));
  settings_.resume = true;
  EXPECT_THAT(refusal(small()), HasSubstr("\n  --grad-checkpoint on would need"));
}

TEST_F(ProofTest, AWayOutThatLeavesNothingToTakeFromAProfileStandsInItsPlace) {
  const std::string profile = refusal(small(), {.flags = "--profile mine"});
  EXPECT_THAT(profile, HasSubstr(" --batch-size 8 --lora-rank 8 --lora-layers 6 in place of "
                                 "--profile mine would need"));
  EXPECT_THAT(profile, testing::ContainsRegex("\n  --batch-size [0-9]+ would need"));
  EXPECT_THAT(refusal(small(), {.flags = "--profile mine", .has_rank = true, .has_layers = true}),
              testing::ContainsRegex("\n  --batch-size [0-9]+ in place of --profile mine would"));
}

TEST_F(ProofTest, AProofOnLongerRowsIsSaidToBeOfThem) {
  profile_.key.max_seq_length = 1024;
  require_proof_within(profile_, workload_, settings_, {.bytes = 1_GiB, .binds = ""}, kMargin,
                       out_.get());
  EXPECT_THAT(said(), HasSubstr("at 1024 tokens, so it fits at 256 too"));
}

TEST_F(ProofTest, TheLargestBatchIsOfferedThatFitsWithCheckpointingWhichAutoTurnsOn) {
  EXPECT_THAT(refusal(enough_for(5, 8)),
              AllOf(HasSubstr("\n  --batch-size 5 would need"), HasSubstr(", with checkpointing"),
                    Not(HasSubstr("--grad-checkpoint on"))));
  workload_.checkpointing_auto = false;  // --grad-checkpoint off was typed
  EXPECT_THAT(refusal(enough_for(5, 8)), Not(HasSubstr("--batch-size 5")));
}

TEST_F(ProofTest, WhereSeveralFlagsAreNeededRowsAreNotCutWhereASmallerRankIsEnough) {
  settings_ = workload_.with(8, 96, 6);
  EXPECT_THAT(planned_refusal(enough_for(1, 48)),
              AllOf(HasSubstr("these together:\n  --batch-size 1 --lora-rank 48 would need"),
                    Not(HasSubstr("--max-seq-length"))));
}

TEST_F(ProofTest, RowsAreCutLastAndWhatThatLosesIsSaid) {
  const TemporaryFolder folder;
  const auto path = folder.path() / "rows.packed";
  PackedWriter writer(path, "f00d");
  TokenizedRow row;
  row.ids.assign(256, 7);
  row.in_loss.assign(256, true);
  for (int i = 0; i < 16; ++i) writer.add(row);
  writer.finish();
  const PackedRows rows(path);
  workload_.train = {"train.jsonl", path, report_of(rows), rows};
  const std::string refusal = planned_refusal(enough_for(4, 8));
  EXPECT_THAT(refusal, HasSubstr("\n  --batch-size 4 would need"));
  EXPECT_THAT(refusal, testing::ContainsRegex("--max-seq-length 128 would need [^\n]*, and loses "
                                              "50.0 % of all tokens"));
  EXPECT_LT(refusal.find("--batch-size 4"), refusal.find("--max-seq-length"));
}

}  // namespace
}  // namespace loadline
