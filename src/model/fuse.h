// An adapter merged into the weights that it was trained on: docs/adapters.md.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>

#include "base/bytes.h"
#include "checkpoint/adapter.h"
#include "checkpoint/config.h"
#include "checkpoint/weights.h"

namespace loadline {

struct FuseReport {
  std::int64_t files = 0;
  std::int64_t matrices = 0;  // that the adapter changed
  Bytes bytes;                // of the files
};

// Writes each weight file of `files` again into `folder`, under its name, with the same tensors of
// the same types in the same order: W + scale * B A where the adapter has a pair, computed in
// float32 and rounded to the tensor's type, and the same bytes elsewhere, also of a tensor that the
// index has in another file. Holds a few MiB beside the adapter. Throws Error(kBadInput) naming the
// tensor when one of the model is missing, has another shape or a type that is not a float's, or
// when a sum is more than its type can hold. `go_on` is called before each piece of a few MiB; what
// it throws ends the writing.
FuseReport fuse_weights(
    const WeightFiles& files, const ModelConfig& model, const AnyAdapter& adapter,
    const std::filesystem::path& folder, int threads, const std::function<void()>& go_on = [] {});

}  // namespace loadline
