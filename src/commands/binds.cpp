#include "commands/binds.h"

#include <algorithm>
#include <map>
#include <string_view>

namespace loadline {
namespace {

std::string_view group_of(const Buffer& buffer) {
  if (buffer.phase == "weights") return "frozen weights";
  if (buffer.phase == "adapter" || buffer.phase == "optimizer") return "adapter and optimizer";
  if (buffer.phase == "head") return "tokens x vocabulary";
  if (buffer.phase == "process") return "process";
  // What the backward needs of each layer is named after it; the rest is used over and over.
  const bool saved = buffer.phase == "forward" && buffer.name.starts_with("layer ");
  return saved ? "saved activations" : "working buffers";
}

bool lives(const Buffer& buffer, int tick, Half half) {
  return buffer.in_arena() && meet(buffer.life, {.first = tick, .last = tick, .half = half});
}

Bytes living(const MemoryPlan& plan, int tick, Half half) {
  Bytes sum;
  for (const Buffer& buffer : plan.buffers()) {
    if (lives(buffer, tick, half)) sum = sum + buffer.bytes;
  }
  return sum;
}

}  // namespace

std::vector<MemoryShare> what_binds(const MemoryPlan& plan) {
  int last = 0;
  for (const Buffer& buffer : plan.buffers()) last = std::max(last, buffer.life.last);
  int fullest = 0;
  Half half = Half::kAttention;
  Bytes most;
  for (int tick = 0; tick <= last; ++tick) {
    for (const Half each : {Half::kAttention, Half::kMlp}) {
      const Bytes bytes = living(plan, tick, each);
      if (bytes <= most) continue;
      most = bytes;
      fullest = tick;
      half = each;
    }
  }
  std::map<std::string_view, Bytes> groups;
  for (const Buffer& buffer : plan.buffers()) {
    if (!buffer.in_arena() || lives(buffer, fullest, half)) {
      groups[group_of(buffer)] = groups[group_of(buffer)] + buffer.bytes;
    }
  }
  std::vector<MemoryShare> shares;
  for (const auto& [what, bytes] : groups) shares.push_back({std::string(what), bytes});
  std::sort(shares.begin(), shares.end(),
            [](const MemoryShare& a, const MemoryShare& b) { return a.bytes > b.bytes; });
  return shares;
}

}  // namespace loadline
