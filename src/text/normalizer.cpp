#include "text/normalizer.h"

#include <utf8proc.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <utility>
#include <variant>

#include "base/base64.h"
#include "base/error.h"
#include "base/json.h"
#include "text/byte_alphabet.h"
#include "text/character_steps.h"
#include "text/chars_map.h"
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
struct Strip {
  bool left, right;
};
// A step without settings.
struct Plain {
  void (*apply)(std::string& text);
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

void apply_form(const UnicodeForm& form, std::string& text) {
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

void apply_step(const Prepend& step, std::string& text, std::size_t& head, MatchScratch&) {
  if (text.empty()) return;
  text.insert(0, step.text);
  if (head > 0) head += step.text.size();
}

void apply_step(const Replace& step, std::string& text, std::size_t& head, MatchScratch& scratch) {
  std::string replaced;
  std::size_t new_head = 0;
  std::size_t done = 0;
  const auto copy_until = [&](std::size_t end) {
    if (done < head) new_head = replaced.size() + std::min(end, head) - done;
    replaced.append(text, done, end - done);
  };
  Pattern::Cursor cursor;
  Pattern::Match match{};
  while (step.pattern.next(text, cursor, match, scratch)) {
    copy_until(match.begin);
    replaced += step.content;
    // As the library has it, what takes the place of several characters stems from the last.
    if (match.begin < head && match.end <= head) new_head = replaced.size();
    done = match.end;
  }
  copy_until(text.size());
  head = new_head;
  text.swap(replaced);
}

void apply_step(const Strip& step, std::string& text, std::size_t& head, MatchScratch&) {
  std::string_view rest = text;
  while (step.left && !rest.empty() && is_white_space(first_code_point(rest).value)) {
    rest.remove_prefix(first_code_point(rest).bytes);
  }
  while (step.right && !rest.empty() && is_white_space(last_code_point(rest).value)) {
    rest.remove_suffix(last_code_point(rest).bytes);
  }
  const auto stripped = static_cast<std::size_t>(rest.data() - text.data());
  head = head > stripped ? head - stripped : 0;
  text = std::string(rest);
}

// For changes of one character at a time, as good as: what the head becomes alone is the new head.
template <typename Change>
void change_with_head(std::string& text, std::size_t& head, Change change) {
  std::string alone = text.substr(0, head);
  change(text);
  change(alone);
  head = std::min(alone.size(), text.size());
  // Where it was composed with what followed, all of that.
  while (head < text.size() && (static_cast<unsigned char>(text[head]) & 0xC0U) == 0x80U) ++head;
}

void apply_step(const UnicodeForm& form, std::string& text, std::size_t& head, MatchScratch&) {
  change_with_head(text, head, [&](std::string& part) { apply_form(form, part); });
}

void apply_step(const Plain& step, std::string& text, std::size_t& head, MatchScratch&) {
  change_with_head(text, head, step.apply);
}

void apply_step(const CharsMap& map, std::string& text, std::size_t& head, MatchScratch&) {
  const bool has_head = head > 0;
  change_with_head(text, head, [&](std::string& part) { apply_chars_map(map, part); });
  // The library does not count what the map takes away.
  if (has_head && head == 0 && !text.empty()) head = first_code_point(text).bytes;
}

void to_byte_characters(std::string& text) {
  std::string characters;
  append_byte_characters(characters, text);
  text.swap(characters);
}

UnicodeForm unicode_form(int options, bool composed) {
  return {static_cast<utf8proc_option_t>(options | UTF8PROC_STABLE), composed};
}

CharsMap parse_chars_map(const Json& value, const std::string& source) {
  const auto bytes = base64_decode(json_string(value, "precompiled_charsmap", source));
  if (!bytes) throw bad_input("{}: precompiled_charsmap is not Base64", source);
  return {*bytes, source};
}

}  // namespace

struct Normalizer::Step {
  std::variant<UnicodeForm, Prepend, Replace, Strip, Plain, CharsMap> value;
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
  if (type == "Sequence") {
    const Json* members = json_find(value, "normalizers");
    if (members == nullptr || !members->is_array()) {
      throw bad_input("{}: Sequence should have a list 'normalizers'", source);
    }
    for (const Json& member : *members) add(member, source);
  } else if (type == "NFC") {
    steps_.push_back({unicode_form(UTF8PROC_COMPOSE, true)});
  } else if (type == "NFD") {
    steps_.push_back({unicode_form(UTF8PROC_DECOMPOSE, false)});
  } else if (type == "NFKC") {
    steps_.push_back({unicode_form(UTF8PROC_COMPOSE | UTF8PROC_COMPAT, false)});
  } else if (type == "NFKD") {
    steps_.push_back({unicode_form(UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT, false)});
  } else if (type == "Prepend") {
    steps_.push_back({Prepend{json_string(value, "prepend", source)}});
  } else if (type == "Replace") {
    const Json* pattern = json_find(value, "pattern");
    if (pattern == nullptr) throw bad_input("{}: Replace without 'pattern'", source);
    steps_.push_back(
        {Replace{Pattern::parse(*pattern, source), json_string(value, "content", source)}});
  } else if (type == "Lowercase") {
    steps_.push_back({Plain{to_lowercase}});
  } else if (type == "StripAccents") {
    steps_.push_back({Plain{drop_combining_marks}});
  } else if (type == "Nmt") {
    steps_.push_back({Plain{apply_nmt}});
  } else if (type == "ByteLevel") {
    steps_.push_back({Plain{to_byte_characters}});
  } else if (type == "BertNormalizer") {
    add_bert(value, source);
  } else if (type == "Precompiled") {
    steps_.push_back({parse_chars_map(value, source)});
  } else if (type == "Strip") {
    steps_.push_back(
        {Strip{json_bool(value, "strip_left", source), json_bool(value, "strip_right", source)}});
  } else {
    throw bad_input("{}: normalizer '{}' is not supported", source, type);
  }
}

void Normalizer::add_bert(const Json& value, const std::string& source) {
  const bool lowercase = json_bool_or(value, "lowercase", true, source);
  if (json_bool_or(value, "clean_text", true, source)) steps_.push_back({Plain{clean_for_bert}});
  if (json_bool_or(value, "handle_chinese_chars", true, source)) {
    steps_.push_back({Plain{space_chinese_characters}});
  }
  if (json_bool_or(value, "strip_accents", lowercase, source)) {
    steps_.push_back({unicode_form(UTF8PROC_DECOMPOSE, false)});
    steps_.push_back({Plain{drop_nonspacing_marks}});
  }
  if (lowercase) steps_.push_back({Plain{to_lowercase}});
}

std::size_t Normalizer::apply(std::string& text, MatchScratch& scratch) const {
  std::size_t head = text.empty() ? 0 : first_code_point(text).bytes;
  for (const Step& step : steps_) {
    std::visit([&](const auto& value) { apply_step(value, text, head, scratch); }, step.value);
  }
  return head;
}

}  // namespace loadline
