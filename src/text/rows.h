// Rows of JSONL training data: what a line says, and its tokens. docs/data.md.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "jinja/chat_template.h"
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
  // The roles of its messages ("human, gpt") where none of them is the assistant's, else empty.
  std::string other_roles;
};

// By the clock, where this machine is.
std::chrono::year_month_day today();

// How text becomes ids: the tokenizer, the model's chat template and its special tokens.
// A folder without tokenizer.json takes only rows of `input_ids`.
class RowReader {
 public:
  struct Options {
    bool mask_prompt = false;  // loss on the assistant's turns, of a completion or of all messages
    // What strftime_now tells the chat template: the beginning of that day.
    std::chrono::year_month_day date = today();
  };
  // Reads the tokenizer's files, the chat templates (docs/data.md) and, where they name no end of
  // text, config.json, each if it is there. A chat template that does not parse is an error only
  // for rows that need it. Throws Error(kBadInput) naming the file for anything else that is
  // malformed, or empty.
  RowReader(const std::filesystem::path& model_folder, std::int64_t vocab_size, Options options);

  // `line` is one JSON object: {"text"}, {"prompt","completion"}, {"messages":[{role,content}]},
  // {"instruction","input","output"} or {"input_ids"} (labels, attention_mask), with optional
  // auth_weight and prov_entropy.
  // Throws Error(kBadInput) saying what is wrong with the row (the caller adds file and line
  // number). The row may be empty.
  [[nodiscard]] TokenizedRow read(std::string_view line) const;

  // Covers all that read() depends on: rows read by two readers of one fingerprint are equal.
  [[nodiscard]] const std::string& fingerprint() const { return fingerprint_; }
  // nullptr when the folder has no tokenizer.json.
  [[nodiscard]] const Tokenizer* tokenizer() const { return tokenizer_ ? &*tokenizer_ : nullptr; }
  // The conversation as the model's chat template renders it, for `loadline chat` and prompts.
  [[nodiscard]] std::string render(const Json& messages, const Json& tools,
                                   bool add_generation_prompt) const;
  // Whether there is a template to render with; one that does not parse makes render() throw.
  [[nodiscard]] bool has_chat_template() const { return chat_.is_named; }
  // Whether a template asks what day it is.
  [[nodiscard]] bool asks_for_date() const { return asks_for_date_; }
  // The id of the token that ends a text, if the model names one.
  [[nodiscard]] std::optional<std::int32_t> end_of_text() const { return end_of_text_; }
  // The id of the special token that the chat template writes right behind an answer
  // ("<|im_end|>"), if it writes one.
  [[nodiscard]] std::optional<std::int32_t> end_of_turn() const;

 private:
  void find_end_of_text(const std::filesystem::path& model_folder);
  void choose_template(const Json& config);
  // A template of the model's, which may be one that does not parse.
  struct NamedTemplate {
    std::optional<ChatTemplate> chat;
    bool is_named = false;
    std::string why_not;  // why `chat` is not there
  };
  void use_template(NamedTemplate& into, const std::string& source, const std::string& name);
  // What tokenizer_config.json says of the special tokens around a text.
  void set_special_tokens(const Json& config, const std::string& source);
  // The template for a conversation with these tools; throws Error(kBadInput) where none is.
  [[nodiscard]] const ChatTemplate& chat_for(const Json& tools) const;

  [[nodiscard]] const Tokenizer& need_tokenizer(std::string_view form) const;
  [[nodiscard]] TokenizedRow read_text(const std::string& text) const;
  [[nodiscard]] TokenizedRow read_plain_prompt(const std::string& prompt,
                                               const std::string& completion) const;
  // The user's words and the answer to them: a conversation where the model has a template.
  [[nodiscard]] TokenizedRow read_exchange(const std::string& user, const std::string& assistant,
                                           const Json& tools) const;
  // The messages before number `completion` are prompt, whoever wrote them.
  [[nodiscard]] TokenizedRow read_messages(const Json& messages, const Json& tools,
                                           std::size_t completion) const;
  [[nodiscard]] Json variables(const Json& tools, bool add_generation_prompt) const;
  // What the template makes of a conversation; rows_mask.cpp.
  struct Rendered;
  [[nodiscard]] std::string render(const Conversation& conversation, const Json& tools,
                                   bool add_generation_prompt) const;
  [[nodiscard]] TokenizedRow read_masked(const Json& messages, const Json& tools,
                                         const std::string& text, std::size_t completion) const;
  // The characters [first, second) of the text that the assistant's message `turn` has written.
  [[nodiscard]] std::pair<std::size_t, std::size_t> turn_span(const Rendered& rendered,
                                                              std::size_t turn) const;
  [[nodiscard]] std::size_t turn_begin(const Rendered& rendered, std::size_t turn) const;
  [[nodiscard]] std::size_t first_turn_begin(const Rendered& rendered) const;
  // `conversation`, a beginning of the rendered one whose own rendering is `text`, with another end
  // of that turn: the arguments of its calls, or else its content.
  [[nodiscard]] std::string render_changed(const Conversation& conversation,
                                           const Rendered& rendered, std::size_t turn,
                                           const std::string& text) const;
  void append_end_of_text(TokenizedRow& row) const;
  void check_ids(const std::vector<std::int32_t>& ids) const;

  std::optional<Tokenizer> tokenizer_;
  NamedTemplate chat_, tool_chat_;  // tool_chat_: for conversations with tools, if it is named
  bool asks_for_date_ = false;
  std::map<std::string, std::string>
      special_tokens_;  // bos_token and so on: what is written for it
  std::optional<std::int32_t> end_of_text_;
  std::string why_no_end_;  // where a row needs one; else empty
  std::int64_t vocab_size_;
  Options options_;
  std::string fingerprint_;
};

}  // namespace loadline
