// URLs: put together, compared, resolved.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace loadline {

// Everything but letters, digits and "-._~" as %XX.
std::string percent_encoded(std::string_view text);

// "https://host:443", in lower case and with the port: two URLs with the same origin are the same
// server. Nothing when `url` is no http or https URL.
std::optional<std::string> origin_of(const std::string& url);

// Where `location`, absolute or relative, leads from `base`. Nothing when that is no http or https
// URL, and when it would lead from https to http.
std::optional<std::string> redirect_target(const std::string& base, const std::string& location);

}  // namespace loadline
