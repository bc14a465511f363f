// loadline ask: what a search's trials say about configurations, without running anything.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>
#include <memory>
#include <string>

#include "base/counted.h"
#include "base/error.h"
#include "base/json.h"
#include "commands/asked_run.h"
#include "commands/command.h"
#include "commands/print_line.h"
#include "report/text.h"
#include "search/answers.h"
#include "workload/paths.h"

namespace loadline {
namespace fs = std::filesystem;
namespace {

struct AskOptions {
  std::string run;
  std::optional<std::int64_t> batch_size, lora_rank, lora_layers, sequence;
  std::optional<std::string> max;
  std::optional<double> speed_loss;  // percent
  bool memory = false;               // nothing about speed
  bool json = false;
};

void require_range(const char* flag, const std::optional<std::int64_t>& value, std::int64_t most) {
  if (value && (*value < 1 || *value > most)) {
    throw usage_error("{} {}: should be between 1 and {}", flag, *value, most);
  }
}

Part part_from(const std::string& word) {
  if (word == "batch") return Part::kBatch;
  if (word == "rank") return Part::kRank;
  if (word == "layers") return Part::kLayers;
  if (word == "seq") return Part::kSequence;
  throw usage_error("--max {}: should be one of batch, rank, layers, seq", word);
}

void validate(const AskOptions& options, const AskedRun& run) {
  require_range("--batch-size", options.batch_size, kMostBatch);
  require_range("--lora-rank", options.lora_rank, kMostRank);
  require_range("--lora-layers", options.lora_layers, run.model_layers());
  require_range("--max-seq-length", options.sequence, run.model_positions());
  const auto contradicts = [&](const char* word, const char* flag, bool given) {
    if (options.max == word && given) {
      throw usage_error("--max {} asks for what {} gives: leave one out", word, flag);
    }
  };
  contradicts("batch", "--batch-size", options.batch_size.has_value());
  contradicts("rank", "--lora-rank", options.lora_rank.has_value());
  contradicts("layers", "--lora-layers", options.lora_layers.has_value());
  contradicts("seq", "--max-seq-length", options.sequence.has_value());
  if (options.speed_loss && options.max != "rank") {
    throw usage_error("--speed-loss says how much --max rank may cost; give both");
  }
  if (options.speed_loss && options.memory) {
    throw usage_error("--memory leaves speed out, and --speed-loss asks for it: give one");
  }
  if (options.speed_loss && !(*options.speed_loss >= 0 && *options.speed_loss < 100)) {
    throw usage_error("--speed-loss {}: should be in percent, 0 to 100", *options.speed_loss);
  }
}

fs::path folder_of(const std::string& run) {
  if (fs::is_directory(run)) return run;
  const fs::path named = runs_folder() / run;
  if (fs::is_directory(named)) return named;
  throw bad_input("{}: there is no such folder, and none of that name in {}", run,
                  runs_folder().string());
}

Configuration asked_configuration(const AskOptions& options, const AskedRun& run) {
  Configuration c = run.optimal();
  c.batch_size = options.batch_size.value_or(c.batch_size);
  c.lora_rank = options.lora_rank.value_or(c.lora_rank);
  c.lora_layers = options.lora_layers.value_or(c.lora_layers);
  c.sequence = options.sequence.value_or(c.sequence);
  return c;
}

std::int64_t limit_of(Part part, const AskedRun& run) {
  switch (part) {
    case Part::kBatch:
      return std::min(kMostBatch, run.data_rows().value_or(kMostBatch));
    case Part::kRank:
      return run.useful_rank().rank;
    case Part::kLayers:
      return run.model_layers();
    case Part::kSequence:
      break;
  }
  return run.model_positions();
}

// Where more memory would change nothing.
std::string why_no_more(Part part, std::int64_t value, const AskedRun& run) {
  const UsefulRank useful = run.useful_rank();
  if (part == Part::kRank && value == useful.rank && !useful.module.empty()) {
    return fmt::format("Above that a rank adds nothing to any module ({})", useful.module);
  }
  if (part == Part::kBatch && value == run.data_rows()) {
    return fmt::format("The data has {}: in a larger batch rows would repeat",
                       counted(value, "row"));
  }
  return "";
}

// The largest value of the part that fits and, where asked, costs no more speed than that.
std::int64_t largest_part(const AskOptions& options, const AskedRun& run, const Answers& answers,
                          const Configuration& base, Part part) {
  if (part == Part::kSequence && !answers.uses_plan()) {
    throw bad_input(
        "--max seq: the run's model and rows are needed to plan other lengths, and are not where "
        "they were");
  }
  const std::int64_t least = answers.least_rank();
  const auto quickest = answers.smooth_seconds(with_part(base, Part::kRank, least));
  if (options.speed_loss && !quickest) {
    throw bad_input("--speed-loss: no trial of the run has a speed");
  }
  const double slowest = quickest.value_or(0) / (1 - options.speed_loss.value_or(0) / 100);
  return answers.largest(base, part, limit_of(part, run), [&](const Configuration& asked) {
    const Configuration c = run.as_run(asked);
    if (!answers.fits(c)) return false;
    return !options.speed_loss || c.lora_rank <= least || *answers.smooth_seconds(c) <= slowest;
  });
}

// The speed that --speed-loss is about, where its interval is wider than the difference that it
// asks for: of the largest rank, or of the first that was too slow.
std::optional<Answer> unclear_speed(const AskOptions& options, const AskedRun& run,
                                    const Answers& answers, const Configuration& base,
                                    std::int64_t largest) {
  if (!options.speed_loss) return std::nullopt;
  const std::int64_t rank = largest > answers.least_rank() ? largest : answers.least_rank() + 1;
  const Configuration c = run.as_run(with_part(base, Part::kRank, rank));
  if (!answers.fits(c)) return std::nullopt;
  const auto speed = answers.speed(c);
  if (!speed || (1 - speed->low / speed->value) * 100 <= *options.speed_loss) return std::nullopt;
  return speed;
}

struct MeasuredRanks {
  std::int64_t enough = 0;    // the largest that fits and costs no more speed than asked for
  std::int64_t too_slow = 0;  // the smallest above it, which nothing slowed but itself; 0: none
};

// By the speeds of the trials alone; nothing where there are no two to compare.
std::optional<MeasuredRanks> measured_ranks(double speed_loss, const AskedRun& run,
                                            const Answers& answers, const Configuration& base) {
  const auto measured_speed = [&](std::int64_t rank) -> std::optional<Answer> {
    const Configuration c = run.as_run(with_part(base, Part::kRank, rank));
    if (answers.support_of(c) != Support::kMeasured || !answers.fits(c)) return std::nullopt;
    const auto speed = answers.speed(c);
    return speed && speed->low == speed->high ? speed : std::nullopt;
  };
  std::map<std::int64_t, Answer> speeds;
  for (const RunTrial& trial : run.trials()) {
    const std::int64_t rank = trial.configuration.lora_rank;
    if (const auto speed = measured_speed(rank)) speeds.emplace(rank, *speed);
  }
  if (speeds.size() < 2 || speeds.begin()->first != answers.least_rank()) return std::nullopt;
  const double least = speeds.begin()->second.value * (1 - speed_loss / 100);
  MeasuredRanks ranks;
  for (const auto& [rank, speed] : speeds) {
    if (speed.value >= least) {
      ranks = {.enough = rank};
    } else if (ranks.too_slow == 0 && !speed.slowed_by_others) {
      ranks.too_slow = rank;
    }
  }
  return ranks;
}

void print_measured(const MeasuredRanks& measured, std::int64_t expected, const Answers& answers,
                    double speed_loss) {
  const bool is_between = measured.too_slow > 0;
  print_line(fmt::format("Largest rank that was measured: {}{}", measured.enough,
                         is_between ? fmt::format("; {} was too slow", measured.too_slow) : ""));
  print_line(fmt::format(
      "  It is not known beyond it: the speeds of other ranks do not tell a difference of {:g} %.",
      speed_loss));
  if (expected <= measured.enough || (is_between && expected >= measured.too_slow)) return;
  print_line(fmt::format(
      "  Rank {} is expected to be the largest: the search's command with --ranks {},{} "
      "and a --run-dir of its own measures it.",
      expected, answers.least_rank(), expected));
}

void print_unclear(const Answer& speed, const Answers& answers, double speed_loss,
                   std::int64_t largest) {
  const std::int64_t least = answers.least_rank();
  const std::int64_t rank = std::max(largest, least + 1);
  print_line("Largest rank: not known");
  print_line(fmt::format(
      "  The speed at rank {} is only known to lie between {:.0f} and {:.0f} tokens/s, which does "
      "not tell a difference of {:g} %.",
      rank, speed.low, speed.high, speed_loss));
  print_line(
      fmt::format("  The search's command with --ranks {},{} and a --run-dir of its own measures "
                  "it; ask that run then.",
                  least, rank));
}

std::uint64_t whole(double bytes) { return static_cast<std::uint64_t>(std::llround(bytes)); }

// Bytes are integers in every document.
Json bytes_json(const Answer& answer) {
  return {{"value", whole(answer.value)},
          {"low", whole(answer.low)},
          {"high", whole(answer.high)},
          {"support", name_of(answer.support)}};
}

// No more is known of a speed that others slowed than that it is at least so high.
Json speed_json(const Answer& speed) {
  return {{"value", speed.value},
          {"low", speed.low},
          {"high", speed.slowed_by_others ? Json(nullptr) : Json(speed.high)},
          {"support", name_of(speed.support)},
          {"slowed_by_others", speed.slowed_by_others}};
}

// Without a member for the speed where only the memory was asked for.
Json document_of(const Configuration& asked, const Answers& answers, const AskedRun& run,
                 bool only_memory) {
  const Configuration c = run.as_run(asked);
  const SearchLimits& limits = run.limits();
  const Answer peak = answers.peak(c);
  const Bytes bytes{static_cast<std::uint64_t>(peak.value)};
  Json json = {{"schema_version", 1},
               {"batch_size", c.batch_size},
               {"lora_rank", c.lora_rank},
               {"lora_layers", c.lora_layers},
               {"max_seq_length", asked.sequence > 0 ? Json(asked.sequence) : Json(nullptr)},
               {"fits", answers.fits(c)},
               {"support", name_of(peak.support)},
               {"peak_bytes", bytes_json(peak)},
               {"adjusted_bytes", adjusted(bytes, limits.margin).count},
               {"budget_bytes", limits.budget.count}};
  if (only_memory) return json;
  const auto speed = answers.speed(c);
  json["tokens_per_second"] = speed ? speed_json(*speed) : Json(nullptr);
  return json;
}

std::string interval(const Answer& answer, const std::string& low, const std::string& high) {
  return answer.support == Support::kMeasured ? "" : fmt::format(" ({} to {})", low, high);
}

// What needs too much even where the expectation errs by all that it may does not fit.
std::string_view fit_of(const Configuration& c, const Answers& answers,
                        const SearchLimits& limits) {
  if (answers.fits(c)) return "fits";
  const Bytes least{whole(answers.peak(c).low)};
  const bool fails = answers.fails(c) || adjusted(least, limits.margin) > limits.budget;
  return fails ? "does not fit" : "does not surely fit";
}

// An interval of several times its own lower end is no answer, and says so.
std::string speed_text(const Answer& speed) {
  constexpr double kUseless = 3;
  if (speed.slowed_by_others) {
    return fmt::format("≥ {:.0f} tokens/s (other processes slowed it)", speed.value);
  }
  if (speed.high > kUseless * speed.low) {
    return fmt::format("about {:.0f} tokens/s, very uncertain: anything from {:.0f} to {:.0f}",
                       speed.value, speed.low, speed.high);
  }
  return fmt::format(
      "{:.0f} tokens/s{}", speed.value,
      interval(speed, fmt::format("{:.0f}", speed.low), fmt::format("{:.0f}", speed.high)));
}

void print_answer(const Configuration& asked, const Answers& answers, const AskedRun& run,
                  bool only_memory) {
  const Configuration c = run.as_run(asked);
  const SearchLimits& limits = run.limits();
  const auto text = [](double bytes) {
    return to_string(Bytes{static_cast<std::uint64_t>(bytes)});
  };
  const Answer peak = answers.peak(c);
  const Bytes needed = adjusted(Bytes{static_cast<std::uint64_t>(peak.value)}, limits.margin);
  print_line(describe(asked));
  print_line(fmt::format("  Memory: {}{}; with margin {} of {}: {} [{}]", text(peak.value),
                         interval(peak, text(peak.low), text(peak.high)), to_string(needed),
                         to_string(limits.budget), fit_of(c, answers, limits),
                         name_of(peak.support)));
  const auto speed = only_memory ? std::nullopt : answers.speed(c);
  if (speed) {
    print_line(fmt::format("  Speed:  {} [{}]", speed_text(*speed), name_of(speed->support)));
  }
}

int run_ask(AskOptions options) {
  const AskedRun run(folder_of(options.run));
  if (options.lora_layers == -1) options.lora_layers = run.model_layers();
  validate(options, run);
  Estimates estimates([&](const Configuration& c) { return run.estimate(c); });
  const Answers answers(estimates, run.limits(), run.trials(),
                        [&](const Configuration& c) { return run.tokens(c); });
  Configuration c = asked_configuration(options, run);
  if (options.max) {
    const Part part = part_from(*options.max);
    const std::int64_t value = largest_part(options, run, answers, c, part);
    const auto unclear = unclear_speed(options, run, answers, c, value);
    c = with_part(c, part, std::max<std::int64_t>(value, 1));
    if (unclear) {
      const auto measured = measured_ranks(*options.speed_loss, run, answers, c);
      if (measured) c = with_part(c, part, measured->enough);
      if (options.json) {
        Json document = document_of(c, answers, run, options.memory);
        document["largest_is_known"] = false;
        fmt::print("{}\n", document.dump(2));
      } else if (measured) {
        print_measured(*measured, value, answers, *options.speed_loss);
        print_answer(c, answers, run, options.memory);
      } else {
        print_unclear(*unclear, answers, *options.speed_loss, value);
      }
      return measured ? 0 : 1;
    }
    if (!options.json) {
      print_line(value > 0 ? fmt::format("Largest {}: {}", *options.max, value)
                           : fmt::format("No {} fits; at 1:", *options.max));
      const std::string why = why_no_more(part, value, run);
      if (!why.empty()) print_line("  " + why);
    }
  }
  if (options.json) {
    fmt::print("{}\n", document_of(c, answers, run, options.memory).dump(2));
  } else {
    print_answer(c, answers, run, options.memory);
  }
  return answers.fits(run.as_run(c)) ? 0 : 1;
}

}  // namespace

CommandFunction add_ask(Flags flags) {
  const auto options = std::make_shared<AskOptions>();
  flags.word("run", options->run, "The folder of a search, or its name among the runs");
  flags.value("--batch-size", options->batch_size, "What is left out is the run's optimum");
  flags.value("--lora-rank", options->lora_rank, "LoRA rank");
  flags.layers("--lora-layers,--num-layers", options->lora_layers,
               "The last N layers; -1 or all: all");
  flags.value("--max-seq-length", options->sequence, "Rows of exactly so many tokens");
  flags.value("--max batch|rank|layers|seq", options->max, "The largest of these that fits");
  flags.value("--speed-loss", options->speed_loss,
              "With --max rank: percent of the smallest rank's speed that it may cost");
  flags.toggle("--memory", options->memory, "Only the memory: nothing about speed");
  flags.toggle("--json", options->json, "One JSON document on stdout");
  return [options] { return run_ask(*options); };
}

}  // namespace loadline
