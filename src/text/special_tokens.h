// The tokens that tokenizer_config.json and special_tokens_map.json name beside tokenizer.json.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json_fwd.h"
#include "text/added_tokens.h"
#include "text/tokenizer.h"

namespace loadline {

struct SpecialTokens {
  // added_tokens_decoder of tokenizer_config.json, with the ids given there.
  std::vector<AddedToken> with_ids;
  struct Named {
    std::string key;   // "bos_token" and so on; empty for one of a list
    AddedToken token;  // its id says nothing
  };
  std::vector<Named> named;

  // nullptr where none is named so.
  [[nodiscard]] const std::string* find(std::string_view key) const;
};

// As transformers takes them: where tokenizer_config.json (`settings`) has added_tokens_decoder,
// its names count before those of special_tokens_map.json (`map`), else behind them. `source` names
// tokenizer_config.json; throws Error(kBadInput).
SpecialTokens read_special_tokens(const Json& settings, const Json& map, const std::string& source);

// Has `tokenizer` find them in text: those with an id below `vocab_size`, and the named ones that
// tokenizer.json knows. Throws Error(kBadInput) where tokenizer.json gives a token another id, or
// the id to another token.
void add_special_tokens(const SpecialTokens& special, Tokenizer& tokenizer, std::int64_t vocab_size,
                        const std::string& source);

}  // namespace loadline
