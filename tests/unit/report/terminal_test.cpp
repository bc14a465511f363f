// What people read, as golden text.
#include "report/terminal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <functional>
#include <limits>
#include <sstream>
#include <string>
#include <vector>

#include "report/text.h"
#include "trial/advice.h"
#include "unit/report/example_result.h"

namespace loadline {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;

// What the view writes while `show` runs, and at its end.
std::string shown(bool is_terminal, const std::function<void(TerminalView&)>& show,
                  bool colour = true, const Columns& columns = {}) {
  char* text = nullptr;
  std::size_t size = 0;
  std::FILE* out = open_memstream(&text, &size);
  {
    TerminalView view(out, is_terminal, colour, columns);
    show(view);
  }
  (void)std::fclose(out);
  std::string result(text, size);
  std::free(text);  // NOLINT: open_memstream gives memory of malloc
  return result;
}

TrialSpec spec_of(std::int64_t batch, std::int64_t rank, std::int64_t layers) {
  TrialSpec spec;
  spec.batch_size = batch;
  spec.lora_rank = rank;
  spec.lora_layers = layers;
  spec.budget = 20480_MiB;
  spec.planned = {14400_MiB};
  return spec;
}

void run_steps(TerminalView& view, const TrialSpec& spec) {
  view.trial_begins(spec, {spec.batch_size, spec.lora_rank, spec.lora_layers});
  view.trial_event(spec, Loaded{.seconds = 0.8,
                                .planned = 14400_MiB,
                                .peak = 13000_MiB,
                                .rows = 500,
                                .worst_batch_tokens = 812,
                                .longest_row = 812});
  for (std::int64_t step = 1; step <= 15; ++step) {
    view.trial_event(spec, Stepped{{.step = step,
                                    .loss = 2.5 - 0.01 * static_cast<double>(step),
                                    .seconds = 2.04,
                                    .tokens = 812,
                                    .peak = 14500_MiB,
                                    .anonymous = {}}});
  }
  view.trial_event(spec, Evaluated{.loss = 2.3, .seconds = 0.5, .peak = 14535_MiB});
  view.trial_event(spec, Saved{.peak = 14535_MiB});
}

TEST(TerminalView, ShowsATrialAsTheGuideDoes) {
  const std::string text = shown(false, [](TerminalView& view) {
    const TrialSpec spec = spec_of(1, 64, 16);
    run_steps(view, spec);
    TrialOutcome outcome;
    outcome.verdict = Verdict::kFits;
    outcome.peak = MeasuredBytes{14535_MiB};
    outcome.step_seconds = 2.0;
    outcome.step_seconds_spread = 0.03;
    outcome.tokens_per_second = 406;
    outcome.steps.assign(15, {.step = 15, .peak = {}, .anonymous = {}});
    outcome.growth = Growth{.relative = 0.002, .bytes_per_step = 5e6, .half_width = 1e6};
    view.trial_ends(spec, outcome);
  });
  EXPECT_EQ(text,
            "\n"
            "Finding optimal batch size for rank=64, layers=16\n"
            "Testing: batch=1, rank=64, layers=16 (15 steps)\n"
            "  Loading model and data...\n"
            "  Loaded 500 training samples (0.800 s; longest row 812 tokens, largest batch 812 "
            "tokens; planned 14.06 GiB)\n"
            "  Step  1/15: loss 2.4900, memory 14.16 GiB, 2.04 s\n"
            "  Step  5/15: loss 2.4500, memory 14.16 GiB, 2.04 s\n"
            "  Step 10/15: loss 2.4000, memory 14.16 GiB, 2.04 s\n"
            "  Step 15/15: loss 2.3500, memory 14.16 GiB, 2.04 s\n"
            "  Evaluation: loss 2.3000, memory 14.19 GiB, 0.500 s\n"
            "  Adapter saved: memory 14.19 GiB\n"
            "  SUCCESS\n"
            "  Peak memory: 14.19 GiB (adjusted: 16.32 GiB of 20.00 GiB)\n"
            "  Median step time: 2.00 s ± 3 % (406 tokens/s)\n"
            "  Memory growth: +0.2 % over steps 10 to 15 (4.8 MiB ± 976.6 KiB a step)\n");
}

// With the additive distrust term a step's loss is near 100, and the evaluation's near 5.
TEST(TerminalView, StepsAndEvaluationAreShownByOneMeasure) {
  const std::string text = shown(false, [](TerminalView& view) {
    const TrialSpec spec = spec_of(1, 64, 16);
    view.trial_begins(spec, {1, 64, 16});
    view.trial_event(spec, Stepped{{.step = 1,
                                    .loss = 95.9,
                                    .seconds = 1,
                                    .tokens = 812,
                                    .peak = 100_MiB,
                                    .anonymous = {},
                                    .cross_entropy = 5.02}});
    view.trial_event(spec, Evaluated{.loss = 4.99, .seconds = 0.5, .peak = 100_MiB});
  });
  EXPECT_THAT(
      text, AllOf(HasSubstr("  Step  1/15: cross-entropy 5.0200, memory"),
                  HasSubstr("  Evaluation: cross-entropy 4.9900, memory"), Not(HasSubstr("loss"))));
}

std::string ending(Verdict verdict, const std::string& cause) {
  return shown(false, [&](TerminalView& view) {
    TrialOutcome outcome;
    outcome.verdict = verdict;
    outcome.cause = cause;
    view.trial_begins(spec_of(32, 64, 16), {32, 64, 16});
    view.trial_ends(spec_of(32, 64, 16), outcome);
  });
}

TEST(TerminalView, NamesTheCauseAndCallsNothingOutOfMemoryByGuess) {
  EXPECT_THAT(ending(Verdict::kExceedsBudget, "adjusted peak is above"),
              HasSubstr("  Does not fit: adjusted peak is above\n"));
  EXPECT_THAT(ending(Verdict::kOutOfMemory, "the cgroup's oom_kill rose"),
              HasSubstr("  Does not fit: the cgroup's oom_kill rose\n"));
  EXPECT_THAT(ending(Verdict::kKilled, "SIGKILL, cause unknown"),
              HasSubstr("  Not usable (killed): SIGKILL, cause unknown\n"));
  EXPECT_THAT(ending(Verdict::kTimedOut, "over 60 s"), HasSubstr("  Not usable (timed_out): over"));
  EXPECT_THAT(ending(Verdict::kRefused, "neighbours"), HasSubstr("  Stopped (refused): neighb"));
  EXPECT_THAT(ending(Verdict::kRefused, "refused: neighbours"),
              HasSubstr("  Stopped (refused): nei"));
  EXPECT_THAT(ending(Verdict::kOutOfMemory, "out of memory: the kernel"),
              HasSubstr("  Does not fit: out of memory: the kernel\n"));
  EXPECT_THAT(ending(Verdict::kExceedsBudget, "it ran, but above. " + std::string(kLowerBatch)),
              HasSubstr("  Does not fit: it ran, but above\n"))
      << "the search lowers them itself";
  for (const Verdict verdict : {Verdict::kKilled, Verdict::kTimedOut, Verdict::kCrashed}) {
    EXPECT_THAT(ending(verdict, "x"), Not(HasSubstr("Does not fit")));
  }
}

TEST(TerminalView, WarnsOfGrowthAboveTenPercent) {
  const auto growing = [](double relative) {
    return shown(false, [&](TerminalView& view) {
      TrialOutcome outcome;
      outcome.verdict = Verdict::kFits;
      outcome.peak = MeasuredBytes{100_MiB};
      outcome.steps.assign(15, {.step = 15, .peak = {}, .anonymous = {}});
      outcome.growth = Growth{.relative = relative};
      view.trial_begins(spec_of(1, 64, 16), {1, 64, 16});
      view.trial_ends(spec_of(1, 64, 16), outcome);
    });
  };
  EXPECT_THAT(growing(0.123), HasSubstr("Warning: memory grew by +12.3 % over steps 10 to 15"));
  EXPECT_THAT(growing(0.09), Not(HasSubstr("Warning")));
}

TEST(TerminalView, SaysTheCellOnceForTrialsInARow) {
  const std::string text = shown(false, [](TerminalView& view) {
    for (const std::int64_t batch : {1, 2, 3}) {
      view.trial_begins(spec_of(batch, 64, 16), {batch, 64, 16});
    }
    view.trial_begins(spec_of(3, 128, 16), {3, 128, 16});
  });
  const std::string phrase = "Finding optimal batch size";
  EXPECT_NE(text.find(phrase), text.rfind(phrase));
  EXPECT_EQ(text.find(phrase, text.find(phrase) + 1), text.rfind(phrase));
}

TEST(TerminalView, AProofIsNoSearchForABatchSize) {
  const std::string text = shown(false, [](TerminalView& view) {
    view.proof_begins();
    view.trial_begins(spec_of(1, 64, 16), {1, 64, 16});
  });
  EXPECT_THAT(text, AllOf(Not(HasSubstr("Finding")), HasSubstr("Testing: batch=1")));
}

TEST(TerminalView, OneRankIsNoRanks) {
  const std::string text = shown(false, [](TerminalView& view) {
    view.search_begins({{64}, {16}, 64}, testing::example_limits(), "--memory-limit");
  });
  EXPECT_THAT(text, HasSubstr("Searching rank 64 x layers 16"));
}

TEST(TerminalView, ALossThatIsNoNumberIsSaidInWords) {
  const std::string text = shown(false, [](TerminalView& view) {
    const double nan = -std::numeric_limits<double>::quiet_NaN();
    view.trial_event(spec_of(1, 64, 16),
                     Stepped{{.step = 1, .loss = nan, .seconds = 1, .peak = {}, .anonymous = {}}});
  });
  EXPECT_THAT(text, HasSubstr("loss not a number, memory"));
}

TEST(TerminalView, PlainOutputHasNoControlCharacters) {
  const std::string text = shown(false, [](TerminalView& view) {
    view.search_begins({{64}, {16}, 64}, testing::example_limits(), "--memory-limit");
    run_steps(view, spec_of(1, 64, 16));
    TrialOutcome outcome;
    outcome.cause = "\x1b[2J\rgone\xc2\x9b";
    view.trial_ends(spec_of(1, 64, 16), outcome);
    view.search_ends(testing::example_result(), testing::example_limits());
  });
  for (const char c : text) EXPECT_TRUE(c == '\n' || static_cast<unsigned char>(c) >= 0x20);
  EXPECT_THAT(text, HasSubstr("Not usable (crashed): ?[2J?gone?\n"));
}

// What a terminal shows in the end: a carriage return and "erase line" begin the line anew.
std::string as_seen(const std::string& text) {
  std::string seen;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text.compare(i, 5, "\r\x1b[2K") == 0) {
      seen.erase(seen.find_last_of('\n') + 1);
      i += 4;
    } else {
      seen += text[i];
    }
  }
  return seen;
}

