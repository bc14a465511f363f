#include "jinja/from_json.h"

#include "base/json.h"

namespace loadline::jinja {

Value from_json(const Json& json, Meter& meter) {
  meter.allocate(sizeof(Value));
  switch (json.type()) {
    case Json::value_t::boolean:
      return json.get<bool>();
    case Json::value_t::number_integer:
      return json.get<std::int64_t>();
    case Json::value_t::number_unsigned:
      return static_cast<Integer>(json.get<std::uint64_t>());
    case Json::value_t::number_float:
      return json.get<double>();
    case Json::value_t::string:
      meter.allocate(json.get_ref<const std::string&>().size());
      return json.get_ref<const std::string&>();
    case Json::value_t::array: {
      std::vector<Value> items;
      items.reserve(json.size());
      for (const Json& item : json) items.push_back(from_json(item, meter));
      return Value::list(std::move(items));
    }
    case Json::value_t::object: {
      std::vector<std::pair<Value, Value>> entries;
      entries.reserve(json.size());
      for (const auto& [key, item] : json.items())
        entries.emplace_back(key, from_json(item, meter));
      return Value::dict(std::move(entries));
    }
    default:
      return {};
  }
}

}  // namespace loadline::jinja
