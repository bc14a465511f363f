#include "report/terminal.h"

#include <fmt/format.h>

#include <utility>

#include "base/counted.h"
#include "base/number_text.h"
#include "report/progress.h"
#include "report/summary.h"
#include "report/text.h"
#include "trial/warnings.h"

namespace loadline {
namespace {

constexpr std::string_view kClearLine = "\r\x1b[2K";
constexpr std::string_view kBold = "\x1b[1m", kGreen = "\x1b[32m", kYellow = "\x1b[33m",
                           kRed = "\x1b[31m", kPlain = "\x1b[0m";

std::string joined(const std::vector<std::int64_t>& values) {
  std::string text;
  for (const std::int64_t value : values) {
    text += (text.empty() ? "" : ", ") + std::to_string(value);
  }
  return text;
}

// The guide's steps: 1, 5, 10, 15 ..., and the last.
bool is_shown(std::int64_t step, std::int64_t steps) {
  return step == 1 || step % 5 == 0 || step == steps;
}

bool is_heading(const std::string& line) {
  return !line.empty() && line.front() >= 'A' && line.front() <= 'Z' &&
         line.find_first_of("abcdefghijklmnopqrstuvwxyz:") == std::string::npos;
}

}  // namespace

struct TerminalView::State {
  std::FILE* out = nullptr;
  bool is_terminal = false;
  bool colour = false;
  Columns columns;  // none where nobody knows
  bool bar_is_drawn = false;
  Progress progress;
  std::string cell;  // of the trial before
  bool is_proof = false;
  bool loss_is_more = false;  // than the cross-entropy, in the steps of this trial

  [[nodiscard]] std::int64_t width() const { return columns ? columns() : kUsualColumns; }
  void clear_bar() {
    if (bar_is_drawn) write(kClearLine);
    bar_is_drawn = false;
  }
  void draw_bar() {
    if (!is_terminal) return;
    write(std::string(kClearLine) + bar_in(progress.bar(), width() - 1));
    std::fflush(out);
    bar_is_drawn = true;
  }
  // Who reads a pipe wants a message to be a line.
  void say(const std::string& message, std::string_view style = "") {
    const std::string text = is_terminal ? wrapped(message, width()) : message;
    clear_bar();
    const bool styled = colour && !style.empty();
    write(styled ? std::string(style) + text + std::string(kPlain) + "\n" : text + "\n");
    std::fflush(out);
  }
  // A closed pipe or a full disk must not end a search: its results are in the run folder.
  void write(std::string_view text) { (void)std::fwrite(text.data(), 1, text.size(), out); }

  void say_peak(const TrialSpec& spec, const TrialOutcome& outcome) {
    if (!outcome.peak) return;
    const Bytes peak = outcome.peak->bytes;
    say(fmt::format("  Peak memory: {} (adjusted: {} of {})", to_string(peak),
                    to_string(adjusted(peak, spec.margin)), to_string(spec.budget)));
  }
  void say_shortened(const TrialSpec& spec, const TrialOutcome& outcome) {
    if (!outcome.is_shortened(spec.steps)) return;
    say(
        fmt::format("  {} of {} steps were enough: they are slow, and the longest batch was among "
                    "them",
                    outcome.steps.size(), spec.steps));
  }
  void say_growth(const TrialOutcome& outcome) {
    if (!outcome.growth || outcome.steps.empty()) return;
    say("  Memory growth: " + describe(*outcome.growth, outcome.steps.back().step));
  }
  void say_warnings(const TrialSpec& spec, const TrialOutcome& outcome) {
    for (const std::string& warning : warnings_of(spec, outcome)) {
      say("  Warning: " + printable(warning), kYellow);
    }
  }

  // An evaluation has no other loss than the cross-entropy: both are shown by one measure.
  [[nodiscard]] std::string_view loss_name() const {
    return loss_is_more ? "cross-entropy" : "loss";
  }

