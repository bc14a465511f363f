// Chat templates: the subset of Jinja2 that is in use, rendered as transformers configures it
// (ImmutableSandboxed, trim_blocks, lstrip_blocks).
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json_fwd.h"

namespace loadline {

namespace jinja {
class Value;
}

// Messages as a template sees them, made once for many renderings.
class Conversation {
 public:
  // `messages` is an array. Throws Error(kBadInput) for nesting too deep.
  explicit Conversation(const Json& messages);
  [[nodiscard]] Conversation first(std::size_t count) const;
  [[nodiscard]] Conversation with(std::size_t index, const Json& message) const;

 private:
  friend class ChatTemplate;
  using Values = std::vector<jinja::Value>;
  explicit Conversation(Values values);
  std::shared_ptr<const Values> values_;
};

class ChatTemplate {
 public:
  // Throws Error(kBadInput) with the line when the template does not parse; `source` names it.
  // strftime_now tells the beginning of `day`, or the clock's time where none is given.
  ChatTemplate(std::string_view jinja, const std::string& source,
               std::optional<std::chrono::year_month_day> day = std::nullopt);
  ChatTemplate(ChatTemplate&&) noexcept;
  ChatTemplate& operator=(ChatTemplate&&) noexcept;
  ~ChatTemplate();

  // Whether strftime_now stands in the program.
  [[nodiscard]] bool asks_for_date() const;
  // `variables` is an object: messages, tools, add_generation_prompt, bos_token, eos_token ...
  // Throws Error(kBadInput) for raise_exception, undefined operations, and past the bounds of time,
  // depth and size.
  [[nodiscard]] std::string render(const Json& variables) const;
  // The same, `messages` being those of the conversation.
  [[nodiscard]] std::string render(const Json& variables, const Conversation& conversation) const;

 private:
  [[nodiscard]] std::string render(const Json& variables, const Conversation* conversation) const;

  struct Program;
  std::unique_ptr<Program> program_;
};

}  // namespace loadline