void whole_search(TerminalView& view) {
  view.search_begins({{64}, {16}, 64}, testing::example_limits(), "--memory-limit");
  const ExpectedTrial first{{1, 64, 16}};
  const ExpectedTrial second{{2, 64, 16}};
  view.outlook({.trials_done = 0, .ways = {{first, second}}});
  run_steps(view, spec_of(1, 64, 16));
  TrialOutcome outcome;
  outcome.verdict = Verdict::kFits;
  outcome.seconds = 33;
  outcome.steps.assign(
      15, {.step = 1, .loss = 2, .seconds = 2, .tokens = 812, .peak = 1_GiB, .anonymous = {}});
  view.trial_ends(spec_of(1, 64, 16), outcome);
  view.outlook({.trials_done = 1, .ways = {{second}}});
  run_steps(view, spec_of(2, 64, 16));
}

TEST(TerminalView, TheBarLeavesNoTrace) {
  std::istringstream plain(shown(false, whole_search));
  std::string wanted;
  for (std::string line; std::getline(plain, line);) wanted += wrapped(line) + "\n";
  EXPECT_EQ(as_seen(shown(true, whole_search, false)), wanted);
}

TEST(TerminalView, OnATerminalNoLineIsLongerThanEightyColumns) {
  const auto search_ends = [](TerminalView& view) {
    view.search_ends(testing::example_result(), testing::example_limits());
  };
  EXPECT_THAT(
      shown(true, search_ends, false),
      AllOf(
          HasSubstr("  Next larger:  batch=18 does not fit (trial 3): adjusted peak 20.21 GiB is\n"
                    "                above the budget of 20.00 GiB\n"),
          HasSubstr("  * settled by the plan, which trials confirmed, not by a trial; a chance of\n"
                    "    error of 1.2 % at most\n")));
}

