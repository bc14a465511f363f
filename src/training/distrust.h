// The distrust loss (public domain, Brian Roemmele). It is a function of the row's constants alone:
// `additive` shows in the reported loss and has no gradient; `weighted` has one. docs/distrust.md
// says this plainly.
#pragma once

#include <cstdint>

#include "text/packed.h"
#include "training/settings.h"

namespace loadline {

// alpha x (ln(1 - authority_weight + 1e-8) + provenance_entropy)^2
double distrust_term(const Provenance& provenance, double alpha);

// max(0, ln(1 - authority_weight + 1e-8) + provenance_entropy): falls with authority, rises with
// entropy.
double distrust_score(const Provenance& provenance);

// The mean over the rows that carry the fields, 0 when none does: of distrust_term for `additive`,
// what that adds to the reported loss, times lambda; of distrust_score for `weighted`.
class DistrustMean {
 public:
  void add(const PackedRow& row, const DistrustSettings& settings);
  [[nodiscard]] double value() const;

 private:
  double sum_ = 0;
  std::int64_t count_ = 0;
};

// clip(score / mean_score, 0.1, 10); 1 for rows without the fields and where the mean is 0.
float distrust_weight(const PackedRow& row, double mean_score);

}  // namespace loadline
