// The distrust loss (public domain, Brian Roemmele). It is a function of the row's constants alone:
// `additive` shows in the reported loss and has no gradient; `weighted` has one. docs/distrust.md
// says this plainly.
#pragma once

#include <span>

#include "text/packed.h"
#include "training/settings.h"

namespace loadline {

// alpha x (ln(1 - authority_weight + 1e-8) + provenance_entropy)^2
double distrust_term(const Provenance& provenance, double alpha);

// max(0, ln(1 - authority_weight + 1e-8) + provenance_entropy): falls with authority, rises with
// entropy.
double distrust_score(const Provenance& provenance);

// The mean of distrust_term over the rows that carry the fields; 0 when none does. What `additive`
// adds to the reported loss, times lambda.
double mean_distrust(std::span<const PackedRow* const> rows, double alpha);

// weights[i] = clip(score_i / mean(scores), 0.1, 10) over the rows that carry the fields; 1 for the
// others and where the mean is 0.
void distrust_weights(std::span<const PackedRow* const> rows, std::span<float> weights);

}  // namespace loadline
