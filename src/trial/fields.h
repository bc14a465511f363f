// Values of JSON documents that nobody vouches for, with the bounds that a trial needs. Each throws
// Error(kBadInput) naming the source, the key and the value.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/bytes.h"
#include "base/json_fwd.h"
#include "trial/trial.h"

namespace loadline {

std::int64_t count_field(const Json& object, std::string_view key,
                         std::string_view source);                                       // >= 0
Bytes bytes_field(const Json& object, std::string_view key, std::string_view source);    // <= 2^60
double amount_field(const Json& object, std::string_view key, std::string_view source);  // >= 0
// A duration: >= 0, and no longer than three centuries.
double seconds_field(const Json& object, std::string_view key, std::string_view source);
double finite_field(const Json& object, std::string_view key, std::string_view source);
// null is a NaN; absent is an error.
double loss_field(const Json& object, std::string_view key, std::string_view source);
const Json& object_field(const Json& object, std::string_view key, std::string_view source);

Json number_json(double value);  // null where it is not finite
Json number_json(const std::optional<double>& value);

// `cross_entropy`, which stands beside a loss that is more than that; absent elsewhere.
std::optional<double> cross_entropy_field(const Json& object, std::string_view source);
void put_cross_entropy(Json& document, const std::optional<double>& value);

// `reference_tokens` and `reference_seconds`: both, and above 0, or neither.
std::optional<Reference> reference_field(const Json& object, std::string_view source);
void put_reference(Json& document, const std::optional<Reference>& value);

// Compact text; bytes that are not UTF-8 are replaced, never thrown about.
std::string dump_line(const Json& document);

}  // namespace loadline