TEST(Wrapped, AWordThatIsTooLongStandsAlone) {
  const std::string path(90, 'x');
  EXPECT_EQ(wrapped("  Profile saved: " + path + " and more"),
            "  Profile saved:\n    " + path + "\n    and more");
  EXPECT_EQ(wrapped(path), path);
  EXPECT_EQ(wrapped(path + "  "), path + "  ");
  EXPECT_EQ(wrapped(""), "");
}

TEST(Wrapped, ALetterOfSeveralBytesTakesOneColumn) {
  std::string line;
  for (int i = 0; i < 40; ++i) line += "± ";
  line += "x";
  EXPECT_EQ(wrapped(line), line.substr(0, line.size() - 2) + "\n  x");
  EXPECT_EQ(wrapped(line.substr(0, line.size() - 2)), line.substr(0, line.size() - 2));
}

TEST(TerminalView, WhereNoEndWasForeseenTheBarPromisesNone) {
  const std::string text = shown(
      true,
      [](TerminalView& view) {
        view.search_begins({{64}, {16}, 64}, testing::example_limits(), "--memory-limit");
        view.outlook({.trials_done = 0, .ways = {}});
        run_steps(view, spec_of(1, 64, 16));
      },
      false);
  EXPECT_THAT(text, HasSubstr("trial 1, step 5 of 15\r"));
  EXPECT_THAT(text, Not(HasSubstr("left")));
  EXPECT_THAT(text, Not(HasSubstr("of about")));
}

