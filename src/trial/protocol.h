// What a worker says to its trial: one JSON object a line on descriptor 3. docs/protocol.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "base/bytes.h"
#include "trial/trial.h"

namespace loadline {

struct Loaded {
  double seconds = 0;
  Bytes planned, peak;
  std::int64_t rows = 0, worst_batch_tokens = 0, longest_row = 0;
};
struct Stepped {
  TrialStep step;
};
struct Evaluated {
  double loss = 0, seconds = 0;
  Bytes peak;
};
struct Saved {
  Bytes peak;
};
struct Finished {
  Bytes peak, anonymous, file;
  std::string coverage;
};
// The worker's own word on why it ends without finishing.
struct Failed {
  Verdict verdict = Verdict::kCrashed;  // or kOutOfMemory, kDiverged, kBadInput, kInterrupted,
                                        // kRefused (a full disk, no permission)
  std::string detail;
};
using WorkerEvent = std::variant<Loaded, Stepped, Evaluated, Saved, Finished, Failed>;

// The descriptor on which the worker writes.
inline constexpr int kProtocolDescriptor = 3;

std::string encode_event(const WorkerEvent& event);  // without the newline
inline constexpr std::size_t kLongestLine = std::size_t{64} * 1024;

// Throws Error(kBadInput) for anything else, for a line above 64 KiB, for numbers that are not
// finite or negative, for a verdict that no worker may claim. Only a loss may be null: it was not
// finite, and reads as a NaN.
WorkerEvent decode_event(std::string_view line);

}  // namespace loadline
