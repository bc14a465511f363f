// A conversation through the model's chat template.
#include <fmt/format.h>

#include "base/error.h"
#include "base/json.h"
#include "text/rows.h"

namespace loadline {
namespace {

bool has_text(const Json& message) {
  const Json* content = json_find(message, "content");
  return content != nullptr && content->is_string();
}

// The first message whose content is no text, in words; empty where all have text.
std::string without_text(const Json& messages) {
  for (std::size_t i = 0; i < messages.size(); ++i) {
    if (!messages[i].is_object() || has_text(messages[i])) continue;
    const Json* role = json_find(messages[i], "role");
    const Json* content = json_find(messages[i], "content");
    return fmt::format("message {} ({}) has {} as its content", i + 1,
                       role != nullptr && role->is_string() ? role->get<std::string>() : "no role",
                       content == nullptr    ? "null"
                       : content->is_array() ? "a list"
                                             : content->type_name());
  }
  return {};
}

// Whether what does not render does once every message has text as its content.
bool renders_with_text(const ChatTemplate& chat, Json variables) {
  for (Json& message : variables["messages"]) {
    if (message.is_object() && !has_text(message)) message["content"] = "";
  }
  try {
    static_cast<void>(chat.render(variables));
    return true;
  } catch (const Error&) {
    return false;
  }
}

}  // namespace

// All but the messages.
Json RowReader::variables(const Json& tools, bool add_generation_prompt) const {
  Json variables = special_tokens_;
  variables["tools"] = tools;
  variables["documents"] = nullptr;
  variables["add_generation_prompt"] = add_generation_prompt;
  return variables;
}

std::string RowReader::render(const Json& messages, const Json& tools,
                              bool add_generation_prompt) const {
  Json all = variables(tools, add_generation_prompt);
  all["messages"] = messages;
  const ChatTemplate& chat = chat_for(tools);
  try {
    return chat.render(all);
  } catch (const Error& error) {
    const std::string suspect = messages.is_array() ? without_text(messages) : "";
    if (suspect.empty() || !renders_with_text(chat, all)) throw;
    throw bad_input(
        "{}: {}, which this model's chat template cannot render. Give the content as a string",
        error.what(), suspect);
  }
}

std::string RowReader::render(const Conversation& conversation, const Json& tools,
                              bool add_generation_prompt) const {
  return chat_for(tools).render(variables(tools, add_generation_prompt), conversation);
}

std::optional<std::int32_t> RowReader::end_of_turn() const {
  if (!chat_.chat || !tokenizer_) return std::nullopt;
  const std::string answer = "An answer, and no other.";
  const Json messages = {{{"role", "user"}, {"content", "A question."}},
                         {{"role", "assistant"}, {"content", answer}}};
  std::string text;
  try {
    text = render(messages, nullptr, false);
  } catch (const Error&) {
    return std::nullopt;  // the prompt itself may render still, with what it has
  }
  const std::size_t at = text.rfind(answer);
  if (at == std::string::npos) return std::nullopt;
  const std::size_t end = text.find_first_not_of(" \n", at + answer.size());
  if (end == std::string::npos) return std::nullopt;
  const std::vector<std::int32_t> ids = tokenizer_->encode(text.substr(end), false);
  const bool special = !ids.empty() && tokenizer_->decode({ids.data(), 1}, true).empty() &&
                       !tokenizer_->decode({ids.data(), 1}, false).empty();
  return special ? std::optional(ids.front()) : std::nullopt;
}

}  // namespace loadline
