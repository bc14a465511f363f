#include "training/distrust.h"

#include <algorithm>
#include <cmath>

namespace loadline {
namespace {

constexpr double kLeastWeight = 0.1;
constexpr double kMostWeight = 10.0;

// ln(1 - authority_weight + 1e-8) + provenance_entropy
double distance(const Provenance& provenance) {
  return std::log(1.0 - static_cast<double>(provenance.authority_weight) + 1e-8) +
         static_cast<double>(provenance.provenance_entropy);
}

}  // namespace

double distrust_term(const Provenance& provenance, double alpha) {
  const double d = distance(provenance);
  return alpha * d * d;
}

double distrust_score(const Provenance& provenance) { return std::max(0.0, distance(provenance)); }

void DistrustMean::add(const PackedRow& row, const DistrustSettings& settings) {
  if (!row.has_provenance || settings.mode == DistrustMode::kOff) return;
  sum_ += settings.mode == DistrustMode::kAdditive ? distrust_term(row.provenance, settings.alpha)
                                                   : distrust_score(row.provenance);
  ++count_;
}

double DistrustMean::value() const {
  return count_ == 0 ? 0.0 : sum_ / static_cast<double>(count_);
}

float distrust_weight(const PackedRow& row, double mean_score) {
  if (!row.has_provenance || mean_score <= 0) return 1.0F;
  const double ratio = distrust_score(row.provenance) / mean_score;
  return static_cast<float>(std::clamp(ratio, kLeastWeight, kMostWeight));
}

}  // namespace loadline
