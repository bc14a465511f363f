// Text for people, from values and from strings that nobody vouches for.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "search/search.h"

namespace loadline {

// Control characters (a terminal would obey them) become '?'; UTF-8 stays as it is.
std::string printable(std::string_view text);
// The same of several lines, which stay lines.
std::string printable_lines(std::string_view text);
// How wide a terminal is, asked anew each time, as people resize it; none: kUsualColumns.
using Columns = std::function<std::int64_t()>;
inline constexpr std::int64_t kUsualColumns = 80;
// The first so many columns of a line.
std::string cut_to(std::string_view line, std::int64_t columns);
// The line of a bar in so many columns: where they are too few without its picture, and then
// without its last parts, so that no number is cut.
std::string bar_in(std::string_view line, std::int64_t columns);
// In lines of at most so many columns, but 40 to 100 on any terminal, as lines beyond are hard to
// read; broken between words. What follows the first one stands below the
// text behind a label ("  Planned:      "), or two columns further in.
std::string wrapped(const std::string& line, std::int64_t columns = kUsualColumns);
// The same, with what follows the first one below the column `indent`.
std::string wrapped_below(const std::string& line, std::size_t indent, std::int64_t columns);
// "3.24 s", "0.031 s", "12.5 s": three digits that mean something.
std::string in_seconds(double seconds);
// "45 s", "3 min", "1 h 20 min", rounded up to what people plan with.
std::string in_time_left(double seconds);
std::string in_time_left(double least, double most);  // "40 s to 2 min", "2 to 5 min"
// "3.2 s", "45 s", "1 min 31 s", "1 h 20 min": what has gone by, to the nearest.
std::string in_elapsed(double seconds);
// "[######..............]", of 20 places; share in [0, 1].
std::string bar_of(double share);
// "batch=4, rank=64, layers=16"
std::string describe(const Configuration& configuration);
// "rank=64, layers=16"; where they are compared, ", seq=512, checkpointing on".
std::string describe_cell(const Configuration& configuration);
// "Does not fit", "Not usable (timed_out)", "Stopped (interrupted)": never a cause by guess.
std::string heading_of(Verdict verdict);
// The cause, printable, without what the heading has said and the advice that a search needs not.
std::string cause_after_heading(const TrialOutcome& outcome);

}  // namespace loadline
