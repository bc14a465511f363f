#include "text/rows.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <ctime>
#include <iterator>

#include "base/bytes.h"
#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "text/conversation_fields.h"
#include "text/row_fields.h"
#include "text/special_tokens.h"

namespace loadline {
namespace fs = std::filesystem;
namespace {

constexpr Bytes kMaxTokenizer = 256_MiB;
constexpr Bytes kMaxConfig = 16_MiB;

constexpr std::string_view kChatMl =
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] "
    "+ "
    "'<|im_end|>' + '\\n' }}{% endfor %}{% if add_generation_prompt %}{{ "
    "'<|im_start|>assistant\\n' "
    "}}{% endif %}";

// Empty when the file is not there. One that is empty was cut by something, and a link to nothing
// lost its file: to take it for missing would change what is trained.
std::string read_if_there(const fs::path& path, Bytes limit) {
  if (is_missing(path)) return {};
  std::string content = read_file(path, limit);
  if (content.empty()) throw bad_input("{}: is empty. Is the download complete?", path.string());
  return content;
}

Json parse_if_any(const std::string& content, const fs::path& path) {
  return content.empty() ? Json::object() : parse_json(content, path.string());
}

std::size_t common_prefix(const std::vector<std::int32_t>& a, const std::vector<std::int32_t>& b) {
  const auto [end, other] = std::mismatch(a.begin(), a.end(), b.begin(), b.end());
  return static_cast<std::size_t>(end - a.begin());
}

// The prompt that the Alpaca data was made for (github.com/tatsu-lab/stanford_alpaca).
std::string alpaca_prompt(const std::string& instruction, const std::string& input) {
  if (input.empty()) {
    return fmt::format(
        "Below is an instruction that describes a task. Write a response that appropriately "
        "completes the request.\n\n### Instruction:\n{}\n\n### Response:\n",
        instruction);
  }
  return fmt::format(
      "Below is an instruction that describes a task, paired with an input that provides further "
      "context. Write a response that appropriately completes the request.\n\n### "
      "Instruction:\n{}\n\n### Input:\n{}\n\n### Response:\n",
      instruction, input);
}

// Of a list of named templates.
const Json* template_named(const Json& list, std::string_view wanted) {
  for (const Json& entry : list) {
    const Json* name = json_find(entry, "name");
    if (name != nullptr && *name == wanted) return json_find(entry, "template");
  }
  return nullptr;
}

// Of transformers' tokenizers those that make the post-processor anew from add_bos_token and
// add_eos_token; the names of the two tokens where none are given.
struct SwitchingClass {
  std::string_view name, bos, eos;
};
constexpr SwitchingClass kSwitchingClasses[] = {
    {"LlamaTokenizer", "<s>", "</s>"},         {"CodeLlamaTokenizer", "<s>", "</s>"},
    {"CodeLlamaTokenizerFast", "<s>", "</s>"}, {"LlamaTokenizerFast", "<s>", "</s>"},
    {"GemmaTokenizer", "<bos>", "<eos>"},      {"GemmaTokenizerFast", "<bos>", "<eos>"}};

}  // namespace

std::chrono::year_month_day today() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  localtime_r(&now, &parts);
  return std::chrono::year(parts.tm_year + 1900) / (parts.tm_mon + 1) / parts.tm_mday;
}

RowReader::RowReader(const fs::path& model_folder, std::int64_t vocab_size, Options options)
    : vocab_size_(vocab_size), options_(options) {
  const fs::path tokenizer_json = model_folder / "tokenizer.json";
  const fs::path config_json = model_folder / "tokenizer_config.json";
  const fs::path map_json = model_folder / "special_tokens_map.json";
  const std::string tokenizer = read_if_there(tokenizer_json, kMaxTokenizer);
  const std::string config = read_if_there(config_json, kMaxConfig);
  const std::string map = read_if_there(map_json, kMaxConfig);
  const std::string jinja = read_if_there(model_folder / "chat_template.jinja", kMaxConfig);
  const fs::path tools_jinja = model_folder / "additional_chat_templates" / "tool_use.jinja";
  const std::string of_tools = read_if_there(tools_jinja, kMaxConfig);
  if (!tokenizer.empty()) tokenizer_ = Tokenizer::parse(tokenizer, tokenizer_json.string());
  const Json settings = parse_if_any(config, config_json);
  const SpecialTokens special =
      read_special_tokens(settings, parse_if_any(map, map_json), config_json.string());
  if (tokenizer_) add_special_tokens(special, *tokenizer_, vocab_size_, config_json.string());
  for (const auto& [key, token] : special.named) {
    if (!key.empty()) special_tokens_[key] = token.content;
  }
  if (jinja.empty()) {
    choose_template(settings);
  } else {
    use_template(chat_, jinja, (model_folder / "chat_template.jinja").string());
  }
  if (!of_tools.empty()) use_template(tool_chat_, of_tools, tools_jinja.string());
  set_special_tokens(settings, config_json.string());
  if (tokenizer_) find_end_of_text(model_folder);
  const auto day = std::chrono::sys_days(options_.date).time_since_epoch().count();
  Json parts = {sha256_hex(tokenizer),
                sha256_hex(config),
                sha256_hex(map),
                sha256_hex(jinja),
                vocab_size_,
                options_.mask_prompt,
                end_of_text_ ? Json(*end_of_text_) : Json(),
                asks_for_date_ ? Json(day) : Json()};
  if (!of_tools.empty()) parts.push_back(sha256_hex(of_tools));
  fingerprint_ = sha256_hex(parts.dump());
}

