// Chat templates: the subset of Jinja2 that is in use, rendered as transformers configures it
// (ImmutableSandboxed, trim_blocks, lstrip_blocks).
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/json_fwd.h"

namespace loadline {

class ChatTemplate {
 public:
  // Throws Error(kBadInput) with the line when the template does not parse; `source` names it.
  ChatTemplate(std::string_view jinja, const std::string& source);
  ChatTemplate(ChatTemplate&&) noexcept;
  ChatTemplate& operator=(ChatTemplate&&) noexcept;
  ~ChatTemplate();

  // `variables` is an object: messages, tools, add_generation_prompt, bos_token, eos_token ...
  // Throws Error(kBadInput) for raise_exception, undefined operations, and past the bounds of time,
  // depth and size.
  [[nodiscard]] std::string render(const Json& variables) const;

 private:
  struct Program;
  std::unique_ptr<Program> program_;
};

}  // namespace loadline
