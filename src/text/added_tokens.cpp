#include "text/added_tokens.h"

#include <algorithm>

#include "text/unicode.h"

namespace loadline {
namespace {

bool touches_a_word(std::string_view text, std::size_t begin, std::size_t end) {
  return (begin > 0 && is_word(last_code_point(text.substr(0, begin)).value)) ||
         (end < text.size() && is_word(first_code_point(text.substr(end)).value));
}

// Where the white space that ends at `end` begins; not looked for before `begin`.
std::size_t space_before(std::string_view text, std::size_t begin, std::size_t end) {
  while (end > begin) {
    const CodePoint last = last_code_point(text.substr(0, end));
    if (!is_white_space(last.value)) break;
    end -= last.bytes;
  }
  return end;
}

std::size_t space_after(std::string_view text, std::size_t begin) {
  while (begin < text.size()) {
    const CodePoint first = first_code_point(text.substr(begin));
    if (!is_white_space(first.value)) break;
    begin += first.bytes;
  }
  return begin;
}

}  // namespace

void AddedTokenFinder::add(const AddedToken& token, std::string_view pattern) {
  if (pattern.empty()) return;
  std::uint32_t node = 0;
  for (const char c : pattern) {
    const std::uint64_t key = std::uint64_t{node} << 8 | static_cast<unsigned char>(c);
    const auto [edge, is_new] = edges_.try_emplace(key, static_cast<std::uint32_t>(nodes_.size()));
    if (is_new) nodes_.emplace_back();
    node = edge->second;
  }
  if (nodes_[node].token >= 0) return;  // two tokens that look the same: the first
  nodes_[node].token = static_cast<std::int64_t>(tokens_.size());
  first_[static_cast<unsigned char>(pattern[0])] = true;
  tokens_.push_back(token);
}

std::optional<AddedTokenFinder::Found> AddedTokenFinder::longest_at(std::string_view text,
                                                                    std::size_t at) const {
  std::optional<Found> longest;
  std::uint32_t node = 0;
  for (std::size_t i = at; i < text.size(); ++i) {
    const auto edge = edges_.find(std::uint64_t{node} << 8 | static_cast<unsigned char>(text[i]));
    if (edge == edges_.end()) break;
    node = edge->second;
    if (nodes_[node].token >= 0) longest = {i + 1, static_cast<std::size_t>(nodes_[node].token)};
  }
  return longest;
}

void AddedTokenFinder::split(std::string_view text, std::vector<TextPart>& parts,
                             std::size_t from) const {
  const auto put = [&](std::size_t begin, std::size_t end, std::optional<std::int32_t> id,
                       bool seam) {
    if (begin < end) parts.push_back({text.substr(begin, end - begin), id, seam});
  };
  std::size_t done = from;
  std::size_t space_end = 0;  // of the white space behind a token that was looked at last
  for (std::size_t at = from; at < text.size() && !tokens_.empty();) {
    const auto found =
        first_[static_cast<unsigned char>(text[at])] ? longest_at(text, at) : std::nullopt;
    if (!found) {
      ++at;
      continue;
    }
    const AddedToken& token = tokens_[found->token];
    std::size_t begin = at;
    std::size_t end = at = found->end;
    if (token.single_word && touches_a_word(text, begin, end)) continue;
    // Space that the token before has taken stays with it.
    if (token.lstrip) begin = std::max(space_before(text, done, begin), done);
    if (token.rstrip) end = space_end = end < space_end ? space_end : space_after(text, end);
    put(done, begin, std::nullopt, false);
    put(begin, end, token.id, end == found->end);
    done = end;
  }
  put(done, text.size(), std::nullopt, false);
}

}  // namespace loadline
