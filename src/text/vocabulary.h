// The tokens of a model: text to id, id to text.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace loadline {

class Vocabulary {
 public:
  static constexpr std::int32_t kNone = -1;
  // Ids index tables: a larger one in a hostile file would ask for absurd memory.
  static constexpr std::int64_t kMostIds = std::int64_t{1} << 24;

  struct Token {
    std::string_view text;
    std::uint32_t hash = 0;
    std::int32_t id = 0;
  };

  Vocabulary() : Vocabulary(0) {}
  explicit Vocabulary(std::size_t expected_tokens);
  // Returns false when the token is there already. `id` must be in [0, kMostIds).
  [[nodiscard]] bool add(std::string_view token, std::int32_t id);
  [[nodiscard]] std::int32_t find(std::string_view token) const;
  // nullptr when no token has this id. Of two tokens with one id, the later.
  [[nodiscard]] const std::string_view* token(std::int64_t id) const;
  [[nodiscard]] std::size_t size() const { return entries_.size(); }
  // In the order in which they were added.
  [[nodiscard]] std::span<const Token> tokens() const { return entries_; }
  [[nodiscard]] std::int32_t largest_id() const { return largest_id_; }

 private:
  [[nodiscard]] std::size_t slot_of(std::string_view token, std::uint32_t hash) const;
  std::string_view keep(std::string_view token);
  void grow();

  std::vector<Token> entries_;
  std::vector<std::uint32_t> slots_;  // index of the entry + 1; 0 is free
  std::vector<std::uint32_t> by_id_;  // index of the entry + 1; 0 is none
  std::vector<std::string> blocks_;   // the tokens' text
  std::int32_t largest_id_ = -1;
};

}  // namespace loadline
