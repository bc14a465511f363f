// Content hashes, for keys and checks.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace loadline {

// SHA-256 (FIPS 180-4) as 64 lower-case hexadecimal digits.
std::string sha256_hex(std::string_view content);

}  // namespace loadline
