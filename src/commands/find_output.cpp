#include "commands/find_output.h"

#include <system_error>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"

namespace loadline {
namespace fs = std::filesystem;
namespace {

bool is_no_place_for_a_file(const fs::path& output) {
  std::error_code ignored;
  const fs::file_status there = fs::status(output, ignored);
  return !output.has_filename() || (fs::exists(there) && !fs::is_regular_file(there));
}

// An empty file has nothing that could be lost (mktemp makes such).
bool is_result_or_empty(const fs::path& output) {
  try {
    if (fs::file_size(output) == 0) return true;
    const Json document = read_json(output);
    const Json* frontier = json_find(document, "frontier");
    const Json* trials = json_find(document, "trials");
    return document.contains("schema_version") && document.contains("status") &&
           frontier != nullptr && frontier->is_array() && trials != nullptr && trials->is_array();
  } catch (const std::exception&) {
    return false;
  }
}

// Also by symbolic links on the way there.
bool is_taken_by_run(const fs::path& output, const fs::path& run_folder) {
  std::error_code ignored;  // a place that cannot be followed is refused when it is tried
  const fs::path below = fs::weakly_canonical(output, ignored)
                             .lexically_relative(fs::weakly_canonical(run_folder, ignored));
  return !below.empty() && *below.begin() != ".." && below != "result.json";
}

}  // namespace

void require_output(const fs::path& output, const std::vector<fs::path>& inputs,
                    const fs::path& run_folder) {
  if (is_no_place_for_a_file(output)) {
    throw usage_error("--output {}: is not a file. Give the name of one", output.string());
  }
  for (const fs::path& input : inputs) {
    std::error_code ignored;
    if (!fs::equivalent(output, input, ignored)) continue;
    throw usage_error("--output {}: is {}, which the search reads. Give another name",
                      output.string(), input.string());
  }
  const fs::path place = fs::absolute(output);
  if (is_taken_by_run(place, run_folder)) {
    throw usage_error("--output {}: lies in the run folder {}, whose files are the search's own",
                      output.string(), run_folder.string());
  }
  if (is_there(output) && !is_result_or_empty(output)) {
    throw usage_error(
        "--output {}: is there and is no result of an earlier search, which alone is replaced. "
        "Give another name, or remove it",
        output.string());
  }
  require_writable_folder(place.parent_path());
}

}  // namespace loadline
