// Typed fields of an object as simdjson has parsed it.
#pragma once

#include <simdjson.h>

#include <string>

#include "base/error.h"

namespace loadline {

// `fallback` where the key is missing or null; Error(kBadInput) "SOURCE: 'KEY' should be WANTED"
// where it is of another type.
template <typename T>
T field_or(const simdjson::dom::object& object, const char* key, const char* wanted, T fallback,
           const std::string& source) {
  simdjson::dom::element value;
  if (object[key].get(value) != simdjson::SUCCESS || value.is_null()) return fallback;
  T typed{};
  if (value.get(typed) != simdjson::SUCCESS) {
    throw bad_input("{}: '{}' should be {}", source, key, wanted);
  }
  return typed;
}

template <typename T>
T required_field(const simdjson::dom::object& object, const char* key, const char* wanted,
                 const std::string& source) {
  T typed{};
  if (object[key].get(typed) != simdjson::SUCCESS) {
    throw bad_input("{}: '{}' should be {}, but it is missing or something else", source, key,
                    wanted);
  }
  return typed;
}

}  // namespace loadline
