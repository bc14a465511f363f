// JSON as the values of a template: messages, tools, special tokens.
#pragma once

#include "base/json_fwd.h"
#include "jinja/value.h"

namespace loadline::jinja {

// Throws Failure for nesting deeper than Value::kDeepest and for more than a rendering may make.
Value from_json(const Json& json, Meter& meter);

}  // namespace loadline::jinja
