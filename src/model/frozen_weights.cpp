#include "model/frozen_weights.h"

#include <algorithm>
#include <array>
#include <initializer_list>
#include <string>

#include "base/error.h"
#include "kernels/elementwise.h"

namespace loadline {
namespace {

class Loader {
 public:
  Loader(const WeightFiles& files, const StepPlan& plan, const Workspace& memory)
      : files_(files), plan_(plan), memory_(memory) {}

  // Tensor `name`, a matrix or (cols == 1) a vector, into the buffer from row `first` on.
  void read(const std::string& name, BufferId id, std::int64_t first, std::int64_t rows,
            std::int64_t cols, bool is_vector) const {
    const DType dtype = plan_.memory.buffer(id).dtype;
    const std::size_t row_bytes = static_cast<std::size_t>(cols) * size_of(dtype);
    const auto into = memory_.bytes(id).subspan(static_cast<std::size_t>(first) * row_bytes,
                                                static_cast<std::size_t>(rows) * row_bytes);
    const std::array<std::int64_t, 2> shape{rows, cols};
    files_.read(name, std::span(shape).first(is_vector ? 1 : 2), dtype, into);
  }
  void matrix(const std::string& name, BufferId id) const {
    const Buffer& buffer = plan_.memory.buffer(id);
    read(name, id, 0, buffer.shape.at(0), buffer.shape.at(1), false);
  }
  void vector(const std::string& name, BufferId id) const {
    if (id.exists()) read(name, id, 0, plan_.memory.buffer(id).shape.at(0), 1, true);
  }
  // A norm's weight, which some families keep as its distance from 1.
  void norm(const std::string& name, BufferId id, bool offset) const {
    if (!id.exists()) return;
    vector(name, id);
    if (offset) shift(1.0F, memory_.matrix(id));
  }

  struct Part {
    const char* module;
    std::int64_t rows;
  };
  // Modules one below the other in one matrix, and their biases in one vector.
  void stacked(const std::string& layer, std::initializer_list<Part> parts, BufferId weight,
               BufferId bias) const {
    const std::int64_t cols = plan_.memory.buffer(weight).shape.at(1);
    std::int64_t first = 0;
    for (const Part& part : parts) {
      read(layer + part.module + ".weight", weight, first, part.rows, cols, false);
      if (bias.exists()) read(layer + part.module + ".bias", bias, first, part.rows, 1, true);
      first += part.rows;
    }
  }

 private:
  const WeightFiles& files_;
  const StepPlan& plan_;
  const Workspace& memory_;
};

}  // namespace

void load_frozen_weights(const WeightFiles& files, const ModelConfig& model, const StepPlan& plan,
                         const Workspace& memory) {
  const Loader load(files, plan, memory);
  load.matrix("model.embed_tokens.weight", plan.embedding);
  for (std::size_t i = 0; i < plan.layers.size(); ++i) {
    const LayerWeights& w = plan.layers[i].weights;
    const std::string layer = fmt::format("model.layers.{}.", i);
    const auto norm = [&](const char* name, BufferId id) {
      load.norm(layer + name + ".weight", id, model.norm_offset);
    };
    norm("input_layernorm", w.input_norm);
    if (model.fused_projections) {
      load.matrix(layer + "self_attn.qkv_proj.weight", w.qkv);
    } else {
      load.stacked(layer,
                   {{"self_attn.q_proj", model.q_width()},
                    {"self_attn.k_proj", model.kv_width()},
                    {"self_attn.v_proj", model.kv_width()}},
                   w.qkv, w.qkv_bias);
    }
    norm("self_attn.q_norm", w.q_norm);
    norm("self_attn.k_norm", w.k_norm);
    load.matrix(layer + "self_attn.o_proj.weight", w.o);
    load.vector(layer + "self_attn.o_proj.bias", w.o_bias);
    // "post_attention" is after the attention: where its output has a norm, that one.
    norm("post_attention_layernorm", model.output_norms ? w.o_norm : w.post_norm);
    if (model.output_norms) norm("pre_feedforward_layernorm", w.post_norm);
    if (model.fused_projections) {
      load.matrix(layer + "mlp.gate_up_proj.weight", w.gate_up);
    } else {
      load.stacked(
          layer,
          {{"mlp.gate_proj", model.intermediate_size}, {"mlp.up_proj", model.intermediate_size}},
          w.gate_up, w.gate_up_bias);
    }
    load.matrix(layer + "mlp.down_proj.weight", w.down);
    load.vector(layer + "mlp.down_proj.bias", w.down_bias);
    norm("post_feedforward_layernorm", w.down_norm);
  }
  load.norm("model.norm.weight", plan.final_norm, model.norm_offset);
  if (!model.tied_embeddings) load.matrix("lm_head.weight", plan.head);
}

void generate_frozen_weights(std::uint64_t seed, const StepPlan& plan, const Workspace& memory) {
  // Uniform with the standard deviation 0.02.
  constexpr float kBound = 0.02F * 1.7320508F;
  const auto matrix = [&](BufferId id) {
    fill_uniform(seed + (static_cast<std::uint64_t>(id.index()) << 40), kBound, memory.matrix(id));
  };
  const auto ones = [&](BufferId id) {
    if (id.exists()) std::ranges::fill(memory.floats(id), 1.0F);
  };
  const auto zeros = [&](BufferId id) {
    if (id.exists()) std::ranges::fill(memory.floats(id), 0.0F);
  };
  matrix(plan.embedding);
  for (const LayerPlan& layer : plan.layers) {
    const LayerWeights& w = layer.weights;
    for (const BufferId id : {w.input_norm, w.q_norm, w.k_norm, w.o_norm, w.post_norm, w.down_norm})
      ones(id);
    for (const BufferId id : {w.qkv, w.o, w.gate_up, w.down}) matrix(id);
    for (const BufferId id : {w.qkv_bias, w.o_bias, w.gate_up_bias, w.down_bias}) zeros(id);
  }
  ones(plan.final_norm);
  if (plan.head != plan.embedding) matrix(plan.head);
}

}  // namespace loadline
