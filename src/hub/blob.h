// One file of the Hub, downloaded into the cache's blobs.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>

#include "hub/cache.h"
#include "hub/client.h"

namespace loadline {

// Shared by all downloads of a pull.
struct PullCounters {
  std::atomic<std::uint64_t> total{0}, done{0}, received{0};
  std::atomic<std::size_t> files{0}, files_done{0};
};

// The bytes of the file that are not on this disk yet.
std::uint64_t bytes_to_fetch(const HubCache& cache, const HubModel& model,
                             const std::string& commit, const HubFile& file);

// Returns when the blob is in the cache, whole and checked; one that is there with another size
// than the Hub says is fetched anew. What is downloaded stands in ETAG.incomplete until then, and
// is kept when the download is cut. Throws as pull_model says.
void fetch_blob(HubClient& client, const HubCache& cache, const HubModel& model,
                const std::string& commit, const HubFile& file, PullCounters& counters);

}  // namespace loadline
