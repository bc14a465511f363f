// Which tokens of a rendered conversation the assistant wrote.
//
// The template is a program, so the answer comes from rendering: what is rendered up to the prompt
// of a turn ends where the turn begins, and what is rendered up to the turn ends where it ends.
#include <algorithm>
#include <iterator>

#include "base/error.h"
#include "base/json.h"
#include "text/conversation_fields.h"
#include "text/rows.h"

namespace loadline {
namespace {

// So much of what stands before a turn tells its place.
constexpr std::size_t kLongestTail = 64;

// Each turn renders what stands before it, so the time is the square of them.
constexpr std::size_t kMostMessages = 4000;

std::size_t common_prefix(std::string_view a, std::string_view b) {
  const auto [end, other] = std::mismatch(a.begin(), a.end(), b.begin(), b.end());
  return static_cast<std::size_t>(end - a.begin());
}

std::size_t common_suffix(std::string_view a, std::string_view b) {
  const auto [end, other] = std::mismatch(a.rbegin(), a.rend(), b.rbegin(), b.rend());
  return static_cast<std::size_t>(end - a.rbegin());
}

// The tokens that lie wholly before `end` of the text whose tokens are `ids`: the text up to there
// gives the same ones. A token across the boundary is not counted. What stands before the last seam
// is not encoded again, or long conversations would take the square of their turns.
std::size_t tokens_before(const Tokenizer& tokenizer, const std::string& text, std::size_t end,
                          const std::vector<std::int32_t>& ids,
                          const std::vector<Tokenizer::Seam>& seams) {
  if (end == text.size()) return ids.size();
  const auto next =
      std::upper_bound(seams.begin(), seams.end(), end,
                       [](std::size_t at, const Tokenizer::Seam& s) { return at < s.bytes; });
  const Tokenizer::Seam seam = next == seams.begin() ? Tokenizer::Seam{} : *std::prev(next);
  const auto before = tokenizer.encode_behind(std::string_view(text).substr(0, end), seam);
  const auto [same, other] = std::mismatch(ids.begin() + static_cast<std::ptrdiff_t>(seam.ids),
                                           ids.end(), before.begin(), before.end());
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

struct RowReader::Rendered {
  const Json& messages;
  const Json& tools;
  const std::string& text;
  Conversation all;
};

TokenizedRow RowReader::read_masked(const Json& messages, const Json& tools,
                                    const std::string& text, std::size_t completion) const {
  if (messages.size() > kMostMessages) {
    throw bad_input("{} messages, but {} are the most with --mask-prompt: cut the row in pieces",
                    messages.size(), kMostMessages);
  }
  TokenizedRow row;
  std::vector<Tokenizer::Seam> seams;
  row.ids = tokenizer_->encode(text, seams);
  row.in_loss.assign(row.ids.size(), false);
  const Rendered rendered{messages, tools, text, Conversation(messages)};
  for (std::size_t turn = completion; turn < messages.size(); ++turn) {
    if (messages[turn]["role"] != "assistant" || has_weight_zero(messages[turn])) continue;
    const auto [begin, end] = turn_span(rendered, turn);
    const std::size_t from = tokens_before(*tokenizer_, text, begin, row.ids, seams);
    const std::size_t to = tokens_before(*tokenizer_, text, end, row.ids, seams);
    for (std::size_t i = from; i < to; ++i) row.in_loss[i] = true;
  }
  return row;
}

// Templates want something to stand before the prompt for a turn, so that there is none for the
// first one: its opening is that of a turn that would follow, else it begins where its content
// does.
std::size_t RowReader::first_turn_begin(const Rendered& rendered) const {
  const std::string& text = rendered.text;
  const std::string prompt = render(rendered.all, rendered.tools, true);
  if (prompt.size() > text.size() && prompt.starts_with(text)) {
    const std::string opening = prompt.substr(text.size());
    const std::string turn = render(rendered.all.first(1), rendered.tools, false);
    const std::size_t at = text.substr(0, common_prefix(text, turn)).find(opening);
    if (at != std::string::npos) return at + opening.size();
  }
  return common_prefix(text, render_changed(rendered.all, rendered, 0, text));
}

// Where the turn's own words begin: behind the prompt for it. A template may render what comes
// before otherwise once more follows (Mistral puts tools and system before the last question): then
// behind what that ends with.
std::size_t RowReader::turn_begin(const Rendered& rendered, std::size_t turn) const {
  if (turn == 0) return first_turn_begin(rendered);
  const std::string& text = rendered.text;
  const Conversation before = rendered.all.first(turn);
  const std::string prompt = render(before, rendered.tools, true);
  const std::size_t same = common_prefix(text, prompt);
  if (same == prompt.size()) return same;
  const std::string so_far = render(before, rendered.tools, false);
  if (text.starts_with(so_far)) return same;  // the prompt alone has more: an opened thought
  const std::size_t latest =
      common_prefix(text, render_changed(rendered.all, rendered, turn, text));
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

std::string RowReader::render_changed(const Conversation& conversation, const Rendered& rendered,
                                      std::size_t turn, const std::string& text) const {
  Json other = rendered.messages[turn];
  if (change_calls(other)) {
    std::string changed = render(conversation.with(turn, other), rendered.tools, false);
    if (changed != text) return changed;  // else the template passes over calls
  }
  const Json* content = json_find(rendered.messages[turn], "content");
  if (content != nullptr && !content->is_string()) {
    throw bad_input(
        "message {} cannot be told from the others in what the chat template renders; leave out "
        "--mask-prompt for such rows",
        turn + 1);
  }
  change_content(other);
  return render(conversation.with(turn, other), rendered.tools, false);
}

std::pair<std::size_t, std::size_t> RowReader::turn_span(const Rendered& rendered,
                                                         std::size_t turn) const {
  const std::string& text = rendered.text;
  const std::size_t begin = turn_begin(rendered, turn);
  const Conversation with_turn = rendered.all.first(turn + 1);
  const std::string up_to_turn = render(with_turn, rendered.tools, false);
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
  const auto end_in = [&](const Conversation& conversation, const std::string& whole) {
    return whole.size() - common_suffix(whole, render_changed(conversation, rendered, turn, whole));
  };
  const std::size_t answer_end = end_in(rendered.all, text);
  const std::string behind = up_to_turn.substr(end_in(with_turn, up_to_turn));
  const bool same_behind = std::string_view(text).substr(answer_end).starts_with(behind);
  return {std::min(begin, answer_end), answer_end + (same_behind ? behind.size() : 0)};
}

}  // namespace loadline
