#include "trial/journal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <fstream>

#include "base/error.h"
#include "base/json.h"
#include "machine/interrupt.h"

namespace loadline {
namespace {

class JournalTest : public testing::Test {
 protected:
  static TrialSpec spec(int id) {
    TrialSpec made;
    made.id = id;
    made.batch_size = 2 * id + 1;
    made.budget = made.cap = 100_MiB;
    made.worker = {{"nested", {{"list", {1, 2}}}}};
    return made;
  }
  static TrialOutcome outcome(Verdict verdict) {
    TrialOutcome made;
    made.verdict = verdict;
    made.cause = "because";
    made.peak = MeasuredBytes{5_MiB};
    return made;
  }
  // Three trials: two ended, one was running.
  void write_three() {
    Journal journal(folder_.path());
    journal.started(spec(1));
    journal.finished(spec(1), outcome(Verdict::kFits));
    journal.started(spec(2));
    journal.finished(spec(2), outcome(Verdict::kOutOfMemory));
    journal.started(spec(3));
  }
  std::vector<JournalEntry> reopened() { return Journal(folder_.path()).entries(); }
  [[nodiscard]] std::filesystem::path file() const { return folder_.path() / "journal.jsonl"; }
  [[nodiscard]] std::string text() const { return read_file(file(), 1_MiB); }
  void write(const std::string& content) { std::ofstream(file()) << content; }
  void expect_refused(const std::string& part) {
    try {
      reopened();
      ADD_FAILURE() << "accepted: " << text();
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kBadInput);
      EXPECT_THAT(error.what(), testing::HasSubstr(part));
      EXPECT_THAT(error.what(), testing::HasSubstr("--restart"));
    }
  }

  TemporaryFolder folder_;
};

TEST_F(JournalTest, ANewOneIsEmpty) { EXPECT_TRUE(reopened().empty()); }

TEST_F(JournalTest, WhatWasWrittenIsReadBack) {
  write_three();
  const auto entries = reopened();
  ASSERT_EQ(entries.size(), 3U);
  EXPECT_EQ(to_json(entries[0].spec), to_json(spec(1)));
  EXPECT_EQ(entries[0].outcome->verdict, Verdict::kFits);
  EXPECT_EQ(entries[1].outcome->verdict, Verdict::kOutOfMemory);
  EXPECT_EQ(entries[2].outcome->verdict, Verdict::kInterrupted) << "only the search ended";
}

TEST_F(JournalTest, ACutAnywhereLosesAtMostTheLastLine) {
  write_three();
  const std::string whole = text();
  for (std::size_t cut = 0; cut <= whole.size(); ++cut) {
    // Every byte around the line ends, every 37th elsewhere: each opening syncs a file.
    const std::size_t from = cut < 2 ? 0 : cut - 2;
    const bool near_end = whole.substr(from, 4).find('\n') != std::string::npos;
    if (!near_end && cut % 37 != 0) continue;
    write(whole.substr(0, cut));
    const auto lines = std::count(whole.begin(), whole.begin() + static_cast<long>(cut), '\n');
    {
      Journal journal(folder_.path());
      const auto& entries = journal.entries();
      ASSERT_EQ(entries.size(), static_cast<std::size_t>((lines + 1) / 2)) << "cut at " << cut;
      journal.started(spec(9));
    }
    ASSERT_EQ(reopened().back().spec.id, 9) << "cut at " << cut;
  }
}

TEST_F(JournalTest, ASecondSearchIsRefused) {
  const Journal first(folder_.path());
  try {
    const Journal second(folder_.path());
    FAIL() << "two searches write one journal";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kEnvironment);
    EXPECT_THAT(error.what(), testing::HasSubstr("another search"));
  }
}

TEST_F(JournalTest, ARubbishLineIsNamedWithItsNumber) {
  write_three();
  write(text() + "rubbish\n");
  expect_refused("journal.jsonl line 6");
}

// Seen: the peak over it was without end, and was printed as billions of GiB.
TEST_F(JournalTest, ABudgetOrACeilingOfNothingIsRefused) {
  for (const char* key : {"budget_bytes", "cap_bytes"}) {
    Json nothing = to_json(spec(1));
    nothing[key] = 0;
    write(Json{{"event", "started"}, {"spec", nothing}}.dump() + "\n");
    expect_refused(fmt::format("journal.jsonl line 1: '{}' is 0", key));
  }
}

TEST_F(JournalTest, AnEndWithoutABeginningIsRefused) {
  write(R"({"event":"finished","trial":5,"outcome":{}})"
        "\n");
  expect_refused("trial 5 finished but never started");
  write(R"({"event":"finished","trial":99999999999,"outcome":{}})"
        "\n");
  expect_refused("99999999999");
  write(R"({"event":"started","spec":{"id":1}})"
        "\n");
  expect_refused("'batch_size' is missing");
}

TEST_F(JournalTest, ATrialThatIsStartedAgainIsRunningAgain) {
  write_three();
  {
    Journal journal(folder_.path());
    journal.started(spec(2));
  }
  const auto entries = reopened();
  ASSERT_EQ(entries.size(), 3U);
  ASSERT_TRUE(entries[1].outcome.has_value());
  EXPECT_EQ(entries[1].outcome->verdict, Verdict::kInterrupted);
}

