// The end of a search in words: what was found, what it rests on, what to do when nothing was.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "report/text.h"
#include "search/search.h"

namespace loadline {

// Lines without newlines. The headings among them are "BENCHMARK COMPLETE", "BENCHMARK UNFINISHED",
// "NOTHING FITS" and "OPTIMAL CONFIGURATION". Only the tables look at the columns.
std::vector<std::string> summary_lines(const SearchResult& result, const SearchLimits& limits,
                                       std::int64_t columns = kUsualColumns);

}  // namespace loadline
