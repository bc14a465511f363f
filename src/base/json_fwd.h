// The name Json alone, for headers that only pass it on: the library's own header is the
// slowest of all to compile.
#pragma once

#include <nlohmann/json_fwd.hpp>

namespace loadline {

using Json = nlohmann::ordered_json;

}  // namespace loadline
