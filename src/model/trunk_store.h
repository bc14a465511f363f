// What is kept of the layers below the first LoRA layer: they are frozen, so what they make of a
// row never changes.
#pragma once

#include <cstddef>
#include <span>

#include "model/batch.h"

namespace loadline {

class TrunkStore {
 public:
  virtual ~TrunkStore() = default;
  // Fills `tokens`, (T,H) in the compute type, with what the batch's rows have there; false where
  // a row is not known, and `tokens` is then of no use.
  [[nodiscard]] virtual bool load(const Batch& batch, std::span<std::byte> tokens) = 0;
  virtual void store(const Batch& batch, std::span<const std::byte> tokens) = 0;
};

}  // namespace loadline
