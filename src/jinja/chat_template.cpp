#include "jinja/chat_template.h"

#include "base/error.h"
#include "base/json.h"
#include "jinja/from_json.h"
#include "jinja/interpreter.h"
#include "jinja/parser.h"

namespace loadline {

struct ChatTemplate::Program {
  std::string source;
  jinja::Body body;
};

namespace {

constexpr std::size_t kLongestTemplate = 1 << 20;

// Throws for the first byte that is no UTF-8: everything behind relies on it.
void require_utf8(std::string_view text, const std::string& source) {
  try {
    static_cast<void>(Json(std::string(text)).dump());
  } catch (const Json::exception&) {
    throw bad_input("{}: the chat template is not UTF-8", source);
  }
}

}  // namespace

ChatTemplate::ChatTemplate(std::string_view jinja, const std::string& source)
    : program_(std::make_unique<Program>()) {
  if (jinja.size() > kLongestTemplate) {
    throw bad_input("{}: the chat template has {} bytes, more than {}", source, jinja.size(),
                    kLongestTemplate);
  }
  require_utf8(jinja, source);
  program_->source = source;
  try {
    program_->body = jinja::parse_template(jinja);
  } catch (const jinja::SyntaxError& error) {
    throw bad_input("{}: chat template line {}: {}", source, error.line(), error.what());
  }
}

ChatTemplate::ChatTemplate(ChatTemplate&&) noexcept = default;
ChatTemplate& ChatTemplate::operator=(ChatTemplate&&) noexcept = default;
ChatTemplate::~ChatTemplate() = default;

std::string ChatTemplate::render(const Json& variables) const {
  jinja::Meter meter;
  std::vector<std::pair<std::string, jinja::Value>> names;
  int line = 1;
  try {
    for (const auto& [name, value] : variables.items()) {
      names.emplace_back(name, jinja::from_json(value, meter));
    }
    jinja::Interpreter interpreter(std::move(names), meter);
    try {
      return interpreter.run(program_->body);
    } catch (const jinja::Failure&) {
      line = interpreter.line();
      throw;
    }
  } catch (const jinja::Failure& failure) {
    throw bad_input("{}: chat template line {}: {}", program_->source, line, failure.what());
  }
}

}  // namespace loadline
