#include "text/normalizer.h"

#include <utf8proc.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <utility>
#include <variant>

#include "base/error.h"
#include "base/json.h"
#include "text/unicode.h"
#include "text/unicode_differences.h"

namespace loadline {
namespace {

struct UnicodeForm {
  utf8proc_option_t options;
  bool canonical_composed;  // NFC: below U+0300 nothing changes
};
struct Prepend {
  std::string text;
};
struct Replace {
  Pattern pattern;
  std::string content;
};
struct Lowercase {};
struct Strip {
  bool left, right;
};

bool is_ascii(std::string_view text) {
  return std::none_of(text.begin(), text.end(),
                      [](char c) { return static_cast<unsigned char>(c) >= 0x80; });
}

// U+0300 is CC 80: below it no character combines with another.
bool is_below_combining(std::string_view text) {
  return std::none_of(text.begin(), text.end(),
                      [](char c) { return static_cast<unsigned char>(c) >= 0xCC; });
}

void append_form(std::string_view part, utf8proc_option_t options, std::string& to) {
  if (part.empty()) return;
  if (part.size() > std::numeric_limits<std::int32_t>::max()) {
    throw bad_input("a text of {} bytes is too long to be normalized", part.size());
  }
  utf8proc_uint8_t* mapped = nullptr;
  const utf8proc_ssize_t size =
      utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(part.data()),
                   static_cast<utf8proc_ssize_t>(part.size()), &mapped, options);
  const std::unique_ptr<utf8proc_uint8_t, void (*)(void*)> owner(mapped, std::free);
  if (size < 0) throw bad_input("a text cannot be normalized: {}", utf8proc_errmsg(size));
  to.append(reinterpret_cast<const char*>(mapped), static_cast<std::size_t>(size));
}

void apply_step(const UnicodeForm& form, std::string& text, MatchScratch&) {
  if (form.canonical_composed ? is_below_combining(text) : is_ascii(text)) return;
  std::string normal;
  std::size_t done = 0;
  for (std::size_t at = 0; at < text.size();) {
    const CodePoint c = first_code_point(std::string_view(text).substr(at));
    if (is_outside_normal_forms(c.value)) {
      append_form(std::string_view(text).substr(done, at - done), form.options, normal);
      normal.append(text, at, c.bytes);
      done = at + c.bytes;
    }
    at += c.bytes;
  }
  append_form(std::string_view(text).substr(done), form.options, normal);
  text.swap(normal);
}

void apply_step(const Prepend& step, std::string& text, MatchScratch&) {
  if (!text.empty()) text.insert(0, step.text);
}

void apply_step(const Replace& step, std::string& text, MatchScratch& scratch) {
  std::string replaced;
  std::size_t done = 0;
  Pattern::Cursor cursor;
  Pattern::Match match{};
  while (step.pattern.next(text, cursor, match, scratch)) {
    replaced.append(text, done, match.begin - done);
    replaced += step.content;
    done = match.end;
  }
  replaced.append(text, done);
  text.swap(replaced);
}

void apply_step(const Lowercase&, std::string& text, MatchScratch&) {
  std::string lower;
  for (std::string_view rest = text; !rest.empty();) {
    const CodePoint c = first_code_point(rest);
    rest.remove_prefix(c.bytes);
    // The one character whose lower case has two.
    if (c.value == 0x130) {
      lower += "i\xCC\x87";
      continue;
    }
    const char32_t newer = c.value < 0x1C89 ? 0 : newer_lowercase(c.value);
    const auto mapped = utf8proc_tolower(static_cast<utf8proc_int32_t>(c.value));
    append_utf8(lower, newer != 0 ? newer : static_cast<char32_t>(mapped));
  }
  text.swap(lower);
}

void apply_step(const Strip& step, std::string& text, MatchScratch&) {
  std::string_view rest = text;
  while (step.left && !rest.empty() && is_white_space(first_code_point(rest).value)) {
    rest.remove_prefix(first_code_point(rest).bytes);
  }
  while (step.right && !rest.empty() && is_white_space(last_code_point(rest).value)) {
    rest.remove_suffix(last_code_point(rest).bytes);
  }
  text = std::string(rest);
}

}  // namespace

struct Normalizer::Step {
  std::variant<UnicodeForm, Prepend, Replace, Lowercase, Strip> value;
};

Normalizer::Normalizer() = default;
Normalizer::Normalizer(const Json& value, const std::string& source) {
  if (!value.is_null()) add(value, source);
}
Normalizer::Normalizer(Normalizer&&) noexcept = default;
Normalizer& Normalizer::operator=(Normalizer&&) noexcept = default;
Normalizer::~Normalizer() = default;

void Normalizer::add(const Json& value, const std::string& source) {
  const std::string type = json_string(value, "type", source);
  const auto form = [](int options, bool composed) {
    return UnicodeForm{static_cast<utf8proc_option_t>(options | UTF8PROC_STABLE), composed};
  };
  if (type == "Sequence") {
    const Json* members = json_find(value, "normalizers");
    if (members == nullptr || !members->is_array()) {
      throw bad_input("{}: Sequence should have a list 'normalizers'", source);
    }
    for (const Json& member : *members) add(member, source);
  } else if (type == "NFC") {
    steps_.push_back({form(UTF8PROC_COMPOSE, true)});
  } else if (type == "NFD") {
    steps_.push_back({form(UTF8PROC_DECOMPOSE, false)});
  } else if (type == "NFKC") {
    steps_.push_back({form(UTF8PROC_COMPOSE | UTF8PROC_COMPAT, false)});
  } else if (type == "NFKD") {
    steps_.push_back({form(UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT, false)});
  } else if (type == "Prepend") {
    steps_.push_back({Prepend{json_string(value, "prepend", source)}});
  } else if (type == "Replace") {
    const Json* pattern = json_find(value, "pattern");
    if (pattern == nullptr) throw bad_input("{}: Replace without 'pattern'", source);
    steps_.push_back(
        {Replace{Pattern::parse(*pattern, source), json_string(value, "content", source)}});
  } else if (type == "Lowercase") {
    steps_.push_back({Lowercase{}});
  } else if (type == "Strip") {
    steps_.push_back(
        {Strip{json_bool(value, "strip_left", source), json_bool(value, "strip_right", source)}});
  } else {
    throw bad_input("{}: normalizer '{}' is not supported", source, type);
  }
}

void Normalizer::apply(std::string& text, MatchScratch& scratch) const {
  for (const Step& step : steps_) {
    std::visit([&](const auto& value) { apply_step(value, text, scratch); }, step.value);
  }
}

}  // namespace loadline
