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

double mean_distrust(std::span<const PackedRow* const> rows, double alpha) {
  double sum = 0;
  std::int64_t count = 0;
  for (const PackedRow* row : rows) {
    if (!row->has_provenance) continue;
    sum += distrust_term(row->provenance, alpha);
    ++count;
  }
  return count == 0 ? 0.0 : sum / static_cast<double>(count);
}

void distrust_weights(std::span<const PackedRow* const> rows, std::span<float> weights) {
  double sum = 0;
  std::int64_t count = 0;
  for (const PackedRow* row : rows) {
    if (!row->has_provenance) continue;
    sum += distrust_score(row->provenance);
    ++count;
  }
  const double mean = count == 0 ? 0.0 : sum / static_cast<double>(count);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const bool weighted = rows[i]->has_provenance && mean > 0;
    const double ratio = weighted ? distrust_score(rows[i]->provenance) / mean : 1.0;
    weights[i] = static_cast<float>(weighted ? std::clamp(ratio, kLeastWeight, kMostWeight) : 1.0);
  }
}

}  // namespace loadline