TEST(TerminalView, TheBarShowsTrialsStepsAndTheTimeLeft) {
  const std::string text = shown(true, whole_search, false);
  // From the first steps on: ten more of 2.04 s, then fifteen of twice the tokens.
  EXPECT_THAT(text, HasSubstr("] trial 1 of about 2, step 5 of 15, about 82 s left\r"));
  EXPECT_THAT(text, HasSubstr("] trial 1 of about 2, about 63 s left"));
  EXPECT_THAT(text, HasSubstr("] trial 2 of about 2, step 0 of 15, about 63 s left"));
  for (std::size_t at = text.find('['); at != std::string::npos;
       at = text.find("\r\x1b[2K[", at + 1)) {
    const std::size_t end = text.find_first_of("\r\n", at + 6);
    EXPECT_LE(end - at, 85U);
  }
}

TEST(Text, IsWrappedAtTheTerminalsWidthWithinWhatIsReadWell) {
  const auto widest = [](std::int64_t columns) {
    std::string words;
    for (int i = 0; i < 100; ++i) words += "word ";
    std::istringstream lines(wrapped(words, columns));
    std::size_t most = 0;
    for (std::string line; std::getline(lines, line);) most = std::max(most, line.size());
    return most;
  };
  EXPECT_LE(widest(60), 60U);
  EXPECT_GT(widest(60), 55U);
  EXPECT_LE(widest(300), 100U);
  EXPECT_GT(widest(300), 95U);
  EXPECT_LE(widest(10), 40U);
  EXPECT_GT(widest(10), 35U);
}

