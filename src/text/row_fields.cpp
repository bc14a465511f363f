#include "text/row_fields.h"

#include <simdjson.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/error.h"
#include "base/json.h"
#include "text/conversation_fields.h"
#include "text/json_tree.h"
#include "text/lenient_json.h"

namespace loadline {
namespace {

namespace dom = simdjson::dom;

constexpr double kMostAuthority = 0.99;

constexpr std::string_view kUsedKeys[] = {
    "input_ids",   "labels", "attention_mask", "prompt", "completion",  "messages",    "tools",
    "instruction", "input",  "output",         "text",   "auth_weight", "prov_entropy"};

std::string shown(const dom::element& value) { return shown_beginning(simdjson::minify(value)); }

// A key that is missing and one that is null are the same.
std::optional<dom::element> find(const dom::object& row, std::string_view key) {
  std::optional<dom::element> found;
  for (const dom::key_value_pair& field : row) {
    if (field.key != key) continue;
    if (found) throw bad_input("key '{}' stands twice", key);
    found = field.value;
  }
  return found && found->is_null() ? std::nullopt : found;
}

double number(const dom::element& value, std::string_view key) {
  double number = 0;
  if (value.get(number) != simdjson::SUCCESS) {
    throw bad_input("'{}' should be a number, but it is {}", key, shown(value));
  }
  return number;
}

std::optional<Provenance> parse_provenance(const dom::object& row) {
  const auto authority = find(row, "auth_weight");
  const auto entropy = find(row, "prov_entropy");
  if (!authority && !entropy) return std::nullopt;
  if (!authority || !entropy) {
    throw bad_input("'{}' is there but '{}' is missing: a row has both or neither",
                    authority ? "auth_weight" : "prov_entropy",
                    authority ? "prov_entropy" : "auth_weight");
  }
  const double weight = number(*authority, "auth_weight");
  const double bits = number(*entropy, "prov_entropy");
  if (!(weight >= 0 && weight <= kMostAuthority)) {
    throw bad_input("'auth_weight' is {}, but it must be within 0 and {}", weight, kMostAuthority);
  }
  if (!(bits >= 0) || !std::isfinite(static_cast<float>(bits))) {
    throw bad_input("'prov_entropy' is {}, but it must be at least 0 (bits) and finite", bits);
  }
  return Provenance{static_cast<float>(weight), static_cast<float>(bits)};
}

std::vector<std::int32_t> parse_ids(const dom::element& value, std::int64_t vocab_size) {
  dom::array list;
  if (value.get(list) != simdjson::SUCCESS) {
    throw bad_input("'input_ids' should be a list of token ids, but it is {}", shown(value));
  }
  std::vector<std::int32_t> ids;
  for (const dom::element& item : list) {
    std::int64_t id = 0;
    if (item.get(id) != simdjson::SUCCESS) {
      throw bad_input("'input_ids' has {}, which is not an id", shown(item));
    }
    if (id < 0 || id >= vocab_size) {
      throw bad_input("'input_ids' has {}, but the model's ids are 0 to {}", id, vocab_size - 1);
    }
    ids.push_back(static_cast<std::int32_t>(id));
  }
  return ids;
}

// Integers beside the ids, one for each.
std::optional<std::vector<std::int64_t>> parse_beside_ids(const dom::object& row, const char* key,
                                                          std::size_t ids) {
  const auto value = find(row, key);
  if (!value) return std::nullopt;
  dom::array list;
  if (value->get(list) != simdjson::SUCCESS) {
    throw bad_input("'{}' should be a list of integers, but it is {}", key, shown(*value));
  }
  std::vector<std::int64_t> numbers;
  for (const dom::element& item : list) {
    std::int64_t number = 0;
    if (item.get(number) != simdjson::SUCCESS) {
      throw bad_input("'{}' has {}, which is not an integer", key, shown(item));
    }
    numbers.push_back(number);
  }
  if (numbers.size() != ids) {
    throw bad_input("'{}' has {} numbers, 'input_ids' {}", key, numbers.size(), ids);
  }
  return numbers;
}

// The ids [first, second) are no padding.
std::pair<std::size_t, std::size_t> without_padding(const dom::object& row, std::size_t ids) {
  const auto mask = parse_beside_ids(row, "attention_mask", ids);
  if (!mask) return {0, ids};
  for (const std::int64_t number : *mask) {
    if (number == 0 || number == 1) continue;
    throw bad_input("'attention_mask' has {}, but it is of 0 and 1", number);
  }
  const auto begin = std::find(mask->begin(), mask->end(), 1);
  const auto end = std::find(mask->rbegin(), mask->rend(), 1).base();
  if (begin == mask->end()) return {0, 0};
  const auto hole = std::find(begin, end, 0);
  if (hole != end) {
    throw bad_input(
        "'attention_mask' has 0 as number {}, between ones: it can leave out what stands at the "
        "beginning and at the end",
        hole - mask->begin() + 1);
  }
  return {begin - mask->begin(), end - mask->begin()};
}

void parse_tokens(const dom::object& row, const dom::element& value, std::int64_t vocab_size,
                  RowFields& fields) {
  constexpr std::int64_t kNotLearned = -100;
  const std::vector<std::int32_t> ids = parse_ids(value, vocab_size);
  const auto labels = parse_beside_ids(row, "labels", ids.size());
  const auto [begin, end] = without_padding(row, ids.size());
  fields.input_ids.emplace();
  for (std::size_t i = begin; i < end; ++i) {
    const std::int64_t label = labels ? (*labels)[i] : ids[i];
    if (label != ids[i] && label != kNotLearned) {
      throw bad_input(
          "'labels' has {} as number {}, where 'input_ids' has {}: a label is its token's id, or "
          "-100 where it is not to be learned",
          label, i + 1, ids[i]);
    }
    fields.input_ids->push_back(ids[i]);
    fields.in_loss.push_back(label != kNotLearned);
  }
}

std::string string(const dom::element& value, std::string_view key) {
  std::string_view text;
  if (value.get(text) != simdjson::SUCCESS) {
    throw bad_input("'{}' should be a string, but it is {}", key, shown(value));
  }
  return std::string(text);
}

Json parse_messages(const dom::element& value, const std::string& key) {
  Json messages = to_json(value, fmt::format("'{}'", key));
  require_messages(messages, key);
  return messages;
}

// Text, or a list of messages.
Json parse_side(const dom::element& value, const std::string& key) {
  return value.is_array() ? parse_messages(value, key) : Json(string(value, key));
}

// Alpaca's form. Its data has the whole text beside it ("text"), where the prompt cannot be told
// from the answer: so this form comes first.
std::optional<RowFields::Instruction> parse_instruction(const dom::object& row) {
  const auto instruction = find(row, "instruction");
  const auto output = find(row, "output");
  if (!instruction || !output) return std::nullopt;
  const auto input = find(row, "input");
  return RowFields::Instruction{.instruction = string(*instruction, "instruction"),
                                .input = input ? string(*input, "input") : std::string(),
                                .output = string(*output, "output")};
}

void parse_form(const dom::object& row, std::int64_t vocab_size, RowFields& fields) {
  const auto ids = find(row, "input_ids");
  const auto prompt = find(row, "prompt");
  const auto completion = find(row, "completion");
  const auto messages = find(row, "messages");
  const auto text = find(row, "text");
  const auto tools = find(row, "tools");
  if (tools) fields.tools = parse_tools(to_json(*tools, "'tools'"));
  if (ids) {
    parse_tokens(row, *ids, vocab_size, fields);
  } else if (prompt && completion) {
    fields.prompt = parse_side(*prompt, "prompt");
    fields.completion = parse_side(*completion, "completion");
    if (fields.prompt.type() != fields.completion.type()) {
      throw bad_input(
          "'prompt' and 'completion' should both be strings or both be lists of messages");
    }
  } else if (messages) {
    fields.messages = parse_messages(*messages, "messages");
  } else if (auto instruction = parse_instruction(row)) {
    fields.instruction = std::move(instruction);
  } else if (text) {
    fields.text = string(*text, "text");
  } else if (prompt || completion) {
    throw bad_input("'{}' is there but '{}' is missing", prompt ? "prompt" : "completion",
                    prompt ? "completion" : "prompt");
  } else if (find(row, "conversations")) {
    throw bad_input(
        "'conversations' (from, value): make it 'messages' (role, content), with user and "
        "assistant "
        "for human and gpt");
  } else {
    throw bad_input(
        "the row has none of the forms {{\"text\"}}, {{\"prompt\", \"completion\"}}, "
        "{{\"messages\"}}, {{\"instruction\", \"input\", \"output\"}}, {{\"input_ids\"}}");
  }
}

simdjson::error_code parse(std::string_view line, dom::parser& parser, dom::element& root) {
  if (parser.allocate(std::max<std::size_t>(line.size(), 64), kMaxJsonDepth) != simdjson::SUCCESS) {
    throw bad_input("a line of {} bytes is too long", line.size());
  }
  const simdjson::padded_string padded(line);
  return parser.parse(padded).get(root);
}

// JSON allows numbers of any size and halves of surrogate pairs; simdjson does not. Replaced in two
// ways, they differ in the fields that have them.
simdjson::error_code parse_mended(std::string_view line, dom::parser& parser, dom::element& root) {
  const std::string one = with_holdable_values(line, "0", "\\ufffd");
  const std::string other = with_holdable_values(line, "1", "\\ufffc");
  dom::parser other_parser;
  dom::element other_root;
  if (const auto error = parse(one, parser, root)) return error;
  if (const auto error = parse(other, other_parser, other_root)) return error;
  dom::object row, other_row;
  if (root.get(row) || other_root.get(other_row)) return simdjson::SUCCESS;
  for (const std::string_view key : kUsedKeys) {
    const auto value = find(row, key);
    if (!value || simdjson::minify(*value) == simdjson::minify(*find(other_row, key))) continue;
    throw bad_input("'{}' has a number that is too large, or an escape of half a surrogate pair",
                    key);
  }
  return simdjson::SUCCESS;
}

// The usual mistakes by name; the parser's own words for the others.
std::string why_not_json(std::string_view line, simdjson::error_code error) {
  if (error == simdjson::DEPTH_ERROR) {
    return fmt::format("it is nested deeper than {} levels", kMaxJsonDepth);
  }
  if (!simdjson::validate_utf8(line.data(), line.size())) {
    return "it is not UTF-8. A file of another encoding is converted by iconv -f WINDOWS-1252 -t "
           "UTF-8 FILE > rows.jsonl";
  }
  const std::size_t end = line.find_last_not_of(" \t\r");
  const std::size_t begin = line.find_first_not_of("{ \t");
  if (end != std::string_view::npos && line[end] == ',' && line.starts_with('{')) {
    return "a comma stands behind the row";
  }
  if (line.starts_with('{') && begin != std::string_view::npos && line[begin] == '\'') {
    return "its strings stand in double quotes (\"text\"), not in single ones";
  }
  return simdjson::error_message(error);
}

}  // namespace

RowFields parse_row(std::string_view line, std::int64_t vocab_size) {
  dom::parser parser;
  dom::element root;
  if (const auto error = parse(line, parser, root)) {
    if (parse_mended(line, parser, root)) {
      throw bad_input("not valid JSON: {}", why_not_json(line, error));
    }
  }
  dom::object row;
  if (root.get(row) != simdjson::SUCCESS) {
    throw bad_input("should be a JSON object, but it is {}", shown(root));
  }
  RowFields fields;
  fields.provenance = parse_provenance(row);
  parse_form(row, vocab_size, fields);
  return fields;
}

}  // namespace loadline
