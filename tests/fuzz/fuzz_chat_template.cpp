// Any bytes as a chat template, rendered over a conversation: text or Error(kBadInput), within the
// template's own bounds.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/error.h"
#include "text/chat_template.h"

namespace {

const loadline::Json& variables() {
  static const loadline::Json kVariables = loadline::Json::parse(R"({
    "messages": [{"role": "system", "content": "Be brief"}, {"role": "user", "content": "é 中 <b>"},
                 {"role": "assistant", "content": "<think>x</think>y", "tool_calls": [
                   {"function": {"name": "f", "arguments": {"a": [1, 2.5, null, true]}}}]}],
    "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
    "add_generation_prompt": true, "bos_token": "<s>", "eos_token": "</s>"})");
  return kVariables;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  try {
    static_cast<void>(loadline::ChatTemplate(bytes, "fuzz").render(variables()));
  } catch (const loadline::Error& error) {
    if (error.kind() != loadline::ErrorKind::kBadInput) throw;
  }
  return 0;
}