TEST(Text, IsCutByColumnsAndNeverWithinACharacter) {
  EXPECT_EQ(cut_to("2.0 s ± 3 %", 7), "2.0 s ±");
  EXPECT_EQ(cut_to("2.0 s ± 3 %", 6), "2.0 s ");
  EXPECT_EQ(cut_to("short", 80), "short");
  EXPECT_EQ(cut_to("short", -1), "");
}

// What stands on the line that is drawn over and over, each time.
std::vector<std::string> bars_in(const std::string& text) {
  const std::string begin = "\r\x1b[2K";
  std::vector<std::string> bars;
  for (std::size_t at = text.find(begin); at != std::string::npos; at = text.find(begin, at + 1)) {
    const std::size_t bar = at + begin.size();
    const std::size_t end = text.find_first_of("\r\n", bar);
    if (end != std::string::npos && text[end] == '\r') bars.push_back(text.substr(bar, end - bar));
  }
  return bars;
}

TEST(TerminalView, TheBarIsNeverWiderThanTheTerminalAndItsNumbersAreWhole) {
  const auto bars = [](std::int64_t columns) {
    return bars_in(shown(true, whole_search, false, [=] { return columns; }));
  };
  EXPECT_GT(bars(30).size(), 10U);
  for (const std::int64_t columns : {15, 20, 30, 40, 60, 70, 80}) {
    for (const std::string& bar : bars(columns)) {
      EXPECT_LT(bar.size(), static_cast<std::size_t>(columns));
    }
  }
  EXPECT_THAT(bars(80), Contains(EndsWith(".] trial 1 of about 2, step 5 of 15, about 82 s left")));
  EXPECT_THAT(bars(60), Contains("trial 1 of about 2, step 5 of 15, about 82 s left"));
  EXPECT_THAT(bars(40), Contains("trial 1 of about 2, step 5 of 15"));
  EXPECT_THAT(bars(20), Contains("trial 1 of about 2"));
}

TEST(TerminalView, OnANarrowTerminalTheChoicesStandBelowEachOther) {
  const std::string text = shown(
      true,
      [](TerminalView& view) {
        view.search_ends(testing::example_result(), testing::example_limits());
      },
      false, [] { return std::int64_t{40}; });
  EXPECT_THAT(text, AllOf(HasSubstr("\n                        BALANCED\n"
                                    "  Batch size                  17\n"),
                          HasSubstr("  Speed             512 tokens/s\n"
                                    "\n"
                                    "                         FASTEST\n"
                                    "  Batch size                  18\n")));
}

TEST(TerminalView, ColoursOnlyOnATerminalThatWantsThem) {
  EXPECT_THAT(shown(true, whole_search), HasSubstr("\x1b[32m"));
  EXPECT_THAT(shown(true, whole_search, false), Not(HasSubstr("\x1b[32m")));
  EXPECT_THAT(shown(false, whole_search, true), Not(HasSubstr("\x1b")));
}

std::string ended(const SearchResult& result) {
  return shown(false,
               [&](TerminalView& view) { view.search_ends(result, testing::example_limits()); });
}

