#include "model/memory_plan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/error.h"
#include "model/step_plan.h"
#include "model/workspace.h"

namespace loadline {
namespace {

ModelConfig small_model() {
  ModelConfig model;
  model.model_type = "llama";
  model.vocab_size = 1000;
  model.hidden_size = 64;
  model.intermediate_size = 160;
  model.layers = 5;
  model.heads = 4;
  model.kv_heads = 2;
  model.head_dim = 16;
  model.max_positions = 512;
  return model;
}

// Every buffer that only some families have.
ModelConfig rich_model() {
  ModelConfig model = small_model();
  model.qk_norm = QkNorm::kHeads;
  model.output_norms = true;
  model.rope_local_theta = 10;
  model.sliding_window = 9;
  model.windowed = {true, true, false, true, false};
  return model;
}

// Norms after attention and MLP alone, and of q and k as a whole.
ModelConfig norms_after_model() {
  ModelConfig model = small_model();
  model.qk_norm = QkNorm::kWhole;
  model.output_norms = true;
  model.input_norms = false;
  return model;
}

LoraSettings lora(std::int64_t layers, const char* targets) {
  return {.rank = 8, .alpha = 16, .layers = layers, .targets = parse_targets(targets, {})};
}

StepShape step(ActivationCheckpointing checkpointing, DType compute = DType::kF32) {
  return {.tokens = 300,
          .rows = 3,
          .longest_row = 128,
          .compute = compute,
          .checkpointing = checkpointing,
          .threads = 2};
}

void expect_apart(const MemoryPlan& plan) {
  const auto& all = plan.buffers();
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (!all[i].in_arena()) continue;
    EXPECT_LE(all[i].offset + all[i].bytes.count, plan.arena().count) << all[i].name;
    EXPECT_EQ(all[i].offset % 64, 0U) << all[i].name;
    for (std::size_t j = i + 1; j < all.size(); ++j) {
      if (!all[j].in_arena() || !meet(all[i].life, all[j].life)) continue;
      EXPECT_TRUE(all[i].offset + all[i].bytes.count <= all[j].offset ||
                  all[j].offset + all[j].bytes.count <= all[i].offset)
          << all[i].name << " and " << all[j].name;
    }
  }
}

// No placement can be smaller than what lives at its fullest moment.
Bytes fullest_moment(const MemoryPlan& plan) {
  Bytes fullest;
  for (const Buffer& at : plan.buffers()) {
    for (const Half half : {Half::kAttention, Half::kMlp}) {
      Bytes living;
      for (const Buffer& b : plan.buffers()) {
        if (b.in_arena() && meet(b.life, {at.life.first, at.life.first, half})) living += b.bytes;
      }
      fullest = std::max(fullest, living);
    }
  }
  return fullest;
}

TEST(MemoryPlan, BuffersThatLiveTogetherNeverOverlap) {
  for (const auto checkpointing : {ActivationCheckpointing::kOff, ActivationCheckpointing::kOn}) {
    for (const DType compute : {DType::kF32, DType::kBf16}) {
      for (const std::int64_t layers : {1, 3, 5}) {
        for (const char* targets : {"all", "q_proj,v_proj", "o_proj", "down_proj"}) {
          for (const ModelConfig& model : {small_model(), rich_model(), norms_after_model()}) {
            expect_apart(plan_memory(model, lora(layers, targets), step(checkpointing, compute)));
          }
        }
      }
    }
  }
}

const Buffer* buffer_named(const MemoryPlan& plan, const std::string& name) {
  const auto found = std::find_if(plan.buffers().begin(), plan.buffers().end(),
                                  [&](const Buffer& buffer) { return buffer.name == name; });
  return found == plan.buffers().end() ? nullptr : &*found;
}

TEST(MemoryPlan, WithoutNormsOfWhatAttentionAndMlpReadNothingIsPlannedForThem) {
  const auto has = [](const ModelConfig& model, ActivationCheckpointing checkpointing,
                      const char* name) {
    return buffer_named(plan_memory(model, lora(5, "all"), step(checkpointing)), name) != nullptr;
  };
  for (const char* name : {"layer 0 weights input norm", "layer 0 weights post-attention norm",
                           "layer 0 input rstd", "layer 0 post-attention rstd", "normed again"}) {
    EXPECT_TRUE(has(small_model(), ActivationCheckpointing::kOff, name)) << name;
    EXPECT_FALSE(has(norms_after_model(), ActivationCheckpointing::kOff, name)) << name;
  }
  EXPECT_TRUE(has(norms_after_model(), ActivationCheckpointing::kOn, "normed again"))
      << "the forward that is run again norms what attention and MLP add";
}

TEST(MemoryPlan, ANormOfAllHeadsHasTheirWidthAndTwoNumbersAToken) {
  const MemoryPlan heads = plan_memory(rich_model(), lora(2, "all"), step({}));
  const MemoryPlan whole = plan_memory(norms_after_model(), lora(2, "all"), step({}));
  using Shape = std::vector<std::int64_t>;
  EXPECT_EQ(buffer_named(heads, "layer 1 weights q norm")->shape, (Shape{16}));
  EXPECT_EQ(buffer_named(heads, "layer 1 weights k norm")->shape, (Shape{16}));
  EXPECT_EQ(buffer_named(heads, "normed q,k rstd")->shape, (Shape{6, 300}));
  EXPECT_EQ(buffer_named(whole, "layer 1 weights q norm")->shape, (Shape{64}));
  EXPECT_EQ(buffer_named(whole, "layer 1 weights k norm")->shape, (Shape{32}));
  EXPECT_EQ(buffer_named(whole, "normed q,k rstd")->shape, (Shape{2, 300}));
}

TEST(MemoryPlan, IsWithinAFewPercentOfTheSmallestPossible) {
  for (const auto checkpointing : {ActivationCheckpointing::kOff, ActivationCheckpointing::kOn}) {
    const MemoryPlan plan = plan_memory(small_model(), lora(3, "all"), step(checkpointing));
    EXPECT_LE(plan.arena().count, fullest_moment(plan).scaled(1.05).count + 4096);
  }
}

TEST(MemoryPlan, NamesAreUnique) {
  for (const auto checkpointing : {ActivationCheckpointing::kOff, ActivationCheckpointing::kOn}) {
    std::set<std::string> names;
    const MemoryPlan plan =
        plan_memory(rich_model(), lora(3, "all"), step(checkpointing, DType::kBf16));
    for (const Buffer& buffer : plan.buffers()) {
      EXPECT_TRUE(names.insert(buffer.name).second) << buffer.name;
    }
  }
}

TEST(MemoryPlan, TheArenaIsWhatIsMapped) {
  const StepPlan plan = plan_step(small_model(), lora(2, "all"), step({}));
  const Workspace memory(plan.memory, "");
  const auto first = memory.bytes(BufferId(0));
  for (std::size_t i = 0; i < plan.memory.buffers().size(); ++i) {
    const Buffer& buffer = plan.memory.buffers()[i];
    if (!buffer.in_arena()) continue;
    const auto bytes = memory.bytes(BufferId(i));
    EXPECT_EQ(bytes.size(), buffer.bytes.count);
    EXPECT_EQ(static_cast<std::uint64_t>(bytes.data() - first.data()), buffer.offset);
  }
}

TEST(MemoryPlan, TotalIsArenaAndProcessLines) {
  const MemoryPlan plan = plan_memory(small_model(), lora(2, "all"), step({}));
  Bytes process;
  for (const Buffer& buffer : plan.buffers()) {
    if (!buffer.in_arena()) process += buffer.bytes;
  }
  EXPECT_EQ(plan.process(), process);
  EXPECT_EQ(plan.total().bytes, plan.arena() + process);
}

TEST(MemoryPlan, CheckpointingNeedsLessAndMoreTokensNeedMore) {
  const auto total = [](std::int64_t tokens, ActivationCheckpointing checkpointing) {
    StepShape shape = step(checkpointing);
    shape.tokens = tokens;
    return plan_memory(small_model(), lora(5, "all"), shape).total();
  };
  EXPECT_LT(total(2000, ActivationCheckpointing::kOn), total(2000, ActivationCheckpointing::kOff));
  EXPECT_LT(total(2000, ActivationCheckpointing::kOff), total(3000, ActivationCheckpointing::kOff));
}

TEST(MemoryPlan, LayersBelowLoraKeepNothing) {
  const auto kept = [](std::int64_t layers) {
    return plan_memory(small_model(), lora(layers, "all"), step({})).arena();
  };
  EXPECT_LT(kept(1), kept(2));
  const StepPlan plan = plan_step(small_model(), lora(2, "all"), step({}));
  EXPECT_EQ(plan.layers[0].forward.qkv, plan.layers[1].forward.qkv);
  EXPECT_NE(plan.layers[3].forward.qkv, plan.layers[4].forward.qkv);
}

TEST(MemoryPlan, ABufferPastAllBoundsIsAnErrorWithItsName) {
  MemoryPlan plan;
  try {
    plan.add("logits", "head", {1LL << 40, 1LL << 40}, DType::kF32, {});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUsage);
    EXPECT_NE(std::string(error.what()).find("'logits'"), std::string::npos);
  }
}