// The model's config has ids, and its tokenizer may come without settings.
void RowReader::find_end_of_text(const fs::path& model_folder) {
  const auto named = special_tokens_.find("eos_token");
  if (named != special_tokens_.end() && !named->second.empty()) {
    end_of_text_ = tokenizer_->id_of(named->second);
    if (end_of_text_) return;
    why_no_end_ = fmt::format(
        "{}: eos_token is '{}', which tokenizer.json does not have. Name the token that ends a "
        "text as eos_token in tokenizer_config.json",
        model_folder.string(), named->second);
    return;
  }
  const fs::path path = model_folder / "config.json";
  const Json config = parse_if_any(read_if_there(path, kMaxConfig), path);
  const Json* eos = json_find(config, "eos_token_id");
  if (eos != nullptr && eos->is_array()) eos = eos->empty() ? nullptr : &eos->front();
  if (eos == nullptr) return;
  if (!eos->is_number_integer() || *eos < 0 || *eos >= vocab_size_) {
    throw bad_input("{}: eos_token_id is {}, but the model's ids are 0 to {}", path.string(),
                    eos->dump(), vocab_size_ - 1);
  }
  end_of_text_ = eos->get<std::int32_t>();
}

void RowReader::choose_template(const Json& config) {
  const std::string source = "chat_template of tokenizer_config.json";
  const Json* chat = json_find(config, "chat_template");
  if (chat != nullptr && chat->is_array()) {
    const Json* of_tools = template_named(*chat, "tool_use");
    if (of_tools != nullptr && of_tools->is_string()) {
      use_template(tool_chat_, of_tools->get<std::string>(), source + ", tool_use");
    }
    chat = template_named(*chat, "default");
  }
  if (chat != nullptr && chat->is_string()) {
    return use_template(chat_, chat->get<std::string>(), source);
  }
  if (tokenizer_ && tokenizer_->id_of("<|im_start|>") && tokenizer_->id_of("<|im_end|>")) {
    return use_template(chat_, std::string(kChatMl), "ChatML");
  }
  chat_.why_not =
      "the model has no chat template (chat_template in tokenizer_config.json, or "
      "chat_template.jinja), "
      "nor the tokens of ChatML. Put the template of the model's makers into its folder, or give "
      "the rows "
      "as {\"text\"}";
}

void RowReader::use_template(NamedTemplate& into, const std::string& source,
                             const std::string& name) {
  into.is_named = true;
  try {
    into.chat.emplace(source, name, options_.date);
    asks_for_date_ |= into.chat->asks_for_date();
  } catch (const Error& error) {
    into.why_not = error.what();
  }
}

// Transformers 4 makes the post-processor of some classes anew; 5 takes the one of tokenizer.json,
// and no longer writes these two: so where one is there, it counts.
void RowReader::set_special_tokens(const Json& config, const std::string& source) {
  const Json* type = json_find(config, "tokenizer_class");
  const auto* known =
      std::find_if(std::begin(kSwitchingClasses), std::end(kSwitchingClasses),
                   [&](const SwitchingClass& c) { return type != nullptr && *type == c.name; });
  const bool is_said = json_find(config, "add_bos_token") != nullptr ||
                       json_find(config, "add_eos_token") != nullptr;
  if (!tokenizer_ || known == std::end(kSwitchingClasses) || !is_said) return;
  const auto ids = [&](const char* flag, bool usual, const char* key, std::string_view usual_name) {
    std::vector<std::int32_t> added;
    if (!json_bool_or(config, flag, usual, source)) return added;
    const auto named = special_tokens_.find(key);
    const std::string token(named == special_tokens_.end() ? usual_name : named->second);
    const std::optional<std::int32_t> id = tokenizer_->id_of(token);
    if (!id) {
      throw bad_input(
          "{}: {} adds the token '{}', which tokenizer.json does not have. Name the model's own as "
          "{}, or set {} to false",
          source, flag, token, key, flag);
    }
    added.push_back(*id);
    return added;
  };
  tokenizer_->set_special(ids("add_bos_token", true, "bos_token", known->bos),
                          ids("add_eos_token", false, "eos_token", known->eos));
}

const ChatTemplate& RowReader::chat_for(const Json& tools) const {
  const NamedTemplate& named = tool_chat_.is_named && !tools.is_null() ? tool_chat_ : chat_;
  if (!named.chat) throw bad_input("{}", named.why_not);
  return *named.chat;
}

