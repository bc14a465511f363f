// The adapter with the lowest validation loss, kept beside the last one: docs/training-state.md.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>

#include "checkpoint/adapter.h"

namespace loadline {

struct BestLoss {
  std::int64_t step = 0;
  double valid_loss = 0;
  std::optional<double> untrained_loss = {};  // of the same rows before the first update, if known
};

// False: before training the model did as well on the validation rows, or better.
bool helps(const BestLoss& best);

// What best.json in `adapter_path` says, whichever rows its loss is of; none where it is missing or
// damaged.
std::optional<BestLoss> recorded_best(const std::filesystem::path& adapter_path);
// For messages: "of step 5 (validation loss 1.234)", with ", before training 1.200" where it does
// not help.
std::string words_of(const BestLoss& best);

class BestAdapter {
 public:
  // `validation` says which rows the losses are of: those of others cannot be compared.
  BestAdapter(const std::filesystem::path& adapter_path, std::string validation)
      : folder_(adapter_path / "best"), validation_(std::move(validation)) {}

  // Forgets and removes what an earlier run left.
  void clear();
  // Takes up what the run that is continued had found. A best.json that is damaged counts as none.
  // The best by other validation rows is compared with none of these: it is moved beside, into
  // "best.step-25", which is said for people. Throws Error(kEnvironment) where it cannot be.
  [[nodiscard]] std::string take_up();

  // After take_up(): the adapter has no record, as the disk refused it until the run was killed,
  // and `loss` is what is known of it from elsewhere; record() is to follow.
  void take_up_unrecorded(const BestLoss& loss);

  [[nodiscard]] const std::filesystem::path& folder() const { return folder_; }
  [[nodiscard]] bool beaten_by(double valid_loss) const {
    return !best_ || valid_loss < best_->valid_loss;
  }
  [[nodiscard]] const std::optional<BestLoss>& best() const { return best_; }
  // Writes the adapter; record() is to follow.
  void replace(const Adapter& adapter, AdapterFormat format, const BestLoss& loss);
  // Writes best.json with step, losses and the validation rows, where it is not yet that of the
  // adapter. Where that is refused none is there.
  void record();

 private:
  std::filesystem::path folder_;
  std::string validation_;
  std::optional<BestLoss> best_;
  bool is_recorded_ = true;
};

}  // namespace loadline
