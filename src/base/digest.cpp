#include "base/digest.h"

#include <openssl/evp.h>

#include <array>

#include "base/error.h"

namespace loadline {
namespace {

void require(int answer) {
  if (answer != 1) throw environment_error("this OpenSSL refuses to hash: SHA-256 or SHA-1");
}

}  // namespace

void Digest::Free::operator()(evp_md_ctx_st* context) const { EVP_MD_CTX_free(context); }

Digest::Digest(Kind kind) : context_(EVP_MD_CTX_new()) {
  if (context_ == nullptr) throw std::bad_alloc();
  require(EVP_DigestInit_ex(context_.get(), kind == Kind::kSha256 ? EVP_sha256() : EVP_sha1(),
                            nullptr));
}

void Digest::add(std::span<const std::byte> piece) {
  require(EVP_DigestUpdate(context_.get(), piece.data(), piece.size()));
}

std::string Digest::hex() {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int size = 0;
  require(EVP_DigestFinal_ex(context_.get(), digest.data(), &size));
  std::string hex;
  for (unsigned int i = 0; i < size; ++i) hex += fmt::format("{:02x}", digest[i]);
  return hex;
}

}  // namespace loadline
