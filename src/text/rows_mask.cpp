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

std::pair<std::size_t, std::size_t> RowReader::turn_span(const Json& messages, std::size_t turn,
                                                         const Json& tools,
                                                         const std::string& text) const {
  const std::size_t begin =
      turn == 0 ? 0 : common_prefix(text, render(first_messages(messages, turn), tools, true));
  const Json with_turn = first_messages(messages, turn + 1);
  const std::string up_to_turn = render(with_turn, tools, false);
  if (text.starts_with(up_to_turn)) return {begin, up_to_turn.size()};
  // The template renders this turn differently when more follows (Qwen3 leaves out old thoughts).
  // So find the answer by changing it, and take what stands behind it in `up_to_turn` if it stands
  // in `text` too.
  const Json* content = json_find(messages[turn], "content");
  if (content == nullptr || !content->is_string() || content->get<std::string>().empty()) {
    throw bad_input(
        "message {} cannot be told from the others in what the chat template renders; leave out "
        "--mask-prompt for such rows",
        turn + 1);
  }
  const std::string other = unlike(content->get<std::string>());
  const auto end_in = [&](Json changed, const std::string& rendered) {
    changed[turn]["content"] = other;
    return rendered.size() - common_suffix(rendered, render(changed, tools, false));
  };
  const std::size_t answer_end = end_in(messages, text);
  const std::string behind = up_to_turn.substr(end_in(with_turn, up_to_turn));
  const bool same_behind = std::string_view(text).substr(answer_end).starts_with(behind);
  return {std::min(begin, answer_end), answer_end + (same_behind ? behind.size() : 0)};
}

}  // namespace loadline
