#include "text/json_tree.h"

#include "base/error.h"
#include "base/json.h"

namespace loadline {
namespace {

// Json finds a key by looking at each.
constexpr std::size_t kMostKeys = 10'000;

Json object_to_json(const simdjson::dom::object& object, const std::string& source) {
  if (object.size() > kMostKeys) {
    throw bad_input("{}: an object of {} keys, but {} are the most", source, object.size(),
                    kMostKeys);
  }
  Json json = Json::object();
  Json::object_t::Container& members = json.get_ref<Json::object_t&>();
  members.reserve(object.size());
  for (const auto& field : object) {
    members.emplace_back(std::string(field.key), to_json(field.value, source));
  }
  if (const auto twice = json_double_key(json)) {
    throw bad_input("{}: key '{:.80}' stands twice in one object", source, *twice);
  }
  return json;
}

// As nlohmann's own parser has it: unsigned unless negative.
Json integer(std::int64_t value) {
  return value < 0 ? Json(value) : Json(static_cast<std::uint64_t>(value));
}

}  // namespace

Json to_json(const simdjson::dom::element& element, const std::string& source) {
  using simdjson::dom::element_type;
  switch (element.type()) {
    case element_type::OBJECT:
      return object_to_json(simdjson::dom::object(element), source);
    case element_type::ARRAY: {
      Json json = Json::array();
      for (const simdjson::dom::element& item : simdjson::dom::array(element)) {
        json.push_back(to_json(item, source));
      }
      return json;
    }
    case element_type::STRING:
      return std::string(std::string_view(element));
    case element_type::INT64:
      return integer(std::int64_t(element));
    case element_type::UINT64:
      return std::uint64_t(element);
    case element_type::DOUBLE:
      return double(element);
    case element_type::BOOL:
      return bool(element);
    case element_type::NULL_VALUE:
      return nullptr;
  }
  return nullptr;
}

}  // namespace loadline
