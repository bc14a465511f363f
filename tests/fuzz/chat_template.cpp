// Any text is a chat template that renders a conversation to UTF-8 of at most 16 MiB, in bounded
// time and depth, or an Error.
#include "jinja/chat_template.h"

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/json.h"
#include "promise.h"

namespace loadline {
namespace {

constexpr std::size_t kLongest = std::size_t{16} << 20;

const Json& variables() {
  static const Json kVariables = Json::parse(R"({
    "messages": [{"role": "system", "content": "Be brief"}, {"role": "user", "content": "é 中 <b>"},
                 {"role": "assistant", "content": "<think>x</think>y", "tool_calls": [
                   {"function": {"name": "f", "arguments": {"a": [1, 2.5, null, true]}}}]}],
    "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
    "add_generation_prompt": true, "bos_token": "<s>", "eos_token": "</s>"})");
  return kVariables;
}

void check(const std::string& text) {
  require(text.size() <= kLongest);
  (void)Json(text).dump();  // throws, and so aborts, where the text is no UTF-8
}

}  // namespace
}  // namespace loadline

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace loadline;
  const std::string_view jinja(reinterpret_cast<const char*>(data), size);
  only_bad_input([&] { check(ChatTemplate(jinja, "fuzz").render(variables())); });
  return 0;
}
