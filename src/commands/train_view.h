// What people see while training, and what `train --json` says at the end.
#pragma once

#include <chrono>
#include <cstdio>
#include <optional>
#include <string>
#include <utility>

#include "base/json.h"
#include "report/text.h"
#include "training/trainer.h"

namespace loadline {

// Lines as mlx-lm prints them, with the cross-entropy at the end where the loss is more than that;
// on a terminal a bar with the time left below them, or how far an evaluation is.
class TrainView final : public TrainingObserver {
 public:
  TrainView(const TrainingSettings& settings, std::FILE* out, bool is_terminal,
            Columns columns = {})
      : settings_(settings), out_(out), is_terminal_(is_terminal), columns_(std::move(columns)) {}
  void loaded(const LoadReport& report) override;
  void stepped(const StepReport& report) override;
  void evaluating(EvaluationReport::Rows rows, std::int64_t done, std::int64_t all) override;
  void evaluated(const EvaluationReport& report) override;
  void saved(std::int64_t step, const std::filesystem::path& where, Bytes peak) override;
  void endangered(std::int64_t step, const std::string& what) override;
  void warned(std::int64_t step, const std::string& what) override;

  // Clears the bar and says what was done, how the rows were used, where the adapters are, and how
  // to read them: `model_words` are the flags that name the model.
  void ended(const TrainingEnd& end, const std::string& model_words);
  [[nodiscard]] Json document(const TrainingEnd& end) const;

 private:
  [[nodiscard]] std::string beside_untrained(double valid_loss) const;
  void say(const std::string& line);
  void clear_bar();
  void draw(const std::string& bar);
  [[nodiscard]] bool is_time_to_draw() const;
  [[nodiscard]] std::string bar() const;
  void say_average();
  void say_words(const std::string& words);
  void say_done(TrainingEnd::Reason reason);
  [[nodiscard]] double seconds_left() const;
  [[nodiscard]] double update_rate() const;

  const TrainingSettings& settings_;
  std::FILE* out_;
  bool is_terminal_;
  Columns columns_;  // none where nobody knows
  bool bar_is_drawn_ = false;
  using Clock = std::chrono::steady_clock;
  Clock::time_point drawn_;  // when, the last time
  Clock::time_point loaded_;
  // Since the last line, as mlx-lm prints it.
  double loss_sum_ = 0, cross_entropy_sum_ = 0, seconds_ = 0;
  std::int64_t updates_ = 0, tokens_ = 0;
  std::int64_t trained_tokens_ = 0;  // of the whole run, before a resumption too
  std::int64_t first_step_ = 0, tokens_before_ = 0;
  double update_seconds_ = 0;  // of this process
  Bytes planned_, peak_;
  double step_seconds_ = 0;               // smoothed over about the last 20 updates
  double evaluation_seconds_ = 0;         // of the last evaluation
  std::optional<double> untrained_loss_;  // where there was an evaluation before the first update
  StepReport last_;                       // its step alone before the first update of this process
  Json evaluations_ = Json::array();
  Json dangers_ = Json::array();
  Json warnings_ = Json::array();
  Json test_;  // null: none
};

}  // namespace loadline
