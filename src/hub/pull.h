// Downloads a model into the Hub's cache: what is needed and not there yet, several files at a
// time. A download that was cut goes on where it stopped.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "hub/cache.h"
#include "hub/client.h"

namespace loadline {

struct PullProgress {
  std::uint64_t total = 0;     // bytes of all files that are known to be needed
  std::uint64_t done = 0;      // of these, what is on this disk
  std::uint64_t received = 0;  // what came over the network
  std::size_t files = 0;
  std::size_t files_done = 0;
};

// Both are called from the thread that called pull_model; either may be empty.
struct PullView {
  std::function<void(const PullProgress&)> progress;  // five times a second
  std::function<void(const std::string&)> line;       // what happens besides: "trying again"
};

struct PullReport {
  std::string commit;
  std::filesystem::path snapshot;
  std::vector<HubFile> files;
  std::uint64_t received = 0;
};

// Asks the Hub for the revision's commit and files, downloads what of `parts` is not in the cache,
// checks it against the Hub's hashes, and then lets the revision's ref name the commit. A file's
// lock is held while it is downloaded: another process, the Python client too, waits or is waited
// for. Errors: those of HubClient; kBadInput for content that is not what the Hub says; and
// kEnvironment where the disk is too small or refuses. Whatever happens, what is in the cache is
// whole: a file appears there when it is complete and checked.
PullReport pull_model(const HubModel& model, ModelParts parts, const HubCache& cache,
                      const HubSettings& settings, const PullView& view);

}  // namespace loadline