TEST(TerminalView, EndsWithTheOptimalConfiguration) {
  EXPECT_EQ(ended(testing::example_result()), R"(
BENCHMARK COMPLETE

Largest batch that fits, by LoRA rank (down) and layers (across):
             16      24
      64     18+     12*
     128     17      11*
  * settled by the plan, which trials confirmed, not by a trial; a chance of error of 1.2 % at most
  + the largest batch that was asked for; more may fit

OPTIMAL CONFIGURATION
  Objective:    balanced
  Batch size:   17
  LoRA rank:    128
  LoRA layers:  16
  Peak memory:  15.71 GiB (with 15 % margin: 18.07 GiB of 20.00 GiB)
  Planned:      15.55 GiB (measured +1.0 %)
  Step time:    3.20 s
  Speed:        512 tokens/s
  Trial:        2, covers 100 % of batches, longest row 812 tokens
  Next larger:  batch=18 does not fit (trial 3): adjusted peak 20.21 GiB is above the budget of 20.00 GiB

                        BALANCED         LARGEST         FASTEST
  Batch size                  17              17              18
  LoRA rank                  128             128              64
  LoRA layers                 16              16              16
  With margin          18.07 GiB       18.07 GiB       18.53 GiB
  Step time               3.20 s          3.20 s          3.00 s
  Speed             512 tokens/s    512 tokens/s    530 tokens/s

Memory against speed (no other trial beats these in both):
   16.32 GiB      410 tokens/s  batch=1, rank=64, layers=16
   18.07 GiB      512 tokens/s  batch=17, rank=128, layers=16
   18.53 GiB      530 tokens/s  batch=18, rank=64, layers=16
)");
}

TEST(TerminalView, SaysOfASpeedThatOthersSlowedThatItIsAtLeastThat) {
  SearchResult result = testing::example_result();
  result.trials[1].outcome.noise = {
      .cores = 2, .neighbour_cores = 1.0, .available_before = {}, .available_after = {}};
  const std::string text = ended(result);
  EXPECT_THAT(text, HasSubstr("  Speed:        ≥ 512 tokens/s\n"));
  EXPECT_THAT(text,
              HasSubstr("  Speed             ≥ 512 tokens/s    ≥ 512 tokens/s      530 tokens/s\n"
                        "  ≥ other processes used the cores meanwhile; alone it is faster\n"));
  EXPECT_THAT(text, HasSubstr("   18.07 GiB    ≥ 512 tokens/s  batch=17"));
  result.trials[1].outcome.tokens_per_second = 22512;
  EXPECT_THAT(ended(result), HasSubstr("≥ 22512 tokens/s  ≥ 22512 tokens/s"));
}

TEST(TerminalView, SaysTheSpeedOfAConfigurationsRunsThatTheChoiceWentBy) {
  SearchResult result = testing::example_result();
  RunTrial again = result.trials[1];  // the confirming run, beside others
  again.trial = 9;
  again.outcome.tokens_per_second = 300;
  again.outcome.step_seconds = 6;
  again.outcome.noise = {
      .cores = 2, .neighbour_cores = 1.0, .available_before = {}, .available_after = {}};
  result.trials.push_back(again);
  for (auto* choice : {&result.optimal, &result.balanced, &result.largest}) {
    if (*choice == std::size_t{1}) *choice = result.trials.size() - 1;
  }
  const std::string text = ended(result);
  EXPECT_THAT(text, HasSubstr("  Step time:    3.20 s\n  Speed:        512 tokens/s\n"));
  EXPECT_THAT(text, HasSubstr("   18.07 GiB      512 tokens/s  batch=17"));
  EXPECT_THAT(text, ::testing::Not(HasSubstr("300 tokens/s")));
}

TEST(TerminalView, SaysWhereTheMachinesPaceVaried) {
  SearchResult result = testing::example_result();
  for (RunTrial& trial : result.trials) {
    trial.outcome.pace = {.reference = {.tokens = 512, .seconds = 0.5},
                          .tokens_per_reference = trial.outcome.tokens_per_second / 2};
  }
  EXPECT_THAT(ended(result), ::testing::Not(HasSubstr("pace")));
  result.trials[3].outcome.pace->reference.seconds = 0.6;
  EXPECT_THAT(ended(result), HasSubstr("the same work took up to 20 % longer\n  in some trials."));
}

