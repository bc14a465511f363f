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

// Writing replaces what is there, a link too: what it leads to is written, there or not yet.
fs::path written_for(const fs::path& output) {
  constexpr int kMostLinks = 40;  // as many as Linux follows
  fs::path place = fs::absolute(output);
  for (int followed = 0; followed < kMostLinks; ++followed) {
    std::error_code error;
    if (!fs::is_symlink(fs::symlink_status(place, error))) return place;
    place = place.parent_path() / fs::read_symlink(place);
  }
  throw usage_error("--output {}: is a link that leads nowhere. Remove it, or give another name",
                    output.string());
}

// Also by symbolic links on the way there.
bool is_taken_by_run(const fs::path& output, const fs::path& run_folder) {
  std::error_code ignored;  // a place that cannot be followed is refused when it is tried
  const fs::path below = fs::weakly_canonical(output, ignored)
                             .lexically_relative(fs::weakly_canonical(run_folder, ignored));
  return !below.empty() && *below.begin() != ".." && below != "result.json";
}

}  // namespace

fs::path require_output(const fs::path& output, const std::vector<fs::path>& inputs,
                        const fs::path& run_folder) {
  if (output == "-") {
    throw usage_error(
        "--output -: is no file's name here. --json writes the document to stdout; a file that is "
        "called so is ./-");
  }
  if (is_no_place_for_a_file(output)) {
    throw usage_error("--output {}: is not a file. Give the name of one", output.string());
  }
  for (const fs::path& input : inputs) {
    std::error_code ignored;
    if (!fs::equivalent(output, input, ignored)) continue;
    throw usage_error("--output {}: is {}, which the search reads. Give another name",
                      output.string(), input.string());
  }
  fs::path place = written_for(output);
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
  return place;
}

}  // namespace loadline
