#include "model/frozen_weights.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "kernels/elementwise.h"
#include "kernels/nf4.h"

namespace loadline {
namespace {

// Rows of a matrix that is to be quantized, read at once.
constexpr std::int64_t kQuantizedPiece = std::int64_t{1} << 18;

class Loader {
 public:
  // Without memory only names, shapes and types are looked at.
  Loader(const WeightFiles& files, const StepPlan& plan, const Workspace* memory)
      : files_(files), plan_(plan), memory_(memory) {}

  struct Part {
    std::string tensor;
    std::int64_t rows;
  };
  // Matrices below one another in one buffer.
  void matrices(BufferId id, std::initializer_list<Part> parts) const {
    const Buffer& buffer = plan_.memory.buffer(id);
    if (buffer.dtype == DType::kNf4) return quantized(id, parts);
    const std::int64_t cols = buffer.shape.at(1);
    std::int64_t first = 0;
    for (const Part& part : parts) {
      read(part.tensor, id, first, {part.rows, cols}, 2);
      first += part.rows;
    }
  }
  void matrix(const std::string& name, BufferId id) const {
    matrices(id, {{name, plan_.memory.buffer(id).shape.at(0)}});
  }
  void vector(const std::string& name, BufferId id) const {
    if (id.exists()) read(name, id, 0, {plan_.memory.buffer(id).shape.at(0), 1}, 1);
  }
  // A norm's weight, which some families keep as its distance from 1.
  void norm(const std::string& name, BufferId id, bool offset) const {
    if (!id.exists()) return;
    vector(name, id);
    if (offset && memory_ != nullptr) shift(1.0F, memory_->matrix(id));
  }

  struct Module {
    const char* name;
    std::int64_t rows;
  };
  // The biases of modules one below the other in one vector.
  void biases(const std::string& layer, std::initializer_list<Module> modules, BufferId id) const {
    if (!id.exists()) return;
    std::int64_t first = 0;
    for (const Module& module : modules) {
      read(layer + module.name + ".bias", id, first, {module.rows, 1}, 1);
      first += module.rows;
    }
  }

 private:
  // Tensor `name` into the buffer from row `first` on; `dimensions` 1 is a vector.
  void read(const std::string& name, BufferId id, std::int64_t first,
            const std::array<std::int64_t, 2>& shape, std::size_t dimensions) const {
    const DType dtype = plan_.memory.buffer(id).dtype;
    const auto whole = std::span(shape).first(dimensions);
    if (memory_ == nullptr) return files_.read_rows(name, whole, 0, 0, dtype, {});
    const std::size_t row_bytes = static_cast<std::size_t>(shape[1]) * size_of(dtype);
    const auto into = memory_->bytes(id).subspan(static_cast<std::size_t>(first) * row_bytes,
                                                 static_cast<std::size_t>(shape[0]) * row_bytes);
    files_.read(name, whole, dtype, into);
  }

  void quantized(BufferId id, std::initializer_list<Part> parts) const {
    const Buffer& buffer = plan_.memory.buffer(id);
    const std::int64_t cols = buffer.shape.at(1);
    std::vector<float> absmax(static_cast<std::size_t>(buffer.shape.at(0) * cols / kNf4Block));
    Nf4Quantizer quantizer(memory_->bytes(id), buffer.shape.at(0), cols, absmax);
    const std::int64_t most = std::max<std::int64_t>(1, kQuantizedPiece / cols);
    std::vector<float> piece(static_cast<std::size_t>(most * cols));
    std::int64_t first = 0;
    for (const Part& part : parts) {
      const std::array<std::int64_t, 2> shape{part.rows, cols};
      for (std::int64_t row = 0; row < part.rows; row += most) {
        const std::int64_t count = std::min(most, part.rows - row);
        const auto values = std::span(piece).first(static_cast<std::size_t>(count * cols));
        files_.read_rows(part.tensor, shape, row, count, DType::kF32,
                         std::as_writable_bytes(values));
        if (!quantizer.add(first + row, values)) {
          throw bad_input(
              "tensor '{}': has a value that is not finite in rows {} to {}; it cannot be "
              "quantized. Is the download damaged?",
              part.tensor, row, row + count - 1);
        }
      }
      first += part.rows;
    }
    quantizer.finish();
  }

