#include "model/process_bytes.h"

#include <algorithm>
#include <set>
#include <tuple>

#include "kernels/gemm.h"
#include "kernels/nf4_product.h"
#include "kernels/tile_product.h"

namespace loadline {
namespace {

// What training holds of the program and its shared libraries, having let go of what its start
// touched (base/program_pages.h), and of a small file of packed rows: mostly pages of files.
constexpr Bytes kCode = 12_MiB + 512_KiB;
// What generating does, which lets go of nothing: the libraries of the Hub's downloads among them.
constexpr Bytes kWholeCode = 20_MiB + 512_KiB;
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
// Where no product is compiled, whose line is a little too high, the others would be short by less
// than this (docs/memory.md).
constexpr Bytes kByChance = 2_MiB;
// Without AVX-512 oneDNN has its general product alone, which allocates as it runs, beside its
// scratch: up to 21 MiB seen where batches have more tokens than these, of which 3 are in the slack
// of the other lines; little where they do not.
constexpr std::int64_t kGeneralFrom = 1024;
constexpr Bytes kGeneral = 18_MiB;
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

// The distinct products of a step, or of a forward.
class Products {
 public:
  Products(const ModelConfig& model, const StepShape& shape) : model_(model), shape_(shape) {}

  void add_frozen() {
    for (const FrozenProduct& p : frozen_projections(model_)) {
      add_panels(Product::kNT, p.out, p.in, p.adds, quantized());
      add_panels(Product::kNN, p.in, p.out, p.gradient_adds, quantized());
    }
  }

  // Panels of words, and the last one, which may be narrower. The first panel's gradient
  // overwrites.
  void add_head() {
    const std::int64_t panel = head_panel(model_);
    add_panels(Product::kNT, panel, model_.hidden_size, false, false);
    add_panels(Product::kNN, model_.hidden_size, panel, false, false);
    if (model_.vocab_size >= 2 * panel) {
      add_panels(Product::kNN, model_.hidden_size, panel, true, false);
    }
    const std::int64_t rest = model_.vocab_size % panel;
    if (rest == 0) return;
    add_panels(Product::kNT, rest, model_.hidden_size, false, false);
    add_panels(Product::kNN, model_.hidden_size, rest, true, false);
  }

  void add_words() { add(Product::kNT, model_.vocab_size, model_.hidden_size, false); }

  void add_lora(const LoraSlot& slot, bool drops) {
    const std::int64_t rank = slot.rank;
    add(Product::kNT, rank, slot.in, false);
    add(Product::kNN, slot.in, rank, !drops);
    add(Product::kTN, rank, slot.in, true);
    bool accumulates = false;
    for (const std::int64_t out : slot.parts) {
      add(Product::kNT, out, rank, true);
      add(Product::kNN, rank, out, accumulates);
      add(Product::kTN, out, rank, true);
      accumulates = true;
    }
  }

  void keep_forward() {
    std::erase_if(shapes_, [](const Shape& s) { return std::get<Product>(s) != Product::kNT; });
  }

  // Those that are made in tiles need none of oneDNN's code.
  void leave_out_tiles() {
    std::erase_if(shapes_, [&](const Shape& s) {
      const auto& [product, outer, inner, adds] = s;
      return multiplies_in_tiles(product, shape_.compute, outer, inner);
    });
  }

  // What oneDNN writes for them.
  [[nodiscard]] Bytes compiled() const {
    const ProductBytes& each = shape_.compute == DType::kF32 ? kProductF32 : kProductBf16;
    Bytes sum;
    for (const auto& [product, outer, inner, adds] : shapes_) {
      sum += std::min(outer, inner) >= each.wide_from ? each.wide : each.narrow;
    }
    return sum;
  }

 private:
  [[nodiscard]] bool quantized() const { return shape_.quantize == Quantization::kNf4; }

  void add(Product product, std::int64_t outer, std::int64_t inner, bool adds) {
    shapes_.insert({product, outer, inner, adds});
  }
  // Of a frozen matrix: panels of one width, and what is left.
  void add_panels(Product kind, std::int64_t outer, std::int64_t inner, bool adds, bool nf4) {
    const std::int64_t width = nf4 ? nf4_panel(outer, inner) : outer;
    for (const std::int64_t count : {width, outer % width}) {
      if (count > 0) add(kind, count, inner, adds);
    }
  }

