#include "text/conversation_fields.h"

#include "base/error.h"
#include "base/json.h"

namespace loadline {
namespace {

std::string shown_json(const Json& value) { return shown_beginning(value.dump()); }

}  // namespace

std::string shown_beginning(std::string_view json) {
  if (json.size() <= 60) return std::string(json);
  std::size_t end = 57;
  while (end > 0 && (static_cast<unsigned char>(json[end]) & 0xC0U) == 0x80U) --end;
  return std::string(json.substr(0, end)) + "...";
}

void require_messages(const Json& messages, std::string_view key) {
  if (!messages.is_array() || messages.empty()) {
    throw bad_input("'{}' should be a list of messages, but it is {}", key, shown_json(messages));
  }
  for (std::size_t i = 0; i < messages.size(); ++i) {
    const Json* role = json_find(messages[i], "role");
    if (role == nullptr || !role->is_string()) {
      throw bad_input("'{}': message {} has no 'role' that is a string", key, i + 1);
    }
    if (json_find(messages[i], "content") == nullptr &&
        json_find(messages[i], "tool_calls") == nullptr) {
      throw bad_input("'{}': message {} has neither 'content' nor 'tool_calls'", key, i + 1);
    }
    const Json* weight = json_find(messages[i], "weight");
    if (weight != nullptr && *weight != 0 && *weight != 1) {
      throw bad_input("'{}': message {} has the 'weight' {}, but it is 0 or 1", key, i + 1,
                      shown_json(*weight));
    }
  }
}

bool has_weight_zero(const Json& message) {
  const Json* weight = json_find(message, "weight");
  return weight != nullptr && *weight == 0;
}

Json parse_tools(Json tools) {
  if (tools.is_string()) tools = parse_json(tools.get<std::string>(), "'tools', a string");
  if (tools.is_null()) return tools;
  if (!tools.is_array()) {
    throw bad_input(
        "'tools' should be a list of objects, or a string that has one as JSON, but it "
        "is {}",
        shown_json(tools));
  }
  for (std::size_t i = 0; i < tools.size(); ++i) {
    if (tools[i].is_object()) continue;
    throw bad_input("'tools': number {} should be an object, but it is {}", i + 1,
                    shown_json(tools[i]));
  }
  return tools;
}

}  // namespace loadline
