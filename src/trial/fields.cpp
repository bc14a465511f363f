#include "trial/fields.h"

#include <cmath>
#include <limits>
#include <string>

#include "base/error.h"
#include "base/json.h"

namespace loadline {
namespace {

constexpr std::int64_t kMostBytes = std::int64_t{1} << 60;
constexpr double kMostSeconds = 1e10;

}  // namespace

std::int64_t count_field(const Json& object, std::string_view key, std::string_view source) {
  const std::int64_t value = json_int(object, key, source);
  if (value < 0) throw bad_input("{}: '{}' is {}, but it counts something", source, key, value);
  return value;
}

Bytes bytes_field(const Json& object, std::string_view key, std::string_view source) {
  const std::int64_t value = count_field(object, key, source);
  if (value > kMostBytes) {
    throw bad_input("{}: '{}' is {} bytes, more than any machine has", source, key, value);
  }
  return Bytes{static_cast<std::uint64_t>(value)};
}

double finite_field(const Json& object, std::string_view key, std::string_view source) {
  const double value = json_number(object, key, source);
  if (!std::isfinite(value)) throw bad_input("{}: '{}' is not finite", source, key);
  return value;
}

double amount_field(const Json& object, std::string_view key, std::string_view source) {
  const double value = finite_field(object, key, source);
  if (value < 0) throw bad_input("{}: '{}' is {}, but cannot be negative", source, key, value);
  return value;
}

double seconds_field(const Json& object, std::string_view key, std::string_view source) {
  const double value = amount_field(object, key, source);
  if (value > kMostSeconds) {
    throw bad_input("{}: '{}' is {} s, longer than three centuries", source, key, value);
  }
  return value;
}

double loss_field(const Json& object, std::string_view key, std::string_view source) {
  const auto it = object.find(std::string(key));
  if (it != object.end() && it->is_null()) return std::numeric_limits<double>::quiet_NaN();
  return finite_field(object, key, source);
}

const Json& object_field(const Json& object, std::string_view key, std::string_view source) {
  const Json* value = json_find(object, key);
  if (value == nullptr || !value->is_object()) {
    throw bad_input("{}: '{}' should be an object", source, key);
  }
  return *value;
}

Json number_json(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }
Json number_json(const std::optional<double>& value) {
  return value ? number_json(*value) : Json(nullptr);
}

std::optional<double> cross_entropy_field(const Json& object, std::string_view source) {
  if (json_find(object, "cross_entropy") == nullptr) return std::nullopt;
  return loss_field(object, "cross_entropy", source);
}

void put_cross_entropy(Json& document, const std::optional<double>& value) {
  if (value) document["cross_entropy"] = number_json(*value);
}

std::optional<Reference> reference_field(const Json& object, std::string_view source) {
  const bool has_tokens = json_find(object, "reference_tokens") != nullptr;
  if (!has_tokens && json_find(object, "reference_seconds") == nullptr) return std::nullopt;
  const Reference reference{.tokens = count_field(object, "reference_tokens", source),
                            .seconds = seconds_field(object, "reference_seconds", source)};
  if (reference.tokens < 1 || !(reference.seconds > 0)) {
    throw bad_input("{}: the reference has {} tokens in {} s, but both must be above 0", source,
                    reference.tokens, reference.seconds);
  }
  return reference;
}

void put_reference(Json& document, const std::optional<Reference>& value) {
  if (!value) return;
  document["reference_tokens"] = value->tokens;
  document["reference_seconds"] = value->seconds;
}

std::string dump_line(const Json& document) {
  return document.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace loadline
