// The model that makes ids of words: tokenizer.json's "model", one of three kinds.
#pragma once

#include <simdjson.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "text/bpe.h"
#include "text/unigram.h"
#include "text/word_piece.h"

namespace loadline {

class TokenModel {
 public:
  // One for each thread.
  struct Scratch {
    Bpe::Scratch bpe;
    Unigram::Scratch unigram;
    WordPiece::Scratch word_piece;
  };

  template <typename Model>
  explicit TokenModel(Model model) : model_(std::move(model)) {}

  [[nodiscard]] const Vocabulary& vocabulary() const {
    return std::visit([](const auto& model) -> const Vocabulary& { return model.vocabulary(); },
                      model_);
  }
  // Appends the ids of a word (valid UTF-8).
  void encode(std::string_view word, Scratch& scratch, std::vector<std::int32_t>& ids) const {
    if (const auto* bpe = std::get_if<Bpe>(&model_)) return bpe->encode(word, scratch.bpe, ids);
    if (const auto* unigram = std::get_if<Unigram>(&model_)) {
      return unigram->encode(word, scratch.unigram, ids);
    }
    std::get<WordPiece>(model_).encode(word, scratch.word_piece, ids);
  }

 private:
  std::variant<Bpe, Unigram, WordPiece> model_;
};

// Reads the value of "model". `words_are_bytes`, for a BPE alone: see Bpe::Options. Throws
// Error(kBadInput), naming `source`, when the kind is not supported or something in it is
// malformed.
TokenModel parse_token_model(const simdjson::dom::object& model, bool words_are_bytes,
                             const std::string& source);
// "BPE", "Unigram" ...; BPE where none is named.
std::string_view token_model_type(const simdjson::dom::object& model, const std::string& source);
// `id` of `token`, within 0 and Vocabulary::kMostIds, or Error(kBadInput).
std::int32_t checked_token_id(std::int64_t id, std::string_view token, const std::string& source);

}  // namespace loadline
