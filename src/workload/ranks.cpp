#include "workload/ranks.h"

#include <fmt/format.h>

#include <algorithm>

namespace loadline {

UsefulRank useful_rank(const ModelConfig& model, const LoraSettings& lora) {
  if (lora.targets.empty()) return {};
  UsefulRank useful{.rank = 0, .module = ""};
  for (const Projection target : lora.targets) {
    const ProjectionShape shape = shape_of(model, target);
    const std::int64_t rank = std::min(shape.in, shape.out);
    if (rank <= useful.rank) continue;
    useful = {rank, fmt::format("{}, {} x {}", name_of(target), shape.in, shape.out)};
  }
  return useful;
}

std::string rank_warning(const ModelConfig& model, const LoraSettings& lora, std::int64_t rank) {
  const UsefulRank useful = useful_rank(model, lora);
  if (rank <= useful.rank) return "";
  return fmt::format("Warning: rank {} is more than any module can use: {}, gains nothing above {}",
                     rank, useful.module, useful.rank);
}

}  // namespace loadline