  const ModelConfig& model_;
  const StepShape& shape_;
  std::set<Shape> shapes_;
};

Bytes step_products(const ModelConfig& model, const StepShape& shape, const StepPlan& plan) {
  Products products(model, shape);
  products.add_frozen();
  products.add_head();
  for (const LoraSlot& slot : plan.slots) {
    if (slot.layer != plan.first_lora_layer) break;  // the other layers have the same ones
    products.add_lora(slot, plan.dropout.exists());
  }
  if (shape.tiles) products.leave_out_tiles();
  const bool general = !bf16_is_supported() && shape.tokens > kGeneralFrom;
  return products.compiled() + (general ? kGeneral : Bytes{});
}

// One absmax a block of the largest quantized matrix, while it is read.
Bytes quantizing(const ModelConfig& m, Quantization quantize) {
  if (quantize == Quantization::kNone) return {};
  const std::int64_t qkv = (m.q_width() + 2 * m.kv_width()) * m.hidden_size;
  const std::int64_t largest = std::max(qkv, 2 * m.intermediate_size * m.hidden_size);
  return {static_cast<std::uint64_t>(largest / kNf4Block) * sizeof(float)};
}

// Forward alone: a frozen model's, and two for each target and rank. Counted as bf16's, which are
// larger.
Bytes forward_products(const ModelConfig& model, const StepShape& shape, const StepPlan& plan) {
  StepShape counted = shape;
  counted.compute = DType::kBf16;
  Products products(model, counted);
  products.add_frozen();
  products.add_words();
  for (const LoraSlot& slot : plan.slots) products.add_lora(slot, false);
  products.keep_forward();
  return products.compiled();
}

}  // namespace

std::vector<FrozenProduct> frozen_projections(const ModelConfig& m) {
  const bool adds = !m.output_norms;       // to the residual stream
  const bool first_adds = !m.input_norms;  // to its gradient
  return {{m.q_width(), m.hidden_size, false, first_adds},
          {m.kv_width(), m.hidden_size, false, true},
          {m.hidden_size, m.q_width(), adds, false},
          {m.intermediate_size, m.hidden_size, false, first_adds},
          {m.intermediate_size, m.hidden_size, false, true},
          {m.hidden_size, m.intermediate_size, adds, false}};
}

void add_generation_lines(const ModelConfig& model, const StepShape& shape, StepPlan& plan) {
  MemoryPlan& memory = plan.memory;
  memory.add_process("code, libraries and thread stacks",
                     kWholeCode + Bytes{kThread.count * static_cast<std::uint64_t>(shape.threads)});
  memory.add_process("compiled products", forward_products(model, shape, plan));
  memory.add_process("reading weights", kReading + quantizing(model, shape.quantize));
  memory.add_process("words and text", kText);
  memory.add_process("adapter as it was read",
                     Bytes{sizeof(float) * static_cast<std::uint64_t>(plan.parameters)});
}

void add_process_lines(const ModelConfig& model, const StepShape& shape, StepPlan& plan) {
  MemoryPlan& memory = plan.memory;
  const auto threads = static_cast<std::uint64_t>(shape.threads);
  memory.add_process("code, libraries and thread stacks", kCode + Bytes{kThread.count * threads},
                     kUntouchedProgram + Bytes{kUntouchedThread.count * threads});
  if (shape.widens()) {
    memory.add_process("pages by chance", kByChance);
  } else {
    memory.add_process("compiled products", step_products(model, shape, plan));
  }
  memory.add_process("reading weights and rows", kReading + quantizing(model, shape.quantize));
  memory.add_process("batches", Bytes{kBatchToken * static_cast<std::uint64_t>(shape.tokens)});
  if (shape.row_order.count > 0) memory.add_process("order of rows", shape.row_order);
  memory.add_process("adapter copy while saving",
                     Bytes{sizeof(float) * static_cast<std::uint64_t>(plan.parameters)});
}

}  // namespace loadline