// A machine with a boot of its own.
class Boot {
 public:
  explicit Boot(const std::string& id) {
    const auto file = root_.path() / "proc/sys/kernel/random/boot_id";
    make_folder(file.parent_path());
    std::ofstream(file) << id << '\n';
  }
  [[nodiscard]] std::filesystem::path root() const { return root_.path(); }

 private:
  TemporaryFolder root_;
};

TEST_F(JournalTest, ATrialUnderWhichTheMachineWentDownIsMarkedAndNotTriedAgain) {
  Journal(folder_.path(), Boot("one").root()).started(spec(1));
  const Boot next("two");
  {
    const Journal journal(folder_.path(), next.root());
    EXPECT_EQ(journal.entries().at(0).outcome->verdict, Verdict::kKilled);
    EXPECT_THAT(journal.entries()[0].outcome->cause, testing::HasSubstr("the machine went down"));
  }
  // It stands in the file, so that a third search knows it too.
  EXPECT_THAT(text(), testing::HasSubstr("\"event\":\"finished\""));
  const std::string before = text();
  EXPECT_EQ(reopened().at(0).outcome->verdict, Verdict::kKilled);
  EXPECT_EQ(text(), before);
}

TEST_F(JournalTest, ATrialWhoseBootIsUnknownIsNotTriedAgain) {
  const TemporaryFolder nothing;
  Journal(folder_.path(), nothing.path()).started(spec(1));
  EXPECT_EQ(reopened().at(0).outcome->verdict, Verdict::kKilled);
}

TEST_F(JournalTest, AQuestionThatTwoKilledSearchesLeftIsNotTriedAThirdTime) {
  const auto begin = [&](int id, std::int64_t batch) {
    TrialSpec again = spec(id);
    again.batch_size = batch;
    again.worker["train_rows"] = fmt::format("/cache/of/search/{}", id);
    Journal journal(folder_.path());
    journal.started(again);
  };
  begin(1, 8);
  begin(2, 8);
  begin(3, 9);
  const auto entries = reopened();
  EXPECT_EQ(entries.at(0).outcome->verdict, Verdict::kInterrupted);
  EXPECT_EQ(entries.at(1).outcome->verdict, Verdict::kKilled);
  EXPECT_THAT(entries[1].outcome->cause, testing::HasSubstr("--restart"));
  EXPECT_EQ(entries.at(2).outcome->verdict, Verdict::kInterrupted) << "another question";
}

// Where MemAvailable binds, each start of a search has another ceiling.
TEST_F(JournalTest, AQuestionIsTheSameUnderAnyCeiling) {
  int id = 0;
  for (const Bytes cap : {23'820_MiB, 23'730_MiB, 25'900_MiB}) {
    TrialSpec again = spec(++id);
    again.batch_size = 8;
    again.budget = again.cap = cap;
    Journal(folder_.path()).started(again);
  }
  const auto entries = reopened();
  EXPECT_EQ(entries.at(0).outcome->verdict, Verdict::kInterrupted);
  EXPECT_EQ(entries.at(1).outcome->verdict, Verdict::kKilled);
  EXPECT_EQ(entries.at(2).outcome->verdict, Verdict::kKilled);
}

// Also where a script's background job ignores them.
void catch_both_signals() {
  for (const int number : {SIGINT, SIGTERM}) static_cast<void>(::signal(number, SIG_DFL));
  catch_interrupts();
}

TEST_F(JournalTest, ATrialUnderWhichASecondSignalEndedTheSearchIsInterruptedHoweverOftenThatWas) {
  int id = 0;
  for (const int second : {SIGINT, SIGTERM, SIGINT}) {
    TrialSpec again = spec(++id);
    again.batch_size = 8;
    const auto end_while_it_runs = [&] {
      catch_both_signals();
      Journal journal(folder_.path());
      journal.started(again);
      static_cast<void>(::raise(SIGINT));
      static_cast<void>(::raise(second));
    };
    EXPECT_EXIT(end_while_it_runs(), testing::ExitedWithCode(128 + second), "");
  }
  const auto entries = reopened();
  ASSERT_EQ(entries.size(), 3U);
  for (const JournalEntry& entry : entries) {
    EXPECT_EQ(entry.outcome->verdict, Verdict::kInterrupted) << entry.outcome->cause;
  }
}

TEST_F(JournalTest, ASecondSignalBetweenTwoTrialsWritesNothing) {
  const auto end_between = [&] {
    catch_both_signals();
    Journal journal(folder_.path());
    journal.started(spec(1));
    journal.finished(spec(1), outcome(Verdict::kFits));
    static_cast<void>(::raise(SIGINT));
    static_cast<void>(::raise(SIGINT));
  };
  EXPECT_EXIT(end_between(), testing::ExitedWithCode(128 + SIGINT), "");
  EXPECT_EQ(reopened().at(0).outcome->verdict, Verdict::kFits);
}

TEST_F(JournalTest, AFolderThatCannotBeWrittenIsNamed) {
  std::ofstream(folder_.path() / "file") << "x";
  EXPECT_THROW(Journal(folder_.path() / "file"), Error);
}

}  // namespace
}  // namespace loadline