  void show(const TrialSpec& spec, const Loaded& loaded) {
    loss_is_more = false;
    say(
        fmt::format("  Loaded {} ({}; longest row {} tokens, largest batch {} "
                    "tokens; planned {})",
                    counted(loaded.rows, "training sample"), in_seconds(loaded.seconds),
                    loaded.longest_row, loaded.worst_batch_tokens, to_string(spec.planned.bytes)));
  }
  void show(const TrialSpec& spec, const Stepped& stepped) {
    const TrialStep& step = stepped.step;
    if (!is_shown(step.step, spec.steps)) return;
    loss_is_more = step.cross_entropy.has_value();
    say(fmt::format("  Step {:>2}/{}: {} {}, memory {}, {}", step.step, spec.steps, loss_name(),
                    number_text(step.cross_entropy.value_or(step.loss), 4), to_string(step.peak),
                    in_seconds(step.seconds)));
  }
  void show(const TrialSpec& /*spec*/, const Evaluated& evaluated) {
    say(fmt::format("  Evaluation: {} {}, memory {}, {}", loss_name(),
                    number_text(evaluated.loss, 4), to_string(evaluated.peak),
                    in_seconds(evaluated.seconds)));
  }
  void show(const TrialSpec& /*spec*/, const Saved& saved) {
    say("  Adapter saved: memory " + to_string(saved.peak));
  }
  // The outcome tells how it ended.
  void show(const TrialSpec& /*spec*/, const Finished& /*finished*/) {}
  void show(const TrialSpec& /*spec*/, const Failed& /*failed*/) {}
};

TerminalView::TerminalView(std::FILE* out, bool is_terminal, bool colour, Columns columns)
    : state_(std::make_unique<State>()) {
  state_->out = out;
  state_->is_terminal = is_terminal;
  state_->colour = is_terminal && colour;
  state_->columns = std::move(columns);
}

TerminalView::~TerminalView() {
  state_->clear_bar();
  std::fflush(state_->out);
}

void TerminalView::line(const std::string& text) { state_->say(text); }

void TerminalView::whole_line(const std::string& text) {
  state_->clear_bar();
  state_->write(text + "\n");
  std::fflush(state_->out);
}

void TerminalView::search_begins(const SearchSpace& space, const SearchLimits& limits,
                                 const std::string& budget_binds) {
  state_->say(
      fmt::format("Memory budget: {} (set by {}); a configuration fits when its measured "
                  "peak x {:g} is within it",
                  to_string(limits.budget), printable(budget_binds), 1 + limits.margin));
  state_->say(fmt::format("Searching rank{} {} x layers {}, batch 1 to {}, objective {}",
                          space.ranks.size() == 1 ? "" : "s", joined(space.ranks),
                          joined(space.layers), space.max_batch, name_of(limits.objective)));
}

void TerminalView::proof_begins() { state_->is_proof = true; }

void TerminalView::outlook(const Outlook& outlook) { state_->progress.expects(outlook); }

void TerminalView::trial_begins(const TrialSpec& spec, const Configuration& tested) {
  const std::string cell = describe_cell(tested);
  if (cell != state_->cell && !state_->is_proof) {
    state_->cell = cell;
    state_->say("");
    state_->say("Finding optimal batch size for " + cell, kBold);
  }
  state_->say(fmt::format("Testing: {} ({} steps)", describe(tested), spec.steps));
  state_->say("  Loading model and data...");
  state_->progress.trial_begins(spec, tested);
  state_->draw_bar();
}

void TerminalView::trial_event(const TrialSpec& spec, const WorkerEvent& event) {
  state_->progress.trial_event(event);
  std::visit([&](const auto& what) { state_->show(spec, what); }, event);
  state_->draw_bar();
}

void TerminalView::trial_ends(const TrialSpec& spec, const TrialOutcome& outcome) {
  state_->progress.trial_ends(outcome);
  if (outcome.fits()) {
    state_->say("  SUCCESS", kGreen);
    state_->say_peak(spec, outcome);
    const auto spread = outcome.step_seconds_spread;
    state_->say(fmt::format(
        "  Median step time: {}{} ({:.0f} tokens/s)", in_seconds(outcome.step_seconds),
        spread ? fmt::format(" ± {:.0f} %", *spread * 100) : "", outcome.tokens_per_second));
    state_->say_growth(outcome);
  } else {
    const bool memory = is_memory_failure(outcome.verdict);
    state_->say("  " + heading_of(outcome.verdict) + ": " + cause_after_heading(outcome),
                memory ? kYellow : kRed);
    state_->say_peak(spec, outcome);
  }
  state_->say_shortened(spec, outcome);
  state_->say_warnings(spec, outcome);
  state_->draw_bar();
}

void TerminalView::search_ends(const SearchResult& result, const SearchLimits& limits) {
  const std::int64_t columns = state_->is_terminal ? state_->width() : kUsualColumns;
  for (const std::string& text : summary_lines(result, limits, columns)) {
    state_->say(text, is_heading(text) ? kBold : "");
  }
}

}  // namespace loadline
