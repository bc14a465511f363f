// What a row or `loadline chat` says of a conversation, checked before a template sees it.
#pragma once

#include <string>
#include <string_view>

#include "base/json_fwd.h"

namespace loadline {

// `json`, or its beginning where it is long, for an error.
std::string shown_beginning(std::string_view json);

// Throws Error(kBadInput), naming `key`, unless `messages` is a list of objects that each have a
// role and a content or calls, and a weight of 0 or 1 if any.
void require_messages(const Json& messages, std::string_view key);

// Whether the message asks not to be learned, as fine-tuning data of OpenAI's form can.
bool has_weight_zero(const Json& message);

// Null, or a list of objects. A string is taken for the JSON that stands in it: Arrow has no type
// for tools of different parameters. Throws Error(kBadInput) for anything else.
Json parse_tools(Json tools);

}  // namespace loadline
