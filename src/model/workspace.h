// The plan's bytes: one anonymous mapping, and views into it by the plan's handles.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "kernels/nf4.h"
#include "kernels/view.h"
#include "model/memory_plan.h"

namespace loadline {

// Bytes of this process alone, mapped once and touched, so that they cannot run out later.
class Arena {
 public:
  // Zeroed, huge pages advised. When the kernel refuses, throws Error(kDoesNotFit) with the amount
  // and `needs_less`, a sentence on the way out without its full stop.
  Arena(Bytes size, std::string_view needs_less);
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;
  ~Arena();

  [[nodiscard]] std::span<std::byte> bytes() const { return {data_, size_}; }

 private:
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

// `plan` must be placed and outlive the workspace. All access throws std::logic_error when it asks
// for more than was planned, or for another type.
class Workspace {
 public:
  Workspace(const MemoryPlan& plan, std::string_view needs_less)
      : plan_(&plan), arena_(plan.arena(), needs_less) {}

  // A matrix buffer's first `rows` rows; a buffer of one dimension is a single column.
  [[nodiscard]] View matrix(BufferId id, std::int64_t rows) const;
  [[nodiscard]] View matrix(BufferId id) const;  // all rows
  // The whole buffer, or its first `count` elements.
  [[nodiscard]] std::span<float> floats(BufferId id) const;
  [[nodiscard]] std::span<float> floats(BufferId id, std::int64_t count) const;
  [[nodiscard]] std::span<std::int32_t> ints(BufferId id, std::int64_t count) const;
  [[nodiscard]] std::span<std::byte> bytes(BufferId id) const;
  // A quantized matrix.
  [[nodiscard]] Nf4View nf4(BufferId id) const;
  // (rows, cols) from element `first` of a flat buffer on.
  [[nodiscard]] View part(BufferId id, std::int64_t first, std::int64_t rows,
                          std::int64_t cols) const;

 private:
  [[nodiscard]] void* place(BufferId id, DType dtype, std::int64_t elements) const;

  const MemoryPlan* plan_;
  Arena arena_;
};

}  // namespace loadline
