// The end of a search in words: what was found, what it rests on, what to do when nothing was.
#pragma once

#include <string>
#include <vector>

#include "search/search.h"

namespace loadline {

// Lines without newlines. The headings among them are "BENCHMARK COMPLETE", "BENCHMARK UNFINISHED",
// "NOTHING FITS" and "OPTIMAL CONFIGURATION".
std::vector<std::string> summary_lines(const SearchResult& result, const SearchLimits& limits);

}  // namespace loadline
