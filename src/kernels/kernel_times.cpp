#include "kernels/kernel_times.h"

namespace loadline {
namespace {

bool timing = false;
std::array<KernelTime, kKernels> times;

}  // namespace

const char* name_of(Kernel kernel) {
  constexpr std::array<const char*, kKernels> kNames = {
      "products", "dequantize",       "attention forward", "attention backward", "RMSNorm",
      "RoPE",     "gated activation", "cross-entropy",     "elementwise",        "AdamW"};
  return kNames.at(static_cast<std::size_t>(kernel));
}

void time_kernels(bool on) {
  timing = on;
  if (on) times = {};
}

bool kernels_are_timed() { return timing; }

const std::array<KernelTime, kKernels>& kernel_times() { return times; }

KernelTimer::KernelTimer(Kernel kernel) : kernel_(kernel), on_(timing) {
  if (on_) begin_ = std::chrono::steady_clock::now();
}

KernelTimer::~KernelTimer() {
  if (!on_) return;
  KernelTime& mine = times[static_cast<std::size_t>(kernel_)];
  mine.time += std::chrono::steady_clock::now() - begin_;
  ++mine.calls;
}

}  // namespace loadline
