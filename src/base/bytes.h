// Amounts of memory. Text says KiB, MiB or GiB and means powers of 1024.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace loadline {

struct Bytes {
  std::uint64_t count = 0;

  friend constexpr auto operator<=>(Bytes, Bytes) = default;
  friend constexpr Bytes operator+(Bytes a, Bytes b) { return {a.count + b.count}; }
  // Saturates at zero: a remainder is never negative.
  friend constexpr Bytes operator-(Bytes a, Bytes b) {
    return {a.count > b.count ? a.count - b.count : 0};
  }
  constexpr Bytes& operator+=(Bytes other) {
    count += other.count;
    return *this;
  }
  // Rounded to the nearest byte; factor must be finite and not negative.
  [[nodiscard]] constexpr Bytes scaled(double factor) const {
    const double exact = static_cast<double>(count) * factor;
    const auto whole = static_cast<std::uint64_t>(exact);
    return {whole + (exact - static_cast<double>(whole) >= 0.5 ? 1U : 0U)};
  }
  [[nodiscard]] constexpr double mib() const { return static_cast<double>(count) / (1 << 20); }
};

constexpr Bytes operator""_B(unsigned long long n) { return {n}; }
constexpr Bytes operator""_KiB(unsigned long long n) { return {n << 10}; }
constexpr Bytes operator""_MiB(unsigned long long n) { return {n << 20}; }
constexpr Bytes operator""_GiB(unsigned long long n) { return {n << 30}; }

// What the plan says and what a process was seen to use never mix by accident.
struct PredictedBytes {
  Bytes bytes;
  friend constexpr auto operator<=>(PredictedBytes, PredictedBytes) = default;
};
struct MeasuredBytes {
  Bytes bytes;
  friend constexpr auto operator<=>(MeasuredBytes, MeasuredBytes) = default;
};

// The one rule of find, plan and train: adjusted = peak x (1 + margin) must be within the budget.
constexpr Bytes adjusted(Bytes peak, double margin) { return peak.scaled(1.0 + margin); }

// "1.5GiB", "512MiB", "300M", "20gb", "1048576"; K, M and G mean powers of 1024 with or without the
// "i". A number alone is bytes, and at least 2^20 or 0: of 20, GiB are meant and not said. Throws
// Error(kUsage) for anything else, for a negative amount and above 2^60.
Bytes parse_bytes(std::string_view text);

// "6.58 GiB", "412.0 MiB", "12.0 KiB", "17 B".
std::string to_string(Bytes bytes);

// Of memory, as Linux on x86-64 hands it out.
inline constexpr std::size_t kPageSize = 4096;

}  // namespace loadline
