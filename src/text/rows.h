// Rows of JSONL training data: what a line says, and its tokens.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace loadline {

// The distrust fields of a row, checked: authority_weight in [0, 0.99], provenance_entropy >= 0
// bits.
struct Provenance {
  float authority_weight = 0;
  float provenance_entropy = 0;
};

struct TokenizedRow {
  std::vector<std::int32_t> ids;
  std::vector<bool> in_loss;  // of the same length: is this token to be predicted
  std::optional<Provenance> provenance;
};

// How text becomes ids: the tokenizer, the model's chat template and its special tokens.
// A folder without tokenizer.json takes only rows of `input_ids`.
class RowReader {
 public:
  struct Options {
    bool mask_prompt = false;  // loss on the completion, or the assistant's turns, only
  };
  RowReader(const std::filesystem::path& model_folder, std::int64_t vocab_size, Options options);

  // `line` is one JSON object: {"text"}, {"prompt","completion"}, {"messages":[{role,content}]} or
  // {"input_ids"}, with optional auth_weight and prov_entropy. Throws Error(kBadInput) saying what
  // is wrong with the row (the caller adds file and line number).
  [[nodiscard]] TokenizedRow read(std::string_view line) const;

 private:
  std::optional<Tokenizer> tokenizer_;
  std::optional<ChatTemplate> chat_;
  Json special_tokens_;
  std::int64_t vocab_size_;
  Options options_;
};

}  // namespace loadline
