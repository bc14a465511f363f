// Filters that templates seldom use: wordcount, truncate, slice, forceescape.
#pragma once

#include <vector>

#include "jinja/registry.h"

namespace loadline::jinja {

const std::vector<NamedFilter>& rare_filters();

}  // namespace loadline::jinja
