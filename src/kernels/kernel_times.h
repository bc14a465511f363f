// Where a step's time goes, kernel by kernel. Off unless asked for; then two readings of the clock
// for each call.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace loadline {

enum class Kernel : std::uint8_t {
  kGemm,
  kDequantize,
  kAttentionForward,
  kAttentionBackward,
  kRmsNorm,
  kRope,
  kGatedActivation,
  kCrossEntropy,
  kElementwise,
  kAdamW,
};
constexpr std::size_t kKernels = 10;
[[nodiscard]] const char* name_of(Kernel kernel);

struct KernelTime {
  std::chrono::nanoseconds time{0};
  std::int64_t calls = 0;
};

// Begins anew, or ends. Of the whole process; for one thread that calls kernels.
void time_kernels(bool on);
[[nodiscard]] bool kernels_are_timed();
// By kernel, since time_kernels(true).
[[nodiscard]] const std::array<KernelTime, kKernels>& kernel_times();

// Lives as long as a kernel runs.
class KernelTimer {
 public:
  explicit KernelTimer(Kernel kernel);
  KernelTimer(const KernelTimer&) = delete;
  KernelTimer& operator=(const KernelTimer&) = delete;
  ~KernelTimer();

 private:
  Kernel kernel_;
  bool on_;
  std::chrono::steady_clock::time_point begin_;
};

}  // namespace loadline
