// Which tokens of a rendered conversation the assistant wrote.
//
// The template is a program, so the answer comes from rendering: what is rendered up to the prompt
// of a turn ends where the turn begins, and what is rendered up to the turn ends where it ends.
#include <algorithm>

#include "base/error.h"
#include "base/json.h"
#include "text/rows.h"

namespace loadline {
namespace {

// So much of what stands before a turn tells its place.
constexpr std::size_t kLongestTail = 64;

std::size_t common_prefix(std::string_view a, std::string_view b) {
  const auto [end, other] = std::mismatch(a.begin(), a.end(), b.begin(), b.end());
  return static_cast<std::size_t>(end - a.begin());
}

std::size_t common_suffix(std::string_view a, std::string_view b) {
  const auto [end, other] = std::mismatch(a.rbegin(), a.rend(), b.rbegin(), b.rend());
  return static_cast<std::size_t>(end - a.rbegin());
}

Json first_messages(const Json& messages, std::size_t count) {
  Json first = Json::array();
  for (std::size_t i = 0; i < count; ++i) first.push_back(messages[i]);
  return first;
}

// The tokens that lie wholly before `end` of the text whose tokens are `ids`: the text up to there
// gives the same ones. A token across the boundary is not counted.
std::size_t tokens_before(const Tokenizer& tokenizer, const std::string& text, std::size_t end,
                          const std::vector<std::int32_t>& ids) {
  if (end == text.size()) return ids.size();
  const auto before = tokenizer.encode(std::string_view(text).substr(0, end), false);
  const auto [same, other] = std::mismatch(ids.begin(), ids.end(), before.begin(), before.end());
  return static_cast<std::size_t>(same - ids.begin());
}

// A letter that `content` has not, so that nothing of both can be the same.
std::string unlike(const std::string& content) {
  const std::string_view letters = "xqzjkvwybpgfmcudlhrsinoate";
  const std::size_t free = letters.find_first_not_of(content);
  return free == std::string_view::npos ? "#" : std::string(1, letters[free]);
}

// `value` with every text in it replaced by `other`, and every number by another one.
// What templates read by name keeps its name.
Json changed(const Json& value, const std::string& other) {
  if (value.is_string()) return other;
  if (value.is_boolean()) return !value.get<bool>();
  if (value.is_number_integer()) return value.get<std::int64_t>() % 10 + 1;
  if (value.is_number()) return value.get<double>() < 1 ? 2.25 : 0.75;
  if (value.is_null()) return value;
  if (value.empty())
    return value.is_array() ? Json::array({other}) : Json::object({{other, other}});
  Json made = value;
  for (Json& item : made) item = changed(item, other);
  return made;
}

// False when the turn calls nothing with arguments.
bool change_calls(Json& message) {
  const Json* calls = json_find(message, "tool_calls");
  if (calls == nullptr || !calls->is_array()) return false;
  bool any = false;
  for (Json& call : message["tool_calls"]) {
    Json& function = json_find(call, "function") != nullptr ? call["function"] : call;
    const Json* arguments = json_find(function, "arguments");
    if (arguments == nullptr) continue;
    function["arguments"] = changed(*arguments, unlike(arguments->dump()));
    any = true;
  }
  return any;
}

void change_content(Json& message) {
  const Json* content = json_find(message, "content");
  message["content"] =
      unlike(content != nullptr && content->is_string() ? content->get<std::string>() : "");
}

}  // namespace

std::vector<bool> RowReader::assistant_tokens(const Json& messages, const Json& tools,
                                              const std::string& text,
                                              const std::vector<std::int32_t>& ids) const {
  std::vector<bool> in_loss(ids.size(), false);
  for (std::size_t turn = 0; turn < messages.size(); ++turn) {
    if (messages[turn]["role"] != "assistant") continue;
    const auto [begin, end] = turn_span(messages, turn, tools, text);
    const std::size_t from = tokens_before(*tokenizer_, text, begin, ids);
    const std::size_t to = tokens_before(*tokenizer_, text, end, ids);
    for (std::size_t i = from; i < to; ++i) in_loss[i] = true;
  }
  return in_loss;
}

// Where the turn's own words begin: behind the prompt for it. A template may render what comes
// before otherwise once more follows (Mistral puts tools and system before the last question): then
// behind what that ends with.
std::size_t RowReader::turn_begin(const Json& messages, std::size_t turn, const Json& tools,
                                  const std::string& text) const {
  if (turn == 0) return 0;
  const Json before = first_messages(messages, turn);
  const std::string prompt = render(before, tools, true);
  const std::size_t same = common_prefix(text, prompt);
  if (same == prompt.size()) return same;
  const std::string so_far = render(before, tools, false);
  if (text.starts_with(so_far)) return same;  // the prompt alone has more: an opened thought
  const std::size_t latest = common_prefix(text, render_changed(messages, turn, tools, text));
  for (std::size_t size = std::min(kLongestTail, so_far.size()); size > 0; size /= 2) {
    const std::string_view tail = std::string_view(so_far).substr(so_far.size() - size);
    const std::size_t at = std::string_view(text).substr(0, latest).rfind(tail);
    if (at == std::string_view::npos) continue;
    const std::size_t end = at + size;
    const std::size_t opening = common_prefix(so_far, prompt);
    return end + common_prefix(std::string_view(text).substr(end),
                               std::string_view(prompt).substr(opening));
  }
  return latest;
}

std::string RowReader::render_changed(const Json& messages, std::size_t turn, const Json& tools,
                                      const std::string& text) const {
  Json other = messages;
  if (change_calls(other[turn])) {
    std::string rendered = render(other, tools, false);
    if (rendered != text) return rendered;  // else the template passes over calls
  }
  const Json* content = json_find(messages[turn], "content");
  if (content != nullptr && !content->is_string()) {
    throw bad_input(
        "message {} cannot be told from the others in what the chat template renders; leave out "
        "--mask-prompt for such rows",
        turn + 1);
  }
  change_content(other[turn]);
  return render(other, tools, false);
}

std::pair<std::size_t, std::size_t> RowReader::turn_span(const Json& messages, std::size_t turn,
                                                         const Json& tools,
                                                         const std::string& text) const {
  const std::size_t begin = turn_begin(messages, turn, tools, text);
  const Json with_turn = first_messages(messages, turn + 1);
  const std::string up_to_turn = render(with_turn, tools, false);
  if (text.starts_with(up_to_turn)) return {begin, up_to_turn.size()};
  // Phi's templates end the conversation, whatever it ends with, by the end of text.
  const auto eos = special_tokens_.find("eos_token");
  if (eos != special_tokens_.end() && up_to_turn.ends_with(eos->second)) {
    const std::size_t size = up_to_turn.size() - eos->second.size();
    if (text.starts_with(std::string_view(up_to_turn).substr(0, size))) return {begin, size};
  }
  // The template renders this turn differently when more follows (Qwen3 leaves out old thoughts).
  // So find the answer by changing it, and take what stands behind it in `up_to_turn` if it stands
  // in `text` too.
  const auto end_in = [&](const Json& conversation, const std::string& rendered) {
    return rendered.size() -
           common_suffix(rendered, render_changed(conversation, turn, tools, rendered));
  };
  const std::size_t answer_end = end_in(messages, text);
  const std::string behind = up_to_turn.substr(end_in(with_turn, up_to_turn));
  const bool same_behind = std::string_view(text).substr(answer_end).starts_with(behind);
  return {std::min(begin, answer_end), answer_end + (same_behind ? behind.size() : 0)};
}

}  // namespace loadline