TEST(MemoryPlan, ImpossibleSettingsAreNamed) {
  const auto message = [](const LoraSettings& settings, const StepShape& shape) -> std::string {
    try {
      plan_memory(small_model(), settings, shape);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_NE(message(lora(6, "all"), step({})).find("6 but must be in 1..5"), std::string::npos);
  LoraSettings none = lora(1, "all");
  none.rank = 0;
  EXPECT_NE(message(none, step({})).find("LoRA rank is 0"), std::string::npos);
  StepShape long_row = step({});
  long_row.longest_row = 301;
  EXPECT_NE(message(lora(1, "all"), long_row).find("301"), std::string::npos);
}

TEST(Workspace, RefusesMoreThanWasPlannedAndAnotherType) {
  const StepPlan plan = plan_step(small_model(), lora(2, "all"), step({}));
  const Workspace memory(plan.memory, "");
  EXPECT_THROW(static_cast<void>(memory.matrix(plan.final_x, 301)), std::logic_error);
  EXPECT_THROW(static_cast<void>(memory.ints(plan.final_x, 1)), std::logic_error);
  EXPECT_THROW(static_cast<void>(memory.bytes(BufferId{})), std::out_of_range);
}

TEST(Arena, ARefusalNamesTheBytesAskedAndTheCallersWayOut) {
#if defined(__SANITIZE_ADDRESS__)
  GTEST_SKIP() << "AddressSanitizer ends the process on such a request";
#endif
  try {
    const Arena arena(Bytes{1ULL << 60}, "A shorter answer needs less");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kDoesNotFit);
    EXPECT_NE(std::string(error.what()).find("1152921504606846976"), std::string::npos);
    EXPECT_NE(std::string(error.what()).find("A shorter answer needs less"), std::string::npos);
  }
}

}  // namespace
}  // namespace loadline
