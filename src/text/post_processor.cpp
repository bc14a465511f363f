#include "text/post_processor.h"

#include "base/error.h"
#include "base/json.h"
#include "text/vocabulary.h"

namespace loadline {
namespace {

std::int32_t checked_id(const Json& value, const std::string& source) {
  if (!value.is_number_unsigned() ||
      value.get<std::uint64_t>() >= static_cast<std::uint64_t>(Vocabulary::kMostIds)) {
    throw bad_input("{}: {} is not a token id", source, value.dump());
  }
  return value.get<std::int32_t>();
}

// The ids of {"SpecialToken": {"id": name}}, which the table special_tokens[name].ids has.
std::vector<std::int32_t> ids_of_special(const Json& table, const std::string& name,
                                         const std::string& source) {
  const Json* entry = json_find(table, name);
  const Json* ids = entry == nullptr ? nullptr : json_find(*entry, "ids");
  if (ids == nullptr || !ids->is_array()) {
    throw bad_input("{}: the template's token '{}' has no list 'ids' in special_tokens", source,
                    name);
  }
  std::vector<std::int32_t> values;
  for (const Json& id : *ids) values.push_back(checked_id(id, source));
  return values;
}

// ["</s>", 2]
std::int32_t id_of_pair(const Json& value, std::string_view key, const std::string& source) {
  const Json* pair = json_find(value, key);
  if (pair == nullptr || !pair->is_array() || pair->size() != 2) {
    throw bad_input("{}: '{}' should be [token, id]", source, key);
  }
  return checked_id((*pair)[1], source);
}

}  // namespace

PostProcessor::PostProcessor(const Json& value, const std::string& source) {
  if (!value.is_null()) add(value, source);
}

void PostProcessor::add(const Json& value, const std::string& source) {
  const std::string type = json_string(value, "type", source);
  if (type == "Sequence") {
    const Json* members = json_find(value, "processors");
    if (members == nullptr || !members->is_array()) {
      throw bad_input("{}: Sequence should have a list 'processors'", source);
    }
    for (const Json& member : *members) add(member, source);
  } else if (type != "ByteLevel" && (!before_.empty() || !after_.empty())) {
    throw bad_input("{}: post-processor '{}' behind another that adds tokens is not supported",
                    source, type);
  } else if (type == "TemplateProcessing") {
    add_template(value, source);
  } else if (type == "BertProcessing" || type == "RobertaProcessing") {
    before_ = {id_of_pair(value, "cls", source)};
    after_ = {id_of_pair(value, "sep", source)};
  } else if (type != "ByteLevel") {
    throw bad_input("{}: post-processor '{}' is not supported", source, type);
  }
}

void PostProcessor::add_template(const Json& value, const std::string& source) {
  const Json* parts = json_find(value, "single");
  const Json* table = json_find(value, "special_tokens");
  if (parts == nullptr || !parts->is_array()) {
    throw bad_input("{}: TemplateProcessing should have a list 'single'", source);
  }
  bool text_seen = false;
  for (const Json& part : *parts) {
    const Json* special = json_find(part, "SpecialToken");
    const Json* text = json_find(part, "Sequence");
    if (special != nullptr) {
      const auto ids = ids_of_special(table == nullptr ? Json::object() : *table,
                                      json_string(*special, "id", source), source);
      auto& side = text_seen ? after_ : before_;
      side.insert(side.end(), ids.begin(), ids.end());
    } else if (text != nullptr && json_string(*text, "id", source) == "A" && !text_seen) {
      text_seen = true;
    } else {
      throw bad_input("{}: the template's part {:.80} is not supported", source, part.dump());
    }
  }
  if (!text_seen) throw bad_input("{}: the template 'single' leaves out the text", source);
}

void PostProcessor::add_special(std::vector<std::int32_t>& ids) const {
  ids.insert(ids.begin(), before_.begin(), before_.end());
  ids.insert(ids.end(), after_.begin(), after_.end());
}

}  // namespace loadline
