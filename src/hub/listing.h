// What the Hub says about a revision of a model: /api/models/ORG/NAME/revision/REVISION?blobs=true.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "hub/cache.h"

namespace loadline {

// Hashes and sizes are there where the Hub says them.
struct ListedFile {
  std::optional<std::uint64_t> size;
  std::string sha256;      // of a file in large file storage, 64 hexadecimal digits; else ""
  std::string git_object;  // SHA-1 of Git's blob, 40 digits; of the pointer where there is a sha256
};

struct HubListing {
  std::string commit;
  std::map<std::string, ListedFile> files;  // by path below the repository
};

// Throws Error(kBadInput), naming `source`, for what is malformed: no commit of 40 digits, a path
// that leads out of the folder ("../x", "/x", "a//b"), sizes and hashes that are none, a path
// twice.
HubListing parse_hub_listing(std::string_view text, std::string_view source);

// The files to fetch first: of kModelTextFiles what is there, and with ModelParts::kAll
// model.safetensors or its index (whose shards come second). Throws Error(kBadInput) naming what
// the model has instead when config.json or the weights are not there.
std::vector<std::string> files_to_fetch(const HubListing& listing, ModelParts parts,
                                        const HubModel& model);

// Plain characters only, no dot in front: an etag that can be a file's name.
bool is_plain_etag(std::string_view etag);

}  // namespace loadline
