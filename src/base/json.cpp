#include "base/json.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "base/file.h"

namespace loadline {
namespace {

constexpr std::size_t kMaxDepth = 64;
constexpr Bytes kMaxFile = 256_MiB;

// " (line 1, column 8): what was expected" of the library's
// "[json.exception.parse_error.101] parse error at line 1, column 8: what was expected".
std::string place_and_reason(const nlohmann::detail::exception& error) {
  constexpr std::string_view kPlace = "parse error at ";
  std::string_view words = error.what();
  words.remove_prefix(std::min(words.find("] ") + 2, words.size()));
  const std::size_t colon = words.find(": ");
  if (!words.starts_with(kPlace) || colon == std::string_view::npos) {
    return fmt::format(": {}", words);
  }
  return fmt::format(" ({}){}", words.substr(kPlace.size(), colon - kPlace.size()),
                     words.substr(colon));
}

// Builds the tree while the text is read, and refuses depth and double keys. The library's own
// builder looks through all keys of an object for each new one; a vocabulary has 150,000 of them.
class TreeBuilder : public nlohmann::json_sax<Json> {
 public:
  TreeBuilder(std::string_view source, Json& root) : source_(source), root_(root) {}

  bool null() override { return add(nullptr); }
  bool boolean(bool value) override { return add(value); }
  bool number_integer(number_integer_t value) override { return add(value); }
  bool number_unsigned(number_unsigned_t value) override { return add(value); }
  bool number_float(number_float_t value, const string_t& /*text*/) override { return add(value); }
  bool string(string_t& value) override { return add(std::move(value)); }
  bool binary(binary_t& /*value*/) override { return false; }  // JSON text has none

  bool start_object(std::size_t /*size*/) override { return open(Json::object()); }
  bool start_array(std::size_t /*size*/) override { return open(Json::array()); }
  bool key(string_t& value) override {
    key_ = std::move(value);
    return true;
  }
  bool end_object() override {
    if (const auto twice = json_double_key(*open_.back())) {
      throw bad_input("{}: JSON key '{}' stands twice in one object", source_, *twice);
    }
    return end_array();
  }
  bool end_array() override {
    open_.pop_back();
    return true;
  }
  bool parse_error(std::size_t position, const std::string& /*token*/,
                   const nlohmann::detail::exception& error) override {
    throw bad_input("{}: not valid JSON at byte {}{}", source_, position, place_and_reason(error));
  }

 private:
  // The element where the value now lies. It stays there while it is open, as only the innermost
  // open container grows.
  Json& place(Json&& value) {
    if (open_.empty()) return root_ = std::move(value);
    Json& parent = *open_.back();
    if (parent.is_array()) return parent.get_ref<Json::array_t&>().emplace_back(std::move(value));
    Json::object_t::Container& members = parent.get_ref<Json::object_t&>();
    return members.emplace_back(std::move(key_), std::move(value)).second;
  }

  bool add(Json value) {
    place(std::move(value));
    return true;
  }

  bool open(Json container) {
    if (open_.size() >= kMaxDepth) {
      throw bad_input("{}: JSON nested deeper than {} levels", source_, kMaxDepth);
    }
    open_.push_back(&place(std::move(container)));
    return true;
  }

  std::string source_;
  Json& root_;
  std::vector<Json*> open_;
  std::string key_;
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
  Json root;
  TreeBuilder builder(source, root);
  Json::sax_parse(text, &builder);
  return root;
}

std::optional<std::string_view> json_double_key(const Json& object) {
  const auto& members = object.get_ref<const Json::object_t&>();
  std::vector<std::string_view> keys;
  keys.reserve(members.size());
  for (const auto& member : members) keys.emplace_back(member.first);
  std::sort(keys.begin(), keys.end());
  const auto twice = std::adjacent_find(keys.begin(), keys.end());
  return twice == keys.end() ? std::nullopt : std::optional(*twice);
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

bool json_bool_or(const Json& object, std::string_view key, bool otherwise,
                  std::string_view source) {
  return json_find(object, key) == nullptr ? otherwise : json_bool(object, key, source);
}

}  // namespace loadline