TEST(TerminalView, SaysWhatToDoWhenNothingFits) {
  SearchResult result;
  result.trials = {
      testing::example_trial(1, {1, 64, 16}, Verdict::kExceedsBudget, 20000_MiB, 2, 400)};
  const std::string text = ended(result);
  EXPECT_THAT(text, HasSubstr("NOTHING FITS\n  Not even batch=1, rank=64, layers=16 fits within "
                              "20.00 GiB: adjusted peak"));
  EXPECT_THAT(text, HasSubstr("--max-seq-length"));
  EXPECT_THAT(text, Not(HasSubstr("OPTIMAL")));
}

TEST(TerminalView, SaysThatAnUnfinishedSearchIsUnfinished) {
  SearchResult result = testing::example_result();
  result.status = SearchResult::Status::kUnfinished;
  result.stopped_by = "the time limit was reached";
  result.next_larger.reset();
  result.frontier[2].settled = false;
  const std::string text = ended(result);
  EXPECT_THAT(text, HasSubstr("BENCHMARK UNFINISHED\n  the time limit was reached\n  The same "
                              "command goes on from here"));
  EXPECT_THAT(text, HasSubstr("17?"));
  EXPECT_THAT(text, HasSubstr("batch=18 was not tried yet"));
  EXPECT_THAT(text, Not(HasSubstr("COMPLETE")));
}

TEST(TerminalView, ASearchThatWouldOnlyEndSoAgainIsNotSaidToGoOn) {
  SearchResult result;
  result.status = SearchResult::Status::kUnfinished;
  result.stop_verdict = Verdict::kDiverged;
  result.stopped_by = "diverged: the loss is nan";
  EXPECT_THAT(ended(result), AllOf(HasSubstr("The same command would not come further: mend that"),
                                   Not(HasSubstr("goes on from here"))));
}

TEST(TerminalView, SaysWhyANextLargerBatchWasNotTried) {
  SearchResult result = testing::example_result();
  result.next_larger.reset();
  result.next_larger_planned = PredictedBytes{50000_MiB};
  EXPECT_THAT(ended(result), HasSubstr("batch=18 was not tried: the confirmed plan puts it at "
                                       "56.15 GiB of 20.00 GiB"));
  result.frontier[2].at_limit = true;
  EXPECT_THAT(ended(result), HasSubstr("batch=18 was not asked for (--max-batch"));
  result = testing::example_result();
  result.trials[2].outcome.verdict = Verdict::kTimedOut;
  EXPECT_THAT(ended(result), HasSubstr("batch=18 not usable (timed_out) (trial 3): "));
}

TEST(TimeLeft, IsRoundedToWhatPeoplePlanWith) {
  EXPECT_EQ(in_time_left(0.2), "1 s");
  EXPECT_EQ(in_time_left(89.5), "90 s");
  EXPECT_EQ(in_time_left(91), "2 min");
  EXPECT_EQ(in_time_left(3600.0 * 2), "2 h 0 min");
  EXPECT_EQ(in_time_left(100, 300), "2 to 5 min");
  EXPECT_EQ(in_time_left(40, 100), "40 s to 2 min");
  EXPECT_EQ(in_time_left(0.1, 0.3), "1 s");
  EXPECT_EQ(in_time_left(6000, 9600), "1 h 40 min to 2 h 40 min");
  EXPECT_EQ(in_time_left(2400, 6000), "40 min to 1 h 40 min");
}

TEST(Elapsed, IsRoundedToTheNearest) {
  EXPECT_EQ(in_elapsed(0.04), "0.0 s");
  EXPECT_EQ(in_elapsed(3.02), "3.0 s");
  EXPECT_EQ(in_elapsed(9.96), "10 s");
  EXPECT_EQ(in_elapsed(59.6), "1 min 0 s");
  EXPECT_EQ(in_elapsed(91.2), "1 min 31 s");
  EXPECT_EQ(in_elapsed(3599.6), "1 h 0 min");
  EXPECT_EQ(in_elapsed(3600.0 + 20 * 60 + 29), "1 h 20 min");
}

}  // namespace
}  // namespace loadline
