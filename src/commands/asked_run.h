// A finished or interrupted search, read back from its folder.
#pragma once

#include <filesystem>
#include <optional>
#include <vector>

#include "search/search.h"
#include "text/packed.h"
#include "training/settings.h"
#include "workload/ranks.h"

namespace loadline {

class AskedRun {
 public:
  // Reads the journal. Throws Error(kBadInput) when the folder holds none or no trial has ended.
  explicit AskedRun(const std::filesystem::path& folder);

  [[nodiscard]] const std::vector<RunTrial>& trials() const { return trials_; }
  [[nodiscard]] const SearchLimits& limits() const { return limits_; }
  // The run's own; what is left out of a question is taken from here. Sequence 0: the rows as the
  // run had them.
  [[nodiscard]] const Configuration& optimal() const { return optimal_; }
  [[nodiscard]] std::int64_t model_layers() const;
  // Where the model is gone, that is any.
  [[nodiscard]] UsefulRank useful_rank() const;
  // The longest row that the model has positions for.
  [[nodiscard]] std::int64_t model_positions() const;

  // Of the training data, as the run recorded their number; nothing where it did not, and they are
  // gone.
  [[nodiscard]] std::optional<std::int64_t> data_rows() const;

  // What the trials know a configuration by: where they share a sequence, their largest batch has
  // rows of exactly so many tokens, and so has what is asked, it is the one that they ran.
  [[nodiscard]] Configuration as_run(const Configuration& configuration) const;

  // The plan's bytes. A sequence that the run did not have means rows of exactly so many tokens.
  // Throws Error when model or rows are no longer where they were.
  [[nodiscard]] PredictedBytes estimate(const Configuration& configuration) const;
  // Of the largest batch; the batch size where the rows are gone.
  [[nodiscard]] double tokens(const Configuration& configuration) const;

 private:
  [[nodiscard]] bool is_of_run(std::int64_t sequence) const;

  std::vector<RunTrial> trials_;
  SearchLimits limits_;
  TrainingSettings base_;
  std::optional<ModelConfig> model_;
  std::optional<std::int64_t> recorded_positions_, recorded_rows_;  // run.json's
  std::optional<PackedRows> train_, valid_;
  Configuration optimal_;
};

}  // namespace loadline
