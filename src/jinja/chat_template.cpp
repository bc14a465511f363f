#include "jinja/chat_template.h"

#include "base/error.h"
#include "base/json.h"
#include "jinja/from_json.h"
#include "jinja/interpreter.h"
#include "jinja/parser.h"
#include "jinja/registry.h"

namespace loadline {

struct ChatTemplate::Program {
  std::string source;
  jinja::Program parsed;
  std::optional<std::chrono::year_month_day> day;
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

jinja::Value value_of(const Json& message) {
  jinja::Meter meter;
  try {
    return jinja::from_json(message, meter);
  } catch (const jinja::Failure& failure) {
    throw bad_input("{}", failure.what());
  }
}

}  // namespace

ChatTemplate::ChatTemplate(std::string_view jinja, const std::string& source,
                           std::optional<std::chrono::year_month_day> day)
    : program_(std::make_unique<Program>()) {
  program_->day = day;
  if (jinja.size() > kLongestTemplate) {
    throw bad_input("{}: the chat template has {} bytes, more than {}", source, jinja.size(),
                    kLongestTemplate);
  }
  require_utf8(jinja, source);
  program_->source = source;
  try {
    program_->parsed = jinja::parse_template(jinja);
  } catch (const jinja::SyntaxError& error) {
    throw bad_input("{}: chat template line {}: {}", source, error.line(), error.what());
  }
}

ChatTemplate::ChatTemplate(ChatTemplate&&) noexcept = default;
ChatTemplate& ChatTemplate::operator=(ChatTemplate&&) noexcept = default;
ChatTemplate::~ChatTemplate() = default;

bool ChatTemplate::asks_for_date() const {
  return program_->parsed.names.count("strftime_now") > 0;
}

Conversation::Conversation(Values values)
    : values_(std::make_shared<const Values>(std::move(values))) {}

Conversation::Conversation(const Json& messages) {
  Values values;
  for (const Json& message : messages) values.push_back(value_of(message));
  values_ = std::make_shared<const Values>(std::move(values));
}

Conversation Conversation::first(std::size_t count) const {
  return Conversation(
      Values(values_->begin(), values_->begin() + static_cast<std::ptrdiff_t>(count)));
}

Conversation Conversation::with(std::size_t index, const Json& message) const {
  Values values = *values_;
  values[index] = value_of(message);
  return Conversation(std::move(values));
}

std::string ChatTemplate::render(const Json& variables) const { return render(variables, nullptr); }

std::string ChatTemplate::render(const Json& variables, const Conversation& conversation) const {
  return render(variables, &conversation);
}

std::string ChatTemplate::render(const Json& variables, const Conversation* conversation) const {
  jinja::Meter meter;
  std::vector<std::pair<std::string, jinja::Value>> names;
  int line = 1;
  try {
    for (const auto& [name, value] : variables.items()) {
      names.emplace_back(name, jinja::from_json(value, meter));
    }
    if (conversation != nullptr) {
      names.emplace_back("messages", jinja::Value::list(*conversation->values_));
    }
    if (program_->day) names.emplace_back("strftime_now", jinja::strftime_of(*program_->day));
    jinja::Interpreter interpreter(std::move(names), meter);
    try {
      return interpreter.run(program_->parsed.body);
    } catch (const jinja::Failure&) {
      line = interpreter.line();
      throw;
    }
  } catch (const jinja::Failure& failure) {
    throw bad_input("{}: chat template line {}: {}", program_->source, line, failure.what());
  }
}

}  // namespace loadline
