#include "base/json.h"

#include <set>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "base/file.h"

namespace loadline {
namespace {

constexpr int kMaxDepth = 64;
constexpr Bytes kMaxFile = 256_MiB;

// Refuses depth and double keys while the text is read, before a tree exists.
class Strictness {
 public:
  explicit Strictness(std::string_view source) : source_(source) {}

  bool operator()(int depth, Json::parse_event_t event, const Json& parsed) {
    switch (event) {
      case Json::parse_event_t::object_start:
      case Json::parse_event_t::array_start:
        if (depth >= kMaxDepth) {
          throw bad_input("{}: JSON nested deeper than {} levels", source_, kMaxDepth);
        }
        keys_.emplace_back();
        break;
      case Json::parse_event_t::object_end:
      case Json::parse_event_t::array_end:
        keys_.pop_back();
        break;
      case Json::parse_event_t::key:
        if (!keys_.back().insert(parsed.get<std::string>()).second) {
          throw bad_input("{}: JSON key '{}' stands twice in one object", source_,
                          parsed.get<std::string>());
        }
        break;
      case Json::parse_event_t::value:
        break;
    }
    return true;
  }

 private:
  std::string source_;
  std::vector<std::set<std::string>> keys_;
};

const Json& require(const Json& object, std::string_view key, std::string_view source) {
  const Json* value = json_find(object, key);
  if (value == nullptr) throw bad_input("{}: '{}' is missing", source, key);
  return *value;
}

Error wrong_type(std::string_view source, std::string_view key, std::string_view wanted,
                 const Json& value) {
  return bad_input("{}: '{}' should be {}, but it is {} ({:.60})", source, key, wanted,
                   value.type_name(), value.dump(-1, ' ', false, Json::error_handler_t::replace));
}

}  // namespace

Json parse_json(std::string_view text, std::string_view source) {
  // The library takes a zero byte for the end of the text and would not see what follows.
  const std::size_t zero = text.find('\0');
  if (zero != std::string_view::npos) {
    throw bad_input("{}: not valid JSON at byte {}: a zero byte", source, zero + 1);
  }
  try {
    return Json::parse(text, Strictness(source));
  } catch (const Json::parse_error& error) {
    throw bad_input("{}: not valid JSON at byte {}: {}", source, error.byte, error.what());
  } catch (const Json::exception& error) {
    throw bad_input("{}: not valid JSON: {}", source, error.what());  // a number such as 1e999
  }
}

Json read_json(const std::filesystem::path& path) {
  return parse_json(read_file(path, kMaxFile), path.string());
}

const Json* json_find(const Json& object, std::string_view key) {
  if (!object.is_object()) return nullptr;
  const auto it = object.find(std::string(key));
  return it == object.end() || it->is_null() ? nullptr : &*it;
}

std::int64_t json_int(const Json& object, std::string_view key, std::string_view source) {
  const Json& value = require(object, key, source);
  const bool above = value.is_number_unsigned() && value.get<std::uint64_t>() > INT64_MAX;
  if (!value.is_number_integer() || above) throw wrong_type(source, key, "an integer", value);
  return value.get<std::int64_t>();
}

double json_number(const Json& object, std::string_view key, std::string_view source) {
  const Json& value = require(object, key, source);
  if (!value.is_number()) throw wrong_type(source, key, "a number", value);
  return value.get<double>();
}

std::string json_string(const Json& object, std::string_view key, std::string_view source) {
  const Json& value = require(object, key, source);
  if (!value.is_string()) throw wrong_type(source, key, "a string", value);
  return value.get<std::string>();
}

bool json_bool(const Json& object, std::string_view key, std::string_view source) {
  const Json& value = require(object, key, source);
  if (!value.is_boolean()) throw wrong_type(source, key, "true or false", value);
  return value.get<bool>();
}

}  // namespace loadline
