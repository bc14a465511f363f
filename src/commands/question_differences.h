// How two questions of `find` differ, in words.
#pragma once

#include <string>
#include <vector>

#include "base/json_fwd.h"

namespace loadline {

// A line for each part in which the question of a search that lies in a folder, as its run.json has
// it, is another than the one that is asked now: "max_batch: there 2, now 3". Each document is the
// whole of a run.json: what a fingerprint is of stands beside the question there. Empty where they
// agree.
std::vector<std::string> question_differences(const Json& there, const Json& now);

}  // namespace loadline
