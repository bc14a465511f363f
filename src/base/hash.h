// Content hashes, for keys and checks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace loadline {

// SHA-256 (FIPS 180-4) as 64 lower-case hexadecimal digits.
std::string sha256_hex(std::string_view content);

// 64 bits, at memory speed: finds torn and damaged files, not adversaries. Any change of a single
// 8-byte word changes it.
std::uint64_t checksum64(std::span<const std::byte> content);

}  // namespace loadline
