// A hash over content that comes in pieces.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

struct evp_md_ctx_st;

namespace loadline {

class Digest {
 public:
  enum class Kind { kSha256, kSha1 };  // SHA-1 is what Git names a blob by

  explicit Digest(Kind kind);
  void add(std::span<const std::byte> piece);
  void add(std::string_view piece) { add(std::as_bytes(std::span(piece))); }
  // Of all that was added, in lower-case hexadecimal digits. Nothing may be added after it.
  [[nodiscard]] std::string hex();

 private:
  struct Free {
    void operator()(evp_md_ctx_st* context) const;
  };
  std::unique_ptr<evp_md_ctx_st, Free> context_;
};

}  // namespace loadline
