// What a Tokenizer is made of, in the order in which a text meets it.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "text/added_tokens.h"
#include "text/decoder.h"
#include "text/normalizer.h"
#include "text/post_processor.h"
#include "text/pre_tokenizer.h"
#include "text/token_model.h"
#include "text/tokenizer.h"

namespace loadline {

// Buffers of one call of encode() or decode().
struct TokenizerScratch {
  MatchScratch matches;
  PieceScratch pieces;
  TokenModel::Scratch words;
  std::vector<TextPart> parts, inner_parts;
  std::string repaired, normalized;
};

// Lends each thread a scratch of its own, so that word caches stay warm without a lock on each
// word.
class ScratchPool {
 public:
  std::unique_ptr<TokenizerScratch> take();
  void give_back(std::unique_ptr<TokenizerScratch> scratch);

 private:
  std::mutex mutex_;
  std::vector<std::unique_ptr<TokenizerScratch>> free_;
};

struct Tokenizer::Parts {
  AddedTokenFinder in_text;        // added tokens that are looked for in the text as it is
  Normalizer normalizer;           // applied to what lies between them
  AddedTokenFinder in_normalized;  // added tokens that are looked for after that
  PreTokenizer pre_tokenizer;
  TokenModel model{Bpe()};
  PostProcessor post_processor;
  Decoder decoder;

  // Of tokens with one content, the first.
  void add(const std::vector<AddedToken>& tokens);

  std::unordered_map<std::string, std::int32_t> added_ids;
  std::map<std::int32_t, AddedToken> added;  // by id
  std::unordered_set<std::string> special;   // contents
  ScratchPool scratches;
};

// Reads tokenizer.json; throws as Tokenizer::parse does.
std::unique_ptr<Tokenizer::Parts> parse_tokenizer(std::string_view document,
                                                  const std::string& source);

}  // namespace loadline