  const WeightFiles& files_;
  const StepPlan& plan_;
  const Workspace* memory_;
};

void generate_quantized(std::uint64_t seed, float bound, const Buffer& buffer,
                        std::span<std::byte> into) {
  const std::int64_t rows = buffer.shape.at(0);
  const std::int64_t cols = buffer.shape.at(1);
  std::vector<float> absmax(static_cast<std::size_t>(rows * cols / kNf4Block));
  Nf4Quantizer quantizer(into, rows, cols, absmax);
  const std::int64_t most = std::max<std::int64_t>(1, kQuantizedPiece / cols);
  std::vector<float> piece(static_cast<std::size_t>(most * cols));
  for (std::int64_t row = 0; row < rows; row += most) {
    const std::int64_t count = std::min(most, rows - row);
    fill_uniform(seed + static_cast<std::uint64_t>(row * cols), bound,
                 {piece.data(), DType::kF32, count, cols, cols});
    static_cast<void>(quantizer.add(
        row, std::span<const float>(piece).first(static_cast<std::size_t>(count * cols))));
  }
  quantizer.finish();
}

void load_all(const Loader& load, const ModelConfig& model, const StepPlan& plan) {
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
      load.matrices(w.qkv, {{layer + "self_attn.q_proj.weight", model.q_width()},
                            {layer + "self_attn.k_proj.weight", model.kv_width()},
                            {layer + "self_attn.v_proj.weight", model.kv_width()}});
      load.biases(layer,
                  {{"self_attn.q_proj", model.q_width()},
                   {"self_attn.k_proj", model.kv_width()},
                   {"self_attn.v_proj", model.kv_width()}},
                  w.qkv_bias);
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
      const std::int64_t width = model.intermediate_size;
      load.matrices(w.gate_up, {{layer + "mlp.gate_proj.weight", width},
                                {layer + "mlp.up_proj.weight", width}});
      load.biases(layer, {{"mlp.gate_proj", width}, {"mlp.up_proj", width}}, w.gate_up_bias);
    }
    load.matrix(layer + "mlp.down_proj.weight", w.down);
    load.vector(layer + "mlp.down_proj.bias", w.down_bias);
    norm("post_feedforward_layernorm", w.down_norm);
  }
  load.norm("model.norm.weight", plan.final_norm, model.norm_offset);
  if (!model.tied_embeddings) load.matrix("lm_head.weight", plan.head);
}

// Of "model.layers.7.mlp.up_proj.weight": 7; -1 where it is no layer's, or only a buffer that old
// versions of transformers saved.
std::int64_t layer_of(std::string_view tensor) {
  constexpr std::string_view kLayer = "model.layers.";
  if (!tensor.starts_with(kLayer) || tensor.ends_with(".rotary_emb.inv_freq")) return -1;
  tensor.remove_prefix(kLayer.size());
  std::int64_t layer = -1;
  const auto [end, error] = std::from_chars(tensor.data(), tensor.data() + tensor.size(), layer);
  return error == std::errc{} ? layer : -1;
}

// A model of its lower layers alone would be another one, which nobody is likely to want.
void refuse_more_layers(const WeightFiles& files, const ModelConfig& model) {
  for (const auto& file : files.files()) {
    for (const auto& tensor : file.second.tensors) {
      if (layer_of(tensor.first) < model.layers) continue;
      throw bad_input(
          "{}: has the tensor '{}', but num_hidden_layers is {} (layers 0 to {}). Does config.json "
          "belong to these weights?",
          file.second.path.string(), tensor.first, model.layers, model.layers - 1);
    }
  }
}

}  // namespace

void load_frozen_weights(const WeightFiles& files, const ModelConfig& model, const StepPlan& plan,
                         const Workspace& memory) {
  refuse_more_layers(files, model);
  load_all(Loader(files, plan, &memory), model, plan);
}

void require_frozen_weights(const WeightFiles& files, const ModelConfig& model) {
  refuse_more_layers(files, model);
  const StepShape token{.tokens = 1, .rows = 1, .longest_row = 1, .widen = false};
  const StepPlan plan = plan_forward(model, {}, token, 1);
  load_all(Loader(files, plan, nullptr), model, plan);
}

void generate_frozen_weights(std::uint64_t seed, const StepPlan& plan, const Workspace& memory) {
  // Uniform with the standard deviation 0.02.
  constexpr float kBound = 0.02F * 1.7320508F;
  const auto matrix = [&](BufferId id) {
    const std::uint64_t own = seed + (static_cast<std::uint64_t>(id.index()) << 40);
    if (plan.memory.buffer(id).dtype == DType::kNf4) {
      generate_quantized(own, kBound, plan.memory.buffer(id), memory.bytes(id));
    } else {
      fill_uniform(own, kBound, memory.matrix(id));
    }
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
