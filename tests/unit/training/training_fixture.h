// Whole training runs of the demo model on short rows made on the spot.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <functional>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "checkpoint/adapter.h"
#include "packed_fixture.h"
#include "training/trainer.h"

namespace loadline {

struct Recorder : TrainingObserver {
  void loaded(const LoadReport& report) override { load = report; }
  void stepped(const StepReport& report) override { steps.push_back(report); }
  void evaluated(const EvaluationReport& report) override { evaluations.push_back(report); }
  void saved(std::int64_t step, const std::filesystem::path& /*where*/, Bytes /*peak*/) override {
    saves.push_back(step);
  }
  void warned(std::int64_t step, const std::string& what) override {
    warnings.push_back(fmt::format("{}: {}", step, what));
  }
  LoadReport load;
  std::vector<StepReport> steps;
  std::vector<EvaluationReport> evaluations;
  std::vector<std::int64_t> saves;
  std::vector<std::string> warnings;
  TrainingEnd end;
};

inline std::string content(const std::filesystem::path& path) { return read_file(path, 1_GiB); }

inline std::vector<Json> json_lines(const std::filesystem::path& path) {
  std::vector<Json> lines;
  std::istringstream text(content(path));
  for (std::string line; std::getline(text, line);) lines.push_back(parse_json(line, "line"));
  return lines;
}

// |a - b| / |a| over all values of two adapters.
inline double relative_distance(const Adapter& a, const Adapter& b) {
  double difference = 0;
  double size = 0;
  const auto add = [&](const std::vector<float>& x, const std::vector<float>& y) {
    ASSERT_EQ(x.size(), y.size());
    for (std::size_t i = 0; i < x.size(); ++i) {
      const double d = static_cast<double>(x[i]) - static_cast<double>(y[i]);
      difference += d * d;
      size += static_cast<double>(x[i]) * static_cast<double>(x[i]);
    }
  };
  for (std::size_t p = 0; p < a.pairs.size(); ++p) {
    add(a.pairs[p].a, b.pairs[p].a);
    add(a.pairs[p].b, b.pairs[p].b);
  }
  return std::sqrt(difference / size);
}

class TrainingRun : public testing::Test {
 protected:
  // `count` rows of 5 to 24 ids; every third without provenance.
  static std::vector<TokenizedRow> made_up_rows(int count, std::uint32_t state = 1) {
    const auto next = [&state] { return (state = state * 1664525U + 1013904223U) >> 8; };
    std::vector<TokenizedRow> rows;
    for (int r = 0; r < count; ++r) {
      TokenizedRow row;
      const std::uint32_t length = 5 + next() % 20;
      for (std::uint32_t t = 0; t < length; ++t) {
        row.ids.push_back(static_cast<std::int32_t>(3 + next() % 40));
      }
      row.in_loss.assign(length, true);
      if (r % 3 != 0) {
        row.provenance =
            Provenance{.05F + .1F * static_cast<float>(r % 7), static_cast<float>(1 + r % 8)};
      }
      rows.push_back(row);
    }
    return rows;
  }

  std::filesystem::path pack(const std::string& name, const std::vector<TokenizedRow>& rows) {
    return write_packed(folder_.path() / name, rows, name);
  }

  TrainingSettings settings(const std::string& adapter_name) {
    TrainingSettings s;
    s.model = LOADLINE_SOURCE_DIR "/demo/model";
    s.train_rows = folder_.path() / "train.packed";
    if (!std::filesystem::exists(s.train_rows)) pack("train.packed", made_up_rows(20));
    s.adapter_path = folder_.path() / adapter_name;
    s.batch_size = 2;
    s.max_steps = 3;
    s.lora = {.rank = 4,
              .alpha = 8,
              .layers = 2,
              .targets = {Projection::kQ, Projection::kV, Projection::kDown}};
    s.learning_rate = 1e-3;
    s.schedule = LearningRateSchedule::kConstant;
    s.distrust.mode = DistrustMode::kOff;
    s.seed = 3;
    return s;
  }

  // Ctrl-C comes while update `stop_at` runs; 0: never.
  static Recorder run(const TrainingSettings& s, std::int64_t stop_at = 0) {
    Recorder recorder;
    const TrainingHost host{
        .peak_memory = [] { return 1_MiB; },
        .stop_requested =
            [&] {
              return stop_at > 0 && static_cast<std::int64_t>(recorder.steps.size()) >= stop_at;
            }};
    recorder.end = run_training(s, host, recorder);
    return recorder;
  }

  // A hash, so that a difference prints a line and not the file.
  static std::string adapter_hash(const TrainingSettings& s) {
    return sha256_hex(content(s.adapter_path / "adapter_model.safetensors"));
  }
  static Adapter adapter_of(const TrainingSettings& s) {
    return read_adapter(s.adapter_path, read_config(s.model));
  }

  TemporaryFolder folder_;
};

}  // namespace loadline
