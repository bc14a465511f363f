// Base64 (RFC 4648).
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace loadline {

// nullopt when `text` is not Base64 with its padding.
std::optional<std::string> base64_decode(std::string_view text);

}  // namespace loadline
