#include "model/process_bytes.h"

#include <algorithm>
#include <set>
#include <tuple>

#include "kernels/gemm.h"
#include "kernels/nf4_product.h"

namespace loadline {
namespace {

// The whole program, with its shared libraries (those of the Hub's downloads among them) and a
// small file of packed rows: mostly pages of files, of which oneDNN's code grows as products are
// compiled.
constexpr Bytes kCode = 20_MiB + 512_KiB;
constexpr Bytes kThread = 128_KiB;
// Ids, targets and coefficients of a token, for the training batch and the evaluation's.
constexpr std::uint64_t kBatchToken = 2 * (4 + 4 + 4);
// The pieces in which weights are read, and the allocator's slack.
constexpr Bytes kReading = 1_MiB;
// A product's primitives for all block sizes of its tokens. oneDNN writes more code for matrices
// with many rows and columns.
struct ProductBytes {
  Bytes narrow, wide;
  std::int64_t wide_from = 0;  // rows and columns
};
constexpr ProductBytes kProductF32 = {.narrow = 544_KiB, .wide = 832_KiB, .wide_from = 512};
constexpr ProductBytes kProductBf16 = {.narrow = 704_KiB, .wide = 864_KiB, .wide_from = 96};
// What is mapped for writing and never touched. Of a thread: its stack, and glibc's heap as far as
// it may be written. Of the program: the buffers in which oneDNN writes a product's code, until it
// is finished (8 to 13 MiB, 47 seen with odd widths), the room that is asked for before each, its
// stack and its heap's slack.
constexpr Bytes kUntouchedThread = 10_MiB;
constexpr Bytes kUntouchedProgram = 80_MiB;
// The tokenizer's table of words (text/word_cache.h), and what prompt, template and answer need.
constexpr Bytes kText = 5_MiB;

// Product, outputs, inputs, accumulates: what a compiled product depends on in a step.
using Shape = std::tuple<Product, std::int64_t, std::int64_t, bool>;

void add_frozen(const ModelConfig& m, Quantization quantize, std::set<Shape>& shapes) {
  for (const FrozenProduct& p : frozen_projections(m)) {
    const auto product = [&](Product kind, std::int64_t outer, std::int64_t inner, bool adds) {
      const std::int64_t width = quantize == Quantization::kNf4 ? nf4_panel(outer, inner) : outer;
      shapes.insert({kind, width, inner, adds});
      if (outer % width != 0) shapes.insert({kind, outer % width, inner, adds});
    };
    product(Product::kNT, p.out, p.in, p.adds);
    product(Product::kNN, p.in, p.out, p.gradient_adds);
  }
}

// Panels of words, and the last one, which may be narrower. The first panel's gradient overwrites.
void add_head(const ModelConfig& m, std::set<Shape>& shapes) {
  const std::int64_t panel = head_panel(m);
  shapes.insert({Product::kNT, panel, m.hidden_size, false});
  shapes.insert({Product::kNN, m.hidden_size, panel, false});
  if (m.vocab_size >= 2 * panel) shapes.insert({Product::kNN, m.hidden_size, panel, true});
  const std::int64_t rest = m.vocab_size % panel;
  if (rest == 0) return;
  shapes.insert({Product::kNT, rest, m.hidden_size, false});
  shapes.insert({Product::kNN, m.hidden_size, rest, true});
}

void add_lora(const LoraSlot& slot, std::int64_t rank, bool drops, std::set<Shape>& shapes) {
  shapes.insert({Product::kNT, rank, slot.in, false});
  shapes.insert({Product::kNN, slot.in, rank, !drops});
  shapes.insert({Product::kTN, rank, slot.in, true});
  bool accumulates = false;
  for (const std::int64_t out : slot.parts) {
    shapes.insert({Product::kNT, out, rank, true});
    shapes.insert({Product::kNN, rank, out, accumulates});
    shapes.insert({Product::kTN, out, rank, true});
    accumulates = true;
  }
}

std::set<Shape> distinct_products(const ModelConfig& model, Quantization quantize,
                                  const StepPlan& plan) {
  std::set<Shape> shapes;
  add_frozen(model, quantize, shapes);
  add_head(model, shapes);
  for (const LoraSlot& slot : plan.slots) {
    if (slot.layer != plan.first_lora_layer) break;  // the other layers have the same ones
    add_lora(slot, (slot.b - slot.a) / slot.in, plan.dropout.exists(), shapes);
  }
  return shapes;
}

Bytes compiled_bytes(const std::set<Shape>& shapes, DType compute) {
  const ProductBytes& each = compute == DType::kF32 ? kProductF32 : kProductBf16;
  Bytes sum;
  for (const auto& [product, outer, inner, adds] : shapes) {
    sum += std::min(outer, inner) >= each.wide_from ? each.wide : each.narrow;
  }
  return sum;
}

// One absmax a block of the largest quantized matrix, while it is read.
Bytes quantizing(const ModelConfig& m, Quantization quantize) {
  if (quantize == Quantization::kNone) return {};
  const std::int64_t qkv = (m.q_width() + 2 * m.kv_width()) * m.hidden_size;
  const std::int64_t largest = std::max(qkv, 2 * m.intermediate_size * m.hidden_size);
  return {static_cast<std::uint64_t>(largest / kNf4Block) * sizeof(float)};
}

// Forward alone: a frozen model's, and two for each target and rank.
std::set<Shape> distinct_forward_products(const ModelConfig& model, Quantization quantize,
                                          const StepPlan& plan) {
  std::set<Shape> shapes;
  add_frozen(model, quantize, shapes);
  shapes.insert({Product::kNT, model.vocab_size, model.hidden_size, false});
  for (const LoraSlot& slot : plan.slots) add_lora(slot, slot.rank, false, shapes);
  std::erase_if(shapes, [](const Shape& s) { return std::get<Product>(s) != Product::kNT; });
  return shapes;
}

}  // namespace

std::vector<FrozenProduct> frozen_projections(const ModelConfig& m) {
  const bool adds = !m.output_norms;  // to the residual stream
  return {{m.q_width(), m.hidden_size, false, false},
          {m.kv_width(), m.hidden_size, false, true},
          {m.hidden_size, m.q_width(), adds, false},
          {m.intermediate_size, m.hidden_size, false, false},
          {m.intermediate_size, m.hidden_size, false, true},
          {m.hidden_size, m.intermediate_size, adds, false}};
}

void add_generation_lines(const ModelConfig& model, const StepShape& shape, StepPlan& plan) {
  MemoryPlan& memory = plan.memory;
  memory.add_process("code, libraries and thread stacks",
                     kCode + Bytes{kThread.count * static_cast<std::uint64_t>(shape.threads)});
  memory.add_process(
      "compiled products",
      compiled_bytes(distinct_forward_products(model, shape.quantize, plan), DType::kBf16));
  memory.add_process("reading weights", kReading + quantizing(model, shape.quantize));
  memory.add_process("words and text", kText);
  memory.add_process("adapter as it was read",
                     Bytes{sizeof(float) * static_cast<std::uint64_t>(plan.parameters)});
}

void add_process_lines(const ModelConfig& model, const StepShape& shape, StepPlan& plan) {
  MemoryPlan& memory = plan.memory;
  const auto threads = static_cast<std::uint64_t>(shape.threads);
  const auto products = distinct_products(model, shape.quantize, plan);
  memory.add_process("code, libraries and thread stacks", kCode + Bytes{kThread.count * threads},
                     kUntouchedProgram + Bytes{kUntouchedThread.count * threads});
  memory.add_process("compiled products", compiled_bytes(products, shape.compute));
  memory.add_process("reading weights and rows", kReading + quantizing(model, shape.quantize));
  memory.add_process("batches", Bytes{kBatchToken * static_cast<std::uint64_t>(shape.tokens)});
  memory.add_process("adapter copy while saving",
                     Bytes{sizeof(float) * static_cast<std::uint64_t>(plan.parameters)});
}

}  // namespace loadline
