#pragma once

#include <cstdint>
#include <span>

namespace loadline {

// Rows laid end to end, without padding. Token t of a row predicts token t + 1 of the same row; the
// last one of a row predicts nothing. T = ids.size(), B = row_starts.size() - 1.
struct Batch {
  std::span<const std::int32_t> ids;         // (T), each in [0, V)
  std::span<const std::int32_t> row_starts;  // (B + 1), 0 first, T last, rising
  std::span<const std::int32_t> targets;     // (T), the id that token t must predict, or -1
  std::span<const float>
      coefficients;  // (T), what its cross-entropy is multiplied by in the gradient
  // (B), by which a TrunkStore knows the rows; empty: it is not to know them.
  std::span<const std::int64_t> row_keys = {};
  std::uint64_t dropout_seed = 0;  // what LoRA dropout's masks are made from
};

// Sums over the predicted tokens of a batch.
struct BatchLoss {
  double weighted = 0;       // sum of coefficient x cross-entropy: what the gradient is of
  double cross_entropy = 0;  // sum of cross-entropy, nats
  std::int64_t targets = 0;
};

}  // namespace loadline
