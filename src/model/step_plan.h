// The memory plan of a model's step together with the handles by which the engine reaches its
// buffers. Planner and engine cannot disagree: a handle exists only because a buffer was planned.
//
// Shape letters of this room: T tokens of a batch laid end to end, H hidden size, QW = NH x HD,
// KW = NKV x HD, QKV = QW + 2 KW, I intermediate size, V vocabulary, R LoRA rank, C rows of a chunk
// of the head, B rows of a block of it, N words of a panel, P adapter parameters.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "checkpoint/adapter.h"
#include "checkpoint/config.h"
#include "kernels/attention.h"
#include "model/memory_plan.h"

namespace loadline {

// One LoRA pair's place among the flat adapter parameters, and in its layer's inner buffer.
struct LoraSlot {
  std::int64_t layer = 0;
  Projection projection = Projection::kQ;
  std::int64_t in = 0;
  std::int64_t out = 0;
  std::vector<std::int64_t> parts;  // of out: more than one where the projection is fused
  std::int64_t a = 0;               // first element of A (R,in) in the flat parameters
  std::int64_t b = 0;               // first element of B (out,R)
  std::int64_t inner = 0;  // its (T,R) begins at element T x inner of the layer's inner buffer
  std::int64_t rank = 0;   // R
  float scale = 0;
};

// The frozen weights of a layer, in the compute type or quantized; norms and biases are f32. A bias
// or norm that the family does not have is none.
struct LayerWeights {
  BufferId input_norm;    // (H) of what attention reads
  BufferId qkv;           // (QKV,H): q, k and v below one another
  BufferId qkv_bias;      // (QKV)
  BufferId q_norm;        // (HD), or (QW) for all heads as one row
  BufferId k_norm;        // (HD), or (KW)
  BufferId o;             // (H,QW)
  BufferId o_bias;        // (H)
  BufferId o_norm;        // (H) of attention's output
  BufferId post_norm;     // (H) of what the MLP reads
  BufferId gate_up;       // (2I,H)
  BufferId gate_up_bias;  // (2I)
  BufferId down;          // (H,I)
  BufferId down_bias;     // (H)
  BufferId down_norm;     // (H) of the MLP's output
};

// What a layer's forward writes, and its backward reads. Handles may be equal: then the layer works
// in place.
struct LayerActivations {
  BufferId x;            // (T,H) input
  BufferId input_rstd;   // (T); none without that norm
  BufferId qkv;          // (T,QKV), q and k after rope; before their norm where they have one
  BufferId attention;    // (T,QW)
  BufferId log_sum_exp;  // (NH x T)
  BufferId o;            // (T,H) what o_norm reads; none without that
  BufferId o_rstd;       // (T)
  BufferId x_mid;        // (T,H) after attention
  BufferId post_rstd;    // (T); none without that norm
  BufferId gate_up;      // (T,2I)
  BufferId inner;        // (T, targets x R): scale * x A^T of each target
  BufferId down;         // (T,H) what down_norm reads; none without that
  BufferId down_rstd;    // (T)
  BufferId x_out;        // (T,H); none when the layer is recomputed for its backward
  BufferId normed;       // (T,H) scratch
  BufferId swiglu;       // (T,I) scratch
};

// Which gradients a layer's backward has to make: below the lowest LoRA input nothing is needed.
struct GradientNeeds {
  bool x = false;          // of the layer's input
  bool qkv = false;        // of q, k and v
  bool attention = false;  // of the attention's output
  bool x_mid = false;      // through the MLP's norm
  bool gate_up = false;
  bool swiglu = false;
};

struct LayerPlan {
  LayerWeights weights;
  LayerActivations forward;
  AttentionShape attention;
  std::optional<std::int64_t> rope_first;  // its first position's row among the rope tables
  bool recomputed = false;                 // activation checkpointing: the forward keeps x alone
  LayerActivations backward;  // what the backward reads; equals forward unless recomputed
  std::array<std::int64_t, kProjections> slots{-1, -1, -1, -1, -1,
                                               -1, -1, -1, -1};  // into StepPlan::slots
  GradientNeeds needs;
  [[nodiscard]] std::int64_t slot(Projection p) const {
    return slots.at(static_cast<std::size_t>(p));
  }
};

struct BackwardScratch {
  BufferId dx;           // (T,H) the residual stream's gradient
  BufferId d_attention;  // (T,QW)
  BufferId d_qkv;        // (T,QKV)
  BufferId d_normed;     // (T,H)
  BufferId d_swiglu;     // (T,I)
  BufferId d_inner;      // (T,R), of several pairs where products are made together
};

struct HeadBuffers {
  // Blocks are filled up with rows of zeros to a multiple of this: an odd number of rows would be
  // multiplied in many small products.
  static constexpr std::int64_t kRowUnit = 32;
  std::int64_t chunk = 0;  // C
  std::int64_t panel = 0;  // N words
  std::int64_t block = 0;  // B rows of a chunk are multiplied with a panel at once
  BufferId normed;         // (C,H)
  BufferId gradient;       // (C,H) f32, of normed
  BufferId logits;         // (B,N) f32
  BufferId weights;        // (B,N) compute type; equals logits when that or products are f32
  BufferId corrections;    // (B)
  BufferId targets;        // (C) i32
  BufferId rstd, coefficients, losses, maximum, sum, target_logit;  // (C)
};

struct AdapterBuffers {
  BufferId parameters, gradients;          // (P)
  BufferId first_moments, second_moments;  // (P)
  BufferId compute;  // (P) in the compute type; equals parameters when that is f32
};

struct StepPlan {
  MemoryPlan memory;
  std::int64_t first_lora_layer = 0;
  std::vector<LoraSlot> slots;  // by layer, then projection
  std::int64_t parameters = 0;  // P
  std::vector<LayerPlan> layers;
  BufferId embedding;           // (V,H)
  BufferId head;                // (V,H); equals embedding when tied
  BufferId final_norm;          // (H)
  BufferId final_x;             // (T,H) the last layer's output
  BufferId rope_cos, rope_sin;  // (tables x longest row, turned/2)
  BufferId positions;           // (T) i32: a token's row of its table
  BufferId normed_qk;           // (T,QW+KW) q and k after norm and rope; none without that norm
  BufferId normed_qk_rstd;      // (T x (NH + NKV)), or (T x 2)
  BufferId gemm_scratch;        // none where products are widened
  BufferId attention_scratch;
  BufferId nf4_panel, nf4_result;  // scratch of products with quantized weights, or none
  BufferId wide_x, wide_panels;    // scratch of bf16 products in f32, else none
  BufferId dropout;  // (T, widest LoRA input) a pair's input after dropout, and its gradient
  AdapterBuffers adapter;
  BackwardScratch backward;
  HeadBuffers head_buffers;
};

// Words that the head multiplies at once.
[[nodiscard]] std::int64_t head_panel(const ModelConfig& model);

// Throws Error(kUsage) as plan_memory does.
StepPlan plan_step(const ModelConfig& model, const LoraSettings& lora, const StepShape& shape);

// The buffers of a forward alone, for `positions` positions of a row: every layer streams, nothing
// is kept for a backward. The slots are the adapter's pairs, by layer, at their places among the
// parameters. `memory` is not placed: the caller adds what else it needs, and places it.
StepPlan plan_forward(const ModelConfig& model, std::vector<LoraSlot> slots, const StepShape& shape,
                      std::int64_t positions);
// The life of what lives as long as the plan.
Lifetime forward_lifetime(const ModelConfig& model);

}  // namespace loadline
