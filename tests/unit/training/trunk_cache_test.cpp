#include "training/trunk_cache.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>

#include "base/error.h"
#include "training_fixture.h"

namespace loadline {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class Trunk : public TrainingRun {
 protected:
  // 20 rows in updates of 4: five updates are an epoch.
  TrainingSettings epochs(const std::string& name, bool cached) {
    TrainingSettings s = settings(name);
    s.valid_rows = folder_.path() / "valid.packed";
    if (!std::filesystem::exists(*s.valid_rows)) pack("valid.packed", made_up_rows(5, 77));
    s.max_steps = 15;
    s.grad_accumulation_steps = 2;
    s.steps_per_eval = 5;
    s.lora.dropout = 0.1;
    s.trunk_cache = cached;
    return s;
  }
  static std::vector<double> losses(const Recorder& seen) {
    std::vector<double> all;
    for (const StepReport& step : seen.steps) all.push_back(step.cross_entropy);
    for (const EvaluationReport& e : seen.evaluations) all.push_back(e.valid_loss);
    return all;
  }
};

TEST_F(Trunk, LossesAndAdapterAreTheSameWithIt) {
  for (const DType compute : {DType::kF32, DType::kBf16}) {
    const std::string name(name_of(compute));
    TrainingSettings without = epochs(name, false);
    TrainingSettings with = epochs(name + " cached", true);
    without.compute = with.compute = compute;
    const Recorder a = run(without);
    const Recorder b = run(with);
    EXPECT_EQ(losses(a), losses(b)) << name;
    EXPECT_EQ(adapter_hash(without), adapter_hash(with)) << name;
    // 30 micro-batches of 2 rows, the first 10 computed; 4 evaluations of 3, the first computed.
    EXPECT_EQ(b.end.trunk_batches, 30 + 12);
    EXPECT_EQ(b.end.trunk_batches_read, 20 + 9);
    EXPECT_EQ(a.end.trunk_batches, 0);
    EXPECT_FALSE(std::filesystem::exists(TrunkCache::path_in(with.adapter_path)));
  }
}

TEST_F(Trunk, ItOutlivesAnInterruptionAndATornRowIsComputedAgain) {
  TrainingSettings whole = epochs("whole", false);
  run(whole);
  TrainingSettings s = epochs("cached", true);
  run(s, 7);
  const std::filesystem::path file = TrunkCache::path_in(s.adapter_path);
  const PackedRows train(s.train_rows);
  const PackedRows valid(*s.valid_rows);
  const std::string kept = content(file);
  EXPECT_LE(kept.size(), trunk_cache_bytes(s, read_config(s.model), train, &valid).count);
  std::string torn = kept;
  for (std::size_t at = torn.size() / 2; at < torn.size() / 2 + 3000; ++at) torn[at] ^= 1;
  replace_file(file, torn);
  s.resume = true;
  const Recorder rest = run(s);
  EXPECT_EQ(adapter_hash(s), adapter_hash(whole));
  EXPECT_GT(rest.end.trunk_batches_read, 8) << "what is whole is read";
  EXPECT_LT(rest.end.trunk_batches_read, rest.end.trunk_batches);
}

TEST_F(Trunk, ItIsRemovedByTheEndOfARunThatIsResumedWithoutIt) {
  TrainingSettings s = epochs("cached", true);
  run(s, 2);
  ASSERT_TRUE(std::filesystem::exists(TrunkCache::path_in(s.adapter_path)));
  s.resume = true;
  s.trunk_cache = false;
  EXPECT_EQ(run(s).end.reason, TrainingEnd::Reason::kDone);
  EXPECT_FALSE(std::filesystem::exists(TrunkCache::path_in(s.adapter_path)));
}

TEST_F(Trunk, ARunThatReplacesAFinishedOneHasItInItsOwnFolder) {
  TrainingSettings s = epochs("replaced", true);
  run(s);
  TrainingSettings whole = epochs("whole", true);
  whole.seed = s.seed = 4;
  run(whole);
  const auto file = [&](const std::filesystem::path& folder) {
    return std::filesystem::exists(TrunkCache::path_in(folder));
  };
  const std::filesystem::path unfinished = s.adapter_path / "unfinished";
  // Stopped before its first update it has no folder.
  Recorder none;
  const TrainingHost host{.peak_memory = [] { return 1_MiB; },
                          .stop_requested = [] { return true; }};
  run_training(s, host, none);
  EXPECT_FALSE(file(s.adapter_path));
  EXPECT_FALSE(std::filesystem::exists(unfinished));
  run(s, 7);
  EXPECT_FALSE(file(s.adapter_path));
  EXPECT_TRUE(file(unfinished));
  s.resume = true;
  const Recorder rest = run(s);
  EXPECT_GT(rest.end.trunk_batches_read, 8);
  EXPECT_EQ(adapter_hash(s), adapter_hash(whole));
  EXPECT_FALSE(file(s.adapter_path));
  EXPECT_FALSE(std::filesystem::exists(unfinished));
}

TEST_F(Trunk, AnotherRunsFileIsNotTaken) {
  const std::vector<std::int64_t> lengths{3, 2};
  const std::filesystem::path path = folder_.path() / "trunk.bin";
  const std::vector<std::int64_t> keys{1};
  const std::vector<std::int32_t> starts{0, 2};
  const Batch batch{
      .ids = {}, .row_starts = starts, .targets = {}, .coefficients = {}, .row_keys = keys};
  std::vector<std::byte> row(8, std::byte{7});
  {
    TrunkCache cache(path, std::string(64, 'a'), lengths, 4);
    EXPECT_FALSE(cache.load(batch, row));
    cache.store(batch, row);
    std::fill(row.begin(), row.end(), std::byte{0});
    EXPECT_TRUE(cache.load(batch, row));
    EXPECT_EQ(row[5], std::byte{7});
  }
  EXPECT_TRUE(TrunkCache(path, std::string(64, 'a'), lengths, 4).load(batch, row));
  EXPECT_FALSE(TrunkCache(path, std::string(64, 'b'), lengths, 4).load(batch, row));
  TrunkCache other(path, std::string(64, 'b'), {3, 3}, 4);
  EXPECT_THROW(static_cast<void>(other.load(batch, row)), std::logic_error);
}

TEST_F(Trunk, ADiskThatRefusesARowEndsTheCacheAndNotTheRun) {
  const std::filesystem::path path = folder_.path() / "full";
  TrunkCache cache(path, std::string(64, 'a'), {3, 2}, 4);
  EXPECT_EQ(cache.given_up(), "");
  const auto written = std::filesystem::file_size(path);
  const std::vector<std::int64_t> keys{0};
  const std::vector<std::int32_t> starts{0, 3};
  const Batch batch{
      .ids = {}, .row_starts = starts, .targets = {}, .coefficients = {}, .row_keys = keys};
  std::vector<std::byte> row(12, std::byte{7});
  (void)::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  ::getrlimit(RLIMIT_FSIZE, &before);
  const rlimit full{written, before.rlim_max};
  ::setrlimit(RLIMIT_FSIZE, &full);
  EXPECT_NO_THROW(cache.store(batch, row));
  ::setrlimit(RLIMIT_FSIZE, &before);
  EXPECT_EQ(cache.given_up(), path.string() + ": cannot be written: File too large");
  EXPECT_FALSE(cache.load(batch, row));
  EXPECT_EQ(std::filesystem::file_size(path), 0U) << "the disk has its room back";
}

TEST_F(Trunk, NoRoomIsRefusedWithBothAmounts) {
  const auto refusal = [](Bytes needed, Bytes limit, Bytes free) -> std::string {
    try {
      require_room(needed, limit, free);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_EQ(refusal(80_MiB, 1_GiB, 100_MiB), "");
  EXPECT_THAT(refusal(95_MiB, 1_GiB, 100_MiB),
              AllOf(HasSubstr("95.0 MiB"), HasSubstr("100.0 MiB")));
  EXPECT_THAT(refusal(80_MiB, 70_MiB, 1_GiB), HasSubstr("--trunk-cache-limit is 70.0 MiB"));
  TrainingSettings s = epochs("all layers", true);
  s.lora.layers = 6;
  EXPECT_THROW(run(s), Error);
}

}  // namespace
}  // namespace loadline
