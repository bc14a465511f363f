// simdjson's view of a document as a Json value, for its small parts.
#pragma once

#include <simdjson.h>

#include <string>

#include "base/json_fwd.h"

namespace loadline {

// Deeper documents are refused by the parsers that are made with this depth.
constexpr std::size_t kMaxJsonDepth = 64;

// Keeps the order of keys. Throws Error(kBadInput), naming `source`, for a key that stands twice
// and for an object of more than 10,000 keys.
Json to_json(const simdjson::dom::element& element, const std::string& source);

}  // namespace loadline
