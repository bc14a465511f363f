// Any text is a tokenizer whose ids lie below vocabulary(), or an Error.
#include "text/tokenizer.h"

#include <cstdint>
#include <string_view>

#include "promise.h"

namespace loadline {
namespace {

void check(const Tokenizer& tokenizer) {
  for (const std::string_view text :
       {"", "a", "Hello, world! 123\n\n  \xE2\x96\x81x \xF0\x9F\x98\x80", "\xff\xfe <s> </s>",
        "\x01the THE, \r\ne\xCC\x81 \xEF\xAC\x81\xCC\x81 "
        "\xE2\x80\x8B\xE6\x97\xA5\xEF\xBD\xB6\xEF\xBE\x9E"}) {
    const std::vector<std::int32_t> ids = tokenizer.encode(text, true);
    for (const std::int32_t id : ids) require(id >= 0 && id < tokenizer.vocabulary());
    (void)tokenizer.decode(ids, false);
    (void)tokenizer.decode(ids, true);
  }
}

}  // namespace
}  // namespace loadline

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace loadline;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  only_bad_input([&] { check(Tokenizer::parse(text, "fuzz.json")); });
  return 0;
}
