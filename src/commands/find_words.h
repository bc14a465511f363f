// What `find` says before its first trial and after its last.
#pragma once

#include <cstdint>
#include <string>

#include "base/json_fwd.h"
#include "commands/find_session.h"
#include "machine/facts.h"

namespace loadline {

// asked_batch: --max-batch, of which the data may have fewer rows. is_answered: the same search has
// come to its end before.
void say_beginning(const FindQuestion& question, const Workload& workload, const Budget& budget,
                   std::int64_t asked_batch, bool is_answered, TerminalView& view);

// binds: as binds_of() has it.
void say_what_binds(const Json& binds, TerminalView& view);

// At the end too: the beginning of a search is hours and a thousand lines away.
void say_cuts_of_choice(const SearchResult& result, const Workload& workload, TerminalView& view);

// "One epoch: 890 rows with 123456 tokens, in about 3 min ...": what is to be expected of the
// training; empty where the speed is not known.
std::string epoch_line(std::int64_t rows, std::int64_t tokens, double tokens_per_second);
// That of the choice.
void say_epoch(const SearchResult& result, const Workload& workload, TerminalView& view);

// Why there is no profile at the end, and how to get one; empty where nothing fits, which says it
// itself, and where there will be one or a question.
std::string no_profile_line(const SearchResult& result, bool no_save);

}  // namespace loadline
