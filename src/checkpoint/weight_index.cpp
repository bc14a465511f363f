#include "checkpoint/weight_index.h"

#include <string_view>

#include "base/error.h"
#include "base/json.h"

namespace loadline {
namespace fs = std::filesystem;
namespace {

// A shard is a plain file name: nothing that could lead out of the folder.
void require_plain_name(const std::string& shard, const fs::path& index) {
  const bool plain = shard.ends_with(".safetensors") && shard.front() != '.' &&
                     shard.find_first_of(std::string_view("/\\\0", 3)) == std::string::npos;
  if (!plain) {
    throw bad_input(
        "{}: names the shard {}, which is not the plain name of a .safetensors file "
        "in this folder",
        index.string(), Json(shard).dump());
  }
}

}  // namespace

std::map<std::string, std::string> read_weight_index(const fs::path& index) {
  const Json document = read_json(index);
  const Json* map = json_find(document, "weight_map");
  if (map == nullptr || !map->is_object() || map->empty()) {
    throw bad_input("{}: 'weight_map' should say for each tensor which file has it",
                    index.string());
  }
  std::map<std::string, std::string> where;
  for (const auto& item : map->items()) {
    if (!item.value().is_string()) {
      throw bad_input("{}: the file of tensor '{}' should be text, but it is {}", index.string(),
                      item.key(), item.value().type_name());
    }
    const auto shard = item.value().get<std::string>();
    require_plain_name(shard, index);
    where.emplace(item.key(), shard);
  }
  return where;
}

std::set<std::string> weight_shards(const fs::path& index) {
  std::set<std::string> shards;
  for (const auto& entry : read_weight_index(index)) shards.insert(entry.second);
  return shards;
}

}  // namespace loadline
