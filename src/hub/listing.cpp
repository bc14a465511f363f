#include "hub/listing.h"

#include <algorithm>
#include <set>

#include "base/error.h"
#include "base/json.h"
#include "checkpoint/weight_index.h"

namespace loadline {
namespace {

constexpr std::size_t kLongestPath = 1024;
constexpr std::size_t kLongestEtag = 200;

// Below the folder that it is meant for, whatever reads it.
bool is_safe_path(std::string_view path) {
  if (path.empty() || path.size() > kLongestPath) return false;
  for (std::size_t at = 0; at <= path.size();) {
    const std::size_t end = std::min(path.find('/', at), path.size());
    const std::string_view part = path.substr(at, end - at);
    if (part.empty() || part == "." || part == "..") return false;
    at = end + 1;
  }
  return std::none_of(path.begin(), path.end(),
                      [](unsigned char c) { return c < 0x20 || c == 0x7f || c == '\\'; });
}

std::string shown(const std::string& text) {
  return Json(text).dump(-1, ' ', true, Json::error_handler_t::replace).substr(0, 80);
}

// "" when it is not there.
std::string optional_hash(const Json& from, const char* key, std::size_t digits,
                          std::string_view source) {
  if (json_find(from, key) == nullptr) return "";
  const std::string hash = json_string(from, key, source);
  if (!is_hex(hash, digits)) {
    throw bad_input("{}: '{}' should have {} hexadecimal digits, but it is {}", source, key, digits,
                    shown(hash));
  }
  return hash;
}

ListedFile parse_file(const Json& entry, std::string_view source) {
  ListedFile file;
  if (json_find(entry, "size") != nullptr) {
    const std::int64_t size = json_int(entry, "size", source);
    if (size < 0) throw bad_input("{}: a file has the size {}", source, size);
    file.size = static_cast<std::uint64_t>(size);
  }
  file.git_object = optional_hash(entry, "blobId", 40, source);
  if (const Json* large = json_find(entry, "lfs"); large != nullptr) {
    file.sha256 = optional_hash(*large, "sha256", 64, source);
  }
  return file;
}

// "*.bin, *.gguf": for the message, what could have been meant.
std::string other_weights(const HubListing& listing) {
  std::set<std::string> kinds;
  for (const auto& file : listing.files) {
    for (const char* kind : {".safetensors", ".bin", ".gguf", ".pth", ".pt", ".h5", ".onnx"}) {
      if (file.first.ends_with(kind)) kinds.insert(std::string("*").append(kind));
    }
  }
  return kinds.empty() ? "no weights at all" : fmt::format("{}", fmt::join(kinds, ", "));
}

}  // namespace

bool is_plain_etag(std::string_view etag) {
  return !etag.empty() && etag.size() <= kLongestEtag && etag.front() != '.' &&
         !etag.ends_with(".incomplete") && std::all_of(etag.begin(), etag.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '-' || c == '_' || c == '.';
         });
}

HubListing parse_hub_listing(std::string_view text, std::string_view source) {
  const Json document = parse_json(text, source);
  HubListing listing;
  listing.commit = json_string(document, "sha", source);
  if (!is_commit(listing.commit)) {
    throw bad_input("{}: 'sha' should be a commit of 40 hexadecimal digits, but it is {}", source,
                    shown(listing.commit));
  }
  const Json* siblings = json_find(document, "siblings");
  if (siblings == nullptr || !siblings->is_array()) {
    throw bad_input("{}: 'siblings' should be the list of files", source);
  }
  for (const Json& entry : *siblings) {
    const std::string path = json_string(entry, "rfilename", source);
    if (!is_safe_path(path)) {
      throw bad_input(
          "{}: lists the file {}, a path that could lead out of the model's folder. "
          "Nothing was downloaded.",
          source, shown(path));
    }
    if (!listing.files.emplace(path, parse_file(entry, source)).second) {
      throw bad_input("{}: lists the file {} twice", source, shown(path));
    }
  }
  return listing;
}

std::vector<std::string> files_to_fetch(const HubListing& listing, ModelParts parts,
                                        const HubModel& model) {
  if (!listing.files.contains("config.json")) {
    throw bad_input("{}: has no config.json, so it is not a model in the format of Transformers",
                    model.text());
  }
  std::vector<std::string> wanted;
  for (const char* file : kModelTextFiles) {
    if (listing.files.contains(file)) wanted.emplace_back(file);
  }
  if (parts == ModelParts::kText) return wanted;
  for (const char* file : {kSingleWeightFile, kWeightIndexFile}) {
    if (!listing.files.contains(file)) continue;
    wanted.emplace_back(file);
    return wanted;
  }
  throw bad_input("{}: has neither {} nor {}, but {}. Take a version with safetensors.",
                  model.text(), kSingleWeightFile, kWeightIndexFile, other_weights(listing));
}

}  // namespace loadline
