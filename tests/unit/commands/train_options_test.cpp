#include "commands/train_options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "unit/training/packed_fixture.h"

namespace loadline {
namespace {

using testing::AllOf;
using testing::HasSubstr;

std::string refusal(std::vector<std::string> words) {
  words.emplace_back("--demo");
  TrainOptions options;
  try {
    parse_words(words, [&](Flags flags) { add_train_flags(flags, options); });
    validate(options);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(TrainOptionsTest, AnOrderOfRowsThatIsTypedBesideTheFilesOwnIsRefused) {
  EXPECT_EQ(refusal({"--no-shuffle"}), "");
  EXPECT_EQ(refusal({"--batching", "shuffled"}), "");
  EXPECT_THAT(refusal({"--no-shuffle", "--batching", "shuffled"}),
              AllOf(HasSubstr("--no-shuffle"), HasSubstr("--batching shuffled")));
}

TEST(TrainOptionsTest, WithoutValidationRowsOnlyAnIntervalOfZeroIsAccepted) {
  const Workload without;
  TrainOptions options;
  options.steps_per_eval = 0;
  EXPECT_NO_THROW(validate(options, without));
  options.steps_per_eval = 5;
  EXPECT_THROW(validate(options, without), Error);
}

TEST(TrainOptionsTest, MoreEpochsThanARunMayHaveUpdatesAreRefusedWithTheMostThatItMay) {
  TrainingSettings settings;
  settings.batch_size = 2;
  EXPECT_EQ(updates_of_epochs(2000, 1'000'000, settings), 1'000'000'000);
  try {
    static_cast<void>(updates_of_epochs(2001, 1'000'000, settings));
    ADD_FAILURE() << "nothing was said";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUsage);
    EXPECT_THAT(error.what(), AllOf(HasSubstr("--epochs 2001"), HasSubstr("1000500000 updates"),
                                    HasSubstr("Give --epochs 2000 or less")));
  }
}

TEST(TrainOptionsTest, CountsAboveWhatARunMayHaveAreRefusedByNameBesideEpochsToo) {
  const TemporaryFolder folder;
  const auto packed = write_packed(folder.path() / "rows", rows_of_lengths({40, 200}));
  const PackedRows rows(packed);
  Workload workload;
  workload.model = read_config(LOADLINE_SOURCE_DIR "/demo/model");
  workload.train = {"train.jsonl", packed, report_of(rows), rows};
  TrainOptions options;
  options.epochs = 1;
  options.accumulation = 1LL << 32;  // their product is 0 in 64 bits
  const Configuration chosen{.batch_size = 1LL << 32, .lora_rank = 8, .lora_layers = 2};
  const TrainingSettings settings = settings_of(options, workload, chosen);
  try {
    validate(settings, workload.model);
    ADD_FAILURE() << "nothing was said";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("--batch-size 4294967296: must be between 1 and 1048576"));
  }
}

TEST(TrainOptionsTest, MinusOneValidationBatchIsAllOfThem) {
  TrainOptions options;
  parse_words({"--val-batches", "-1"}, [&](Flags flags) { add_train_flags(flags, options); });
  const Configuration chosen{.batch_size = 1, .lora_rank = 2, .lora_layers = 1};
  EXPECT_EQ(settings_of(options, Workload{}, chosen).eval_batches, 0);
}

TEST(TrainOptionsTest, WhereAnAdapterGivesRankAndLayersABatchSizeLeavesNothingToAProfile) {
  const std::vector<std::string> adapter{"--resume-adapter-file", "adapters"};
  const auto refused = [&](std::vector<std::string> words) {
    words.insert(words.end(), adapter.begin(), adapter.end());
    return refusal(words);
  };
  EXPECT_EQ(refused({"--profile", "mine"}), "");
  EXPECT_EQ(refused({"--batch-size", "4"}), "");
  EXPECT_THAT(refused({"--profile", "mine", "--batch-size", "4"}),
              AllOf(HasSubstr("--profile mine"), HasSubstr("--resume-adapter-file")));
  EXPECT_THAT(refused({"--conservative", "--batch-size", "4"}),
              AllOf(HasSubstr("--conservative"), HasSubstr("--resume-adapter-file")));
}

}  // namespace
}  // namespace loadline
