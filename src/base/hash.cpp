#include "base/hash.h"

#include <openssl/evp.h>

#include <array>

#include "base/error.h"

namespace loadline {

std::string sha256_hex(std::string_view content) {
  std::array<unsigned char, 32> digest{};
  if (EVP_Digest(content.data(), content.size(), digest.data(), nullptr, EVP_sha256(), nullptr) !=
      1) {
    throw environment_error("SHA-256 is not available in this OpenSSL");
  }
  std::string hex;
  for (const unsigned char byte : digest) hex += fmt::format("{:02x}", byte);
  return hex;
}

}  // namespace loadline
