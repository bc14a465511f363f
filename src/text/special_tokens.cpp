#include "text/special_tokens.h"

#include <algorithm>
#include <charconv>

#include "base/error.h"
#include "base/json.h"

namespace loadline {
namespace {

constexpr const char* kKeys[] = {"bos_token", "eos_token", "unk_token", "pad_token",
                                 "sep_token", "cls_token", "mask_token"};
// Of tokens without a role: a list, or an object whose keys are the templates' names for them.
constexpr const char* kListKeys[] = {"additional_special_tokens", "extra_special_tokens"};

// A string, or an object with its content; nullopt where it is neither.
std::optional<AddedToken> parse_token(const Json& value, bool special, const std::string& source) {
  AddedToken token;
  const Json* content = value.is_object() ? json_find(value, "content") : &value;
  if (content == nullptr || !content->is_string()) return std::nullopt;
  token.content = content->get<std::string>();
  const auto flag = [&](const char* key, bool otherwise) {
    return value.is_object() ? json_bool_or(value, key, otherwise, source) : otherwise;
  };
  token.single_word = flag("single_word", false);
  token.lstrip = flag("lstrip", false);
  token.rstrip = flag("rstrip", false);
  token.special = special || flag("special", false);
  token.normalized = flag("normalized", !token.special);
  return token;
}

std::int32_t parse_id(const std::string& text, const std::string& source) {
  std::int32_t id = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
  if (error != std::errc() || end != text.data() + text.size() || id < 0) {
    throw bad_input("{}: added_tokens_decoder has the key '{:.60}', which is not an id", source,
                    text);
  }
  return id;
}

void read_named(const Json& from, SpecialTokens& into, const std::string& source) {
  for (const char* key : kKeys) {
    const Json* value = json_find(from, key);
    if (value == nullptr || into.find(key) != nullptr) continue;
    if (auto token = parse_token(*value, true, source)) into.named.push_back({key, *token});
  }
  for (const char* key : kListKeys) {
    const Json* list = json_find(from, key);
    if (list == nullptr || !list->is_structured()) continue;
    for (const Json& value : *list) {
      if (auto token = parse_token(value, true, source)) into.named.push_back({"", *token});
    }
  }
}

// An id that tokenizer.json gives stands.
void add_with_id(AddedToken token, Tokenizer& tokenizer, const std::string& source) {
  if (const auto known = tokenizer.id_of(token.content)) {
    token.id = *known;
    tokenizer.add(token);
    return;
  }
  const std::optional<std::string> other = tokenizer.token_of(token.id);
  if (other) {
    throw bad_input(
        "{}: added_tokens_decoder gives the token '{}' the id {}, which is that of '{}' in "
        "tokenizer.json. Are both files of one model?",
        source, token.content, token.id, *other);
  }
  tokenizer.add(token);
}

}  // namespace

const std::string* SpecialTokens::find(std::string_view key) const {
  const auto found = std::find_if(named.begin(), named.end(),
                                  [&](const Named& candidate) { return candidate.key == key; });
  return found == named.end() ? nullptr : &found->token.content;
}

SpecialTokens read_special_tokens(const Json& settings, const Json& map,
                                  const std::string& source) {
  SpecialTokens special;
  const Json* decoder = json_find(settings, "added_tokens_decoder");
  const bool has_table = decoder != nullptr && decoder->is_object();
  read_named(has_table ? settings : map, special, source);
  read_named(has_table ? map : settings, special, source);
  if (!has_table) return special;
  for (const auto& [key, value] : decoder->items()) {
    auto token = parse_token(value, false, source);
    if (!token || token->content.empty()) continue;
    token->id = parse_id(key, source);
    token->special |= std::any_of(special.named.begin(), special.named.end(),
                                  [&](const auto& n) { return n.token.content == token->content; });
    special.with_ids.push_back(*token);
  }
  std::sort(special.with_ids.begin(), special.with_ids.end(),
            [](const AddedToken& a, const AddedToken& b) { return a.id < b.id; });
  return special;
}

void add_special_tokens(const SpecialTokens& special, Tokenizer& tokenizer, std::int64_t vocab_size,
                        const std::string& source) {
  for (const AddedToken& token : special.with_ids) {
    if (token.id < vocab_size) add_with_id(token, tokenizer, source);
  }
  for (const auto& [key, token] : special.named) {
    const std::optional<std::int32_t> known = tokenizer.id_of(token.content);
    if (!known || *known >= vocab_size || token.content.empty()) continue;
    AddedToken added = token;
    added.id = *known;
    tokenizer.add(added);
  }
}

}  // namespace loadline
