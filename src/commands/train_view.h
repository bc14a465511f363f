// What people see while training, and what `train --json` says at the end.
#pragma once

#include <cstdio>
#include <string>

#include "base/json.h"
#include "training/trainer.h"

namespace loadline {

// Lines as mlx-lm prints them; on a terminal a bar with the time left below them.
class TrainView final : public TrainingObserver {
 public:
  TrainView(const TrainingSettings& settings, std::FILE* out, bool is_terminal)
      : settings_(settings), out_(out), is_terminal_(is_terminal) {}
  void loaded(const LoadReport& report) override;
  void stepped(const StepReport& report) override;
  void evaluated(const EvaluationReport& report) override;
  void saved(std::int64_t step, const std::filesystem::path& where, Bytes peak) override;
  void endangered(std::int64_t step, const std::string& what) override;

  // Clears the bar and says how the rows were used and which adapter was best.
  void ended(const TrainingEnd& end);
  [[nodiscard]] Json document(const TrainingEnd& end) const;

 private:
  void say(const std::string& line);
  void clear_bar();
  void draw_bar();
  [[nodiscard]] double seconds_left() const;

  const TrainingSettings& settings_;
  std::FILE* out_;
  bool is_terminal_;
  bool bar_is_drawn_ = false;
  double since_bar_ = 1;  // seconds of updates since the bar was drawn
  // Since the last line, as mlx-lm prints it.
  double loss_sum_ = 0, seconds_ = 0;
  std::int64_t updates_ = 0, tokens_ = 0, trained_tokens_ = 0;
  double step_seconds_ = 0;        // smoothed over about the last 20 updates
  double evaluation_seconds_ = 0;  // of the last evaluation
  StepReport last_;
  Json evaluations_ = Json::array();
  Json dangers_ = Json::array();
  Json best_, test_;  // null: none
};

}  // namespace loadline
