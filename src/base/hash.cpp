#include "base/hash.h"

#include <array>
#include <cstring>

#include "base/digest.h"

namespace loadline {

std::string sha256_hex(std::string_view content) {
  Digest digest(Digest::Kind::kSha256);
  digest.add(content);
  return digest.hex();
}

// Eight running sums over interleaved words, each step a bijection of the sum and of the word.
std::uint64_t checksum64(std::span<const std::byte> content) {
  constexpr std::size_t kLanes = 8;
  constexpr std::uint64_t kOdd = 0x9e3779b97f4a7c15U;
  std::array<std::uint64_t, kLanes> sums{};
  std::array<std::uint64_t, kLanes> words{};
  const std::size_t whole = content.size() / sizeof words * sizeof words;
  const auto add = [&](const std::byte* from, std::size_t bytes) {
    words = {};
    std::memcpy(words.data(), from, bytes);
    for (std::size_t i = 0; i < kLanes; ++i) {
      const std::uint64_t mixed = (sums[i] ^ words[i]) * kOdd;
      sums[i] = mixed ^ (mixed >> 29);
    }
  };
  for (std::size_t at = 0; at < whole; at += sizeof words) add(content.data() + at, sizeof words);
  if (whole < content.size()) add(content.data() + whole, content.size() - whole);
  std::uint64_t all = content.size();
  for (const std::uint64_t sum : sums) {
    const std::uint64_t mixed = (all ^ sum) * kOdd;
    all = mixed ^ (mixed >> 32);
  }
  return all;
}

}  // namespace loadline
