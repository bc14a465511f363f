// Any text, as a listing of the Hub, an index of weights, a model's name, an etag or a redirection:
// what is taken from it stays in the cache's folder and with http, or there is an Error.
#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "base/file.h"
#include "checkpoint/weight_index.h"
#include "hub/cache.h"
#include "hub/listing.h"
#include "hub/name.h"
#include "hub/url.h"
#include "promise.h"

namespace loadline {
namespace {

namespace fs = std::filesystem;

// By its text: nothing is asked of the disk.
void require_below(const fs::path& folder, const fs::path& path) {
  const fs::path inside = path.lexically_normal().lexically_relative(folder.lexically_normal());
  require(!inside.empty() && inside != "." && *inside.begin() != ".." && inside.is_relative());
  const std::string text = path.string();
  require(std::none_of(text.begin(), text.end(),
                       [](unsigned char c) { return c < 0x20 || c == '\\' || c == 0x7f; }));
}

void check(const HubListing& listing) {
  const HubModel model{.repository = "org/name"};
  const HubCache cache("/cache");
  require(is_commit(listing.commit));
  const fs::path snapshot = cache.snapshot(model, listing.commit);
  require(snapshot.lexically_normal() == snapshot);
  for (const auto& [path, file] : listing.files) {
    require_below(snapshot, snapshot / path);
    require(snapshot / path == (snapshot / path).lexically_normal());
    require(file.sha256.empty() || is_hex(file.sha256, 64));
    require(file.git_object.empty() || is_hex(file.git_object, 40));
    require(!file.size || *file.size <= INT64_MAX);
  }
  for (const ModelParts parts : {ModelParts::kText, ModelParts::kAll}) {
    only_bad_input([&] {
      for (const std::string& file : files_to_fetch(listing, parts, model)) {
        require(listing.files.contains(file) && file.find('/') == std::string::npos);
      }
    });
  }
}

void try_index(std::string_view text) {
  static const TemporaryFolder kFolder;
  const fs::path index = kFolder.path() / kWeightIndexFile;
  put_file(index, text);
  only_bad_input([&] {
    for (const std::string& shard : weight_shards(index)) {
      require((kFolder.path() / shard).parent_path() == kFolder.path());
      require(shard.ends_with(".safetensors") && shard.front() != '.');
    }
  });
}

void try_name(std::string_view text) {
  const HubCache cache("/cache");
  const HubModel known{.repository = "org/name"};
  if (is_plain_etag(text)) {
    const std::string etag(text);
    require(cache.blob(known, etag).parent_path() == "/cache/models--org--name/blobs");
    require_below("/cache", cache.blob(known, etag));
    require_below("/cache/.locks", cache.lock(known, etag));
  }
  try {
    const std::optional<HubModel> model = parse_hub_model(text);
    if (!model) return;
    require(model->text() == text || text.ends_with("@main"));
    const fs::path snapshots = cache.snapshot(*model, "x").parent_path();
    require(snapshots.parent_path().parent_path() == "/cache");
    require_below(snapshots.parent_path() / "refs",
                  snapshots.parent_path() / "refs" / model->revision);
  } catch (const Error& error) {
    require(error.kind() == ErrorKind::kUsage);
  }
}

void try_url(const std::string& text) {
  const std::string encoded = percent_encoded(text);
  require(encoded.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                    "-._~%") == std::string::npos);
  for (const std::string base : {"https://hub.example/a/b?c", "http://127.0.0.1:81/a"}) {
    const auto target = redirect_target(base, text);
    if (!target) continue;
    require(target->starts_with("https://") || target->starts_with("http://"));
    require(!base.starts_with("https:") || target->starts_with("https://"));
    // The token goes by the origin: asked again, it must be the same one.
    const auto again = redirect_target(base, *target);
    require(again && origin_of(*again) == origin_of(*target));
  }
}

}  // namespace
}  // namespace loadline

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace loadline;
  const std::string text(reinterpret_cast<const char*>(data), size);
  only_bad_input([&] { check(parse_hub_listing(text, "listing")); });
  try_index(text);
  try_name(text);
  try_url(text);
  return 0;
}