namespace {

std::string other_roles(const Json& messages) {
  std::vector<std::string> roles;
  for (const Json& message : messages) {
    const auto& role = message["role"].get_ref<const std::string&>();
    if (role == "assistant") return {};
    if (std::find(roles.begin(), roles.end(), role) == roles.end()) roles.push_back(role);
  }
  return fmt::format("{}", fmt::join(roles, ", "));
}

void refuse_weight_zero(const Json& messages) {
  const auto found = std::find_if(messages.begin(), messages.end(), has_weight_zero);
  if (found == messages.end()) return;
  throw bad_input(
      "message {} has the 'weight' 0, but all tokens are learned: give --mask-prompt, with which "
      "the assistant's turns are, and of them none of weight 0; or leave 'weight' out",
      found - messages.begin() + 1);
}

}  // namespace

TokenizedRow RowReader::read(std::string_view line) const {
  RowFields fields = parse_row(line, vocab_size_);
  if (options_.mask_prompt && (fields.text || fields.input_ids)) {
    throw bad_input(
        "a row of '{}' has no prompt that could be masked; leave out --mask-prompt, or "
        "give {{\"prompt\", \"completion\"}} or {{\"messages\"}}",
        fields.text ? "text" : "input_ids");
  }
  TokenizedRow row;
  if (fields.input_ids) {
    row.ids = std::move(*fields.input_ids);
    row.in_loss = std::move(fields.in_loss);
  } else if (fields.text) {
    row = read_text(*fields.text);
  } else if (!fields.messages.is_null()) {
    row = read_messages(fields.messages, fields.tools, 0);
  } else if (fields.prompt.is_array()) {
    const std::size_t begin = fields.prompt.size();
    for (const Json& message : fields.completion) fields.prompt.push_back(message);
    row = read_messages(fields.prompt, fields.tools, begin);
  } else if (fields.instruction) {
    const auto& [instruction, input, output] = *fields.instruction;
    row = chat_.is_named ? read_exchange(input.empty() ? instruction : instruction + "\n\n" + input,
                                         output, fields.tools)
                         : read_plain_prompt(alpaca_prompt(instruction, input), output);
  } else if (chat_.is_named) {
    row = read_exchange(fields.prompt.get<std::string>(), fields.completion.get<std::string>(),
                        fields.tools);
  } else {
    row = read_plain_prompt(fields.prompt.get<std::string>(), fields.completion.get<std::string>());
  }
  row.provenance = fields.provenance;
  check_ids(row.ids);
  return row;
}

const Tokenizer& RowReader::need_tokenizer(std::string_view form) const {
  if (tokenizer_) return *tokenizer_;
  // No fault of the row's: leaving it out would not mend it.
  throw usage_error(
      "a row of '{}' needs a tokenizer.json in the model's folder, and there is none; without one, "
      "rows are {{\"input_ids\"}}",
      form);
}

void RowReader::append_end_of_text(TokenizedRow& row) const {
  if (!why_no_end_.empty()) throw bad_input("{}", why_no_end_);
  if (end_of_text_ && !row.ids.empty() && row.ids.back() != *end_of_text_) {
    row.ids.push_back(*end_of_text_);
  }
  row.in_loss.resize(row.ids.size(), true);
}

TokenizedRow RowReader::read_text(const std::string& text) const {
  TokenizedRow row;
  row.ids = need_tokenizer("text").encode(text, true);
  row.in_loss.assign(row.ids.size(), true);
  append_end_of_text(row);
  return row;
}

TokenizedRow RowReader::read_exchange(const std::string& user, const std::string& assistant,
                                      const Json& tools) const {
  const Json messages = {{{"role", "user"}, {"content", user}},
                         {{"role", "assistant"}, {"content", assistant}}};
  return read_messages(messages, tools, 0);
}

// Where no chat template is: the completion follows the prompt.
TokenizedRow RowReader::read_plain_prompt(const std::string& prompt,
                                          const std::string& completion) const {
  const Tokenizer& tokenizer = need_tokenizer("prompt");
  TokenizedRow row;
  row.ids = tokenizer.encode(prompt + completion, true);
  row.in_loss.assign(row.ids.size(), true);
  if (options_.mask_prompt) {
    const std::size_t masked = common_prefix(row.ids, tokenizer.encode(prompt, true));
    std::fill_n(row.in_loss.begin(), masked, false);
  }
  append_end_of_text(row);
  return row;
}

// The template writes the special tokens, so that none are added.
TokenizedRow RowReader::read_messages(const Json& messages, const Json& tools,
                                      std::size_t completion) const {
  const Tokenizer& tokenizer = need_tokenizer("messages");
  const std::string text = render(messages, tools, false);
  TokenizedRow row;
  if (options_.mask_prompt) {
    row = read_masked(messages, tools, text, completion);
  } else {
    refuse_weight_zero(messages);
    row.ids = tokenizer.encode(text, false);
    row.in_loss.assign(row.ids.size(), true);
  }
  row.other_roles = other_roles(messages);
  return row;
}

void RowReader::check_ids(const std::vector<std::int32_t>& ids) const {
  for (const std::int32_t id : ids) {
    if (id >= 0 && id < vocab_size_) continue;
    throw bad_input(
        "the tokenizer gives the id {}, but the model's ids are 0 to {}. Is tokenizer.json "
        "this model's?",
        id, vocab_size_ - 1);
  }
}

}  // namespace loadline
