// JSON from files that nobody vouches for.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "base/json_fwd.h"

namespace loadline {

// Parses `text`; `source` names it in errors. Throws Error(kBadInput) with the position for
// malformed text, for nesting deeper than 64 and for a key that stands twice in one object.
Json parse_json(std::string_view text, std::string_view source);

// A key that stands twice in `object`, of those the first by their letters. Building an object by
// json[key] takes the square of its keys: append them, and ask this.
std::optional<std::string_view> json_double_key(const Json& object);

// read_file and parse_json; a file above 256 MiB is refused.
Json read_json(const std::filesystem::path& path);

// Typed access with errors that name the source, the key and both types.
// `find` returns nullptr when the key is absent or null.
const Json* json_find(const Json& object, std::string_view key);
std::int64_t json_int(const Json& object, std::string_view key, std::string_view source);
double json_number(const Json& object, std::string_view key, std::string_view source);
std::string json_string(const Json& object, std::string_view key, std::string_view source);
bool json_bool(const Json& object, std::string_view key, std::string_view source);
// `otherwise` where the key is absent or null.
bool json_bool_or(const Json& object, std::string_view key, bool otherwise,
                  std::string_view source);

}  // namespace loadline
