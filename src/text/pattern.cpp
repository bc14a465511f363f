#include "text/pattern.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <array>
#include <cstdint>
#include <utility>

#include "base/error.h"
#include "base/json.h"
#include "text/unicode.h"

namespace loadline {
namespace {

// Enough for any sensible expression on a line of 64 MiB; a catastrophic one ends in an error.
constexpr std::uint32_t kMatchLimit = 100'000'000;
constexpr std::uint32_t kHeapLimitKib = 64 << 10;
constexpr std::size_t kJitStack = 1 << 20;
constexpr std::size_t kMaxExpression = 64 << 10;

std::string message_of(int code) {
  std::array<PCRE2_UCHAR, 256> text{};
  pcre2_get_error_message(code, text.data(), text.size());
  return reinterpret_cast<const char*>(text.data());
}

struct FreeContext {
  void operator()(pcre2_match_context* p) const { pcre2_match_context_free(p); }
};
struct FreeCompileContext {
  void operator()(pcre2_compile_context* p) const { pcre2_compile_context_free(p); }
};
struct FreeStack {
  void operator()(pcre2_jit_stack* p) const { pcre2_jit_stack_free(p); }
};
struct FreeData {
  void operator()(pcre2_match_data* p) const { pcre2_match_data_free(p); }
};
struct FreeCode {
  void operator()(pcre2_code* p) const { pcre2_code_free(p); }
};

}  // namespace

struct MatchScratch::State {
  std::unique_ptr<pcre2_match_context, FreeContext> context{pcre2_match_context_create(nullptr)};
  std::unique_ptr<pcre2_jit_stack, FreeStack> stack{
      pcre2_jit_stack_create(32 << 10, kJitStack, nullptr)};
  std::unique_ptr<pcre2_match_data, FreeData> data{pcre2_match_data_create(1, nullptr)};
};

MatchScratch::MatchScratch() : state_(std::make_unique<State>()) {
  pcre2_set_match_limit(state_->context.get(), kMatchLimit);
  pcre2_set_heap_limit(state_->context.get(), kHeapLimitKib);
  pcre2_jit_stack_assign(state_->context.get(), nullptr, state_->stack.get());
}
MatchScratch::~MatchScratch() = default;

struct Pattern::Code {
  std::unique_ptr<pcre2_code, FreeCode> code;
};

Pattern::Pattern() = default;
Pattern::Pattern(Pattern&&) noexcept = default;
Pattern& Pattern::operator=(Pattern&&) noexcept = default;
Pattern::~Pattern() = default;

Pattern Pattern::literal(std::string text) {
  Pattern pattern;
  pattern.text_ = std::move(text);
  return pattern;
}

Pattern Pattern::regex(std::string_view oniguruma, const std::string& source) {
  if (oniguruma.size() > kMaxExpression) {
    throw bad_input("{}: a pattern of {} bytes, but {} are the most", source, oniguruma.size(),
                    kMaxExpression);
  }
  const std::string translated = oniguruma_to_pcre2(oniguruma, source);
  const std::unique_ptr<pcre2_compile_context, FreeCompileContext> context(
      pcre2_compile_context_create(nullptr));
  pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
  pcre2_set_parens_nest_limit(context.get(), 100);
  int error = 0;
  PCRE2_SIZE at = 0;
  Pattern pattern;
  pattern.text_ = oniguruma;
  pattern.code_ = std::make_unique<Code>();
  pattern.code_->code.reset(
      pcre2_compile(reinterpret_cast<PCRE2_SPTR>(translated.data()), translated.size(),
                    PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C, &error, &at,
                    context.get()));
  if (!pattern.code_->code) {
    throw bad_input("{}: pattern '{}' does not compile: {} at byte {} of '{}'", source, oniguruma,
                    message_of(error), at, translated);
  }
  // Without a JIT compiler the interpreter does the same, slower.
  pcre2_jit_compile(pattern.code_->code.get(), PCRE2_JIT_COMPLETE);
  return pattern;
}

Pattern Pattern::parse(const Json& value, const std::string& source) {
  if (value.is_object() && value.size() == 1) {
    const Json* text = json_find(value, "String");
    if (text != nullptr && text->is_string()) return literal(text->get<std::string>());
    const Json* expression = json_find(value, "Regex");
    if (expression != nullptr && expression->is_string()) {
      return regex(expression->get<std::string>(), source);
    }
  }
  throw bad_input("{}: 'pattern' should be {{\"String\": ...}} or {{\"Regex\": ...}}", source);
}

bool Pattern::search(std::string_view text, std::size_t from, Match& match,
                     MatchScratch& scratch) const {
  if (!code_) {
    const std::size_t at = text.find(text_, from);
    match = {at, at + text_.size()};
    return at != std::string_view::npos;
  }
  pcre2_match_data* data = scratch.state_->data.get();
  const int found =
      pcre2_match(code_->code.get(), reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), from,
                  PCRE2_NO_UTF_CHECK, data, scratch.state_->context.get());
  if (found == PCRE2_ERROR_NOMATCH) return false;
  if (found < 0) {
    throw bad_input("the tokenizer's pattern '{}' gave up on a text of {} bytes: {}", text_,
                    text.size(), message_of(found));
  }
  const PCRE2_SIZE* offsets = pcre2_get_ovector_pointer(data);
  match = {offsets[0], offsets[1]};
  if (match.begin > match.end || match.begin < from) {
    throw bad_input("the tokenizer's pattern '{}' matches outside of its place", text_);
  }
  return true;
}

bool Pattern::next(std::string_view text, Cursor& cursor, Match& match,
                   MatchScratch& scratch) const {
  while (cursor.next <= text.size()) {
    if (!search(text, cursor.next, match, scratch)) break;
    if (match.begin != match.end || match.end != cursor.last_end) {
      cursor.next = cursor.last_end = match.end;
      return true;
    }
    cursor.next += cursor.next < text.size() ? first_code_point(text.substr(cursor.next)).bytes : 1;
  }
  cursor.next = text.size() + 1;
  return false;
}

}  // namespace loadline
