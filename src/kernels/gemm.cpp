#include "kernels/gemm.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <compare>
#include <map>
#include <new>
#include <oneapi/dnnl/dnnl.hpp>
#include <set>
#include <stdexcept>
#include <string_view>
#include <utility>

#include "base/address_space.h"
#include "kernels/elementwise.h"
#include "kernels/kernel_times.h"
#include "kernels/threads.h"
#include "kernels/tile_product.h"

namespace loadline {
namespace {

// Token counts are cut into blocks of 2^0 ... 2^9 tokens.
constexpr std::size_t kSizes = 10;
constexpr std::int64_t kLargest = std::int64_t{1} << (kSizes - 1);
// Each block reads and repacks the other operand again, which takes as long as some 10 tokens (5 to
// 15, measured over widths from 16 to 5632).
constexpr std::int64_t kBlockCost = 10;

struct Block {
  std::int64_t begin = 0;
  std::int64_t count = 0;  // a power of two
};

// The block that continues after `done` of `total` tokens. Where tokens may be computed twice, one
// block that reaches back replaces several small ones if that is cheaper.
Block next_block(std::int64_t done, std::int64_t total, bool may_overlap) {
  const auto rest = static_cast<std::uint64_t>(total - done);
  const auto above = static_cast<std::int64_t>(std::bit_ceil(rest));
  const std::int64_t exact = total - done + kBlockCost * std::popcount(rest);
  if (may_overlap && above <= std::min(total, kLargest) && above + kBlockCost < exact) {
    return {total - above, above};
  }
  return {done, std::min(kLargest, static_cast<std::int64_t>(std::bit_floor(rest)))};
}

// Everything but the token count that a compiled primitive depends on.
struct Key {
  Product product = Product::kNT;
  DType in = DType::kF32;
  DType out = DType::kF32;
  bool accumulate = false;
  int threads = 0;
  std::int64_t m = 0;  // rows of C where they are not tokens
  std::int64_t n = 0;
  std::int64_t k = 0;  // the summed width where it is not tokens
  std::int64_t a_stride = 0;
  std::int64_t b_stride = 0;
  std::int64_t c_stride = 0;

  friend auto operator<=>(const Key&, const Key&) = default;  // NOLINT(modernize-use-nullptr)
};

// The memory objects carry shapes only; their pointers are set before each execution.
struct Compiled {
  dnnl::matmul primitive;
  dnnl::memory a, b, c, scratch;
  bool shares_code = false;
  std::int64_t runs = 0;
};

using Family = std::array<Compiled, kSizes>;  // at i the block of 2^i tokens

dnnl::memory::data_type dnnl_type(DType dtype) {
  return dtype == DType::kBf16 ? dnnl::memory::data_type::bf16 : dnnl::memory::data_type::f32;
}

// oneDNN's operands, always A (rows, inner) x B (inner, cols): a transposed one is a swap of
// strides.
struct Operands {
  dnnl::memory::desc a, b, c;
};

Operands describe(const Key& key, std::int64_t tokens) {
  using Dims = dnnl::memory::dims;
  const auto in = dnnl_type(key.in);
  const auto out = dnnl_type(key.out);
  if (key.product == Product::kTN) {
    return {.a = {Dims{key.m, tokens}, in, Dims{1, key.a_stride}},
            .b = {Dims{tokens, key.n}, in, Dims{key.b_stride, 1}},
            .c = {Dims{key.m, key.n}, out, Dims{key.c_stride, 1}}};
  }
  const bool transposed = key.product == Product::kNT;
  return {.a = {Dims{tokens, key.k}, in, Dims{key.a_stride, 1}},
          .b = {Dims{key.k, key.n}, in, transposed ? Dims{1, key.b_stride} : Dims{key.b_stride, 1}},
          .c = {Dims{tokens, key.n}, out, Dims{key.c_stride, 1}}};
}

// oneDNN's generator writes through a null pointer where its memory is refused. A primitive takes
// up to 5 MiB (seen), of which it touches a few pages; code that all products share 17 MiB.
constexpr Bytes kCompiling = 16_MiB;
constexpr Bytes kShared = 24_MiB;

Compiled compile(const dnnl::engine& engine, const Key& key, std::int64_t tokens,
                 std::size_t scratch_size) {
  require_room(kCompiling, "compiling a product");
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  if (key.accumulate) {
    dnnl::post_ops sum;
    sum.append_sum(1.0F);
    attributes.set_post_ops(sum);
  }
  const Operands operands = describe(key, tokens);
  const dnnl::matmul::primitive_desc description(
      dnnl::matmul::desc(operands.a, operands.b, operands.c), attributes, engine);
  const auto scratch = description.scratchpad_desc();
  if (scratch.get_size() > scratch_size) {
    throw std::logic_error(
        fmt::format("a product of {} tokens, m {}, n {}, k {} needs {} bytes of scratch, but "
                    "use_scratch gave {}",
                    tokens, key.m, key.n, key.k, scratch.get_size(), scratch_size));
  }
  const auto shape = [&](const dnnl::memory::desc& d) {
    return dnnl::memory(d, engine, DNNL_MEMORY_NONE);
  };
  return {.primitive = dnnl::matmul(description),
          .a = shape(operands.a),
          .b = shape(operands.b),
          .c = shape(operands.c),
          .scratch = shape(scratch),
          .shares_code = std::string_view(description.impl_info_str()).starts_with("gemm:jit"),
          .runs = 0};
}

void require_product(Product product, ConstView a, ConstView b, View c) {
  const bool fits =
      product == Product::kNT   ? a.cols == b.cols && c.rows == a.rows && c.cols == b.rows
      : product == Product::kNN ? a.cols == b.rows && c.rows == a.rows && c.cols == b.cols
                                : a.rows == b.rows && c.rows == a.cols && c.cols == b.cols;
  const auto text = [](ConstView v) {
    return fmt::format("({}, {}) stride {} {}", v.rows, v.cols, v.stride, name_of(v.dtype));
  };
  const bool strides = a.stride >= a.cols && b.stride >= b.cols && c.stride >= c.cols;
  const bool types = (a.dtype == DType::kF32 || a.dtype == DType::kBf16) && a.dtype == b.dtype &&
                     (c.dtype == DType::kF32 || c.dtype == a.dtype);
  if (fits && strides && types) return;
  constexpr std::array<const char*, 3> kNames = {"NT", "NN", "TN"};
  throw std::logic_error(fmt::format("gemm {}: A {}, B {}, C {} do not belong together",
                                     kNames.at(static_cast<std::size_t>(product)), text(a), text(b),
                                     text(c)));
}

}  // namespace

struct Gemm::State {
  std::int64_t fewest_in_tiles = 1;  // tokens
  dnnl::engine engine{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream{engine};
  std::map<Key, Family> families;
  std::span<std::byte> scratch;
  std::size_t compiled = 0;
  // Products in tiles since forget_runs(); of their keys m is the tokens.
  bool counts = false;
  std::map<Key, Ran> in_tiles;

  std::set<DType> woken;  // types whose shared code exists

  [[nodiscard]] bool is_for_tiles(Product product, ConstView a, std::int64_t columns) const;
  void count_in_tiles(Product product, ConstView a, View c, bool accumulate);
  Family& family(const Key& key);
  void execute(Compiled& compiled_block, const void* a, const void* b, void* c);
  void run_once(DType in, std::int64_t tokens, std::int64_t n, std::int64_t padding);
  void wake_tiles();
  void wake_shared_code(DType in);
};

Family& Gemm::State::family(const Key& key) {
  const auto found = families.find(key);
  if (found != families.end()) return found->second;
  Family made;
  const GeneratedCode code;
  try {
    for (std::size_t i = 0; i < kSizes; ++i) {
      made[i] = compile(engine, key, std::int64_t{1} << i, scratch.size());
    }
  } catch (const dnnl::error& error) {
    // Its lack of memory is ours.
    if (error.status == dnnl_out_of_memory) throw std::bad_alloc();
    throw;
  }
  code.seal();
  const bool shares = std::ranges::any_of(made, &Compiled::shares_code);
  if (shares && woken.insert(key.in).second) wake_shared_code(key.in);
  compiled += kSizes;
  return families.emplace(key, std::move(made)).first->second;
}

// Pairs of an odd stride would not be whole.
bool Gemm::State::is_for_tiles(Product product, ConstView a, std::int64_t columns) const {
  return a.rows >= fewest_in_tiles && a.stride % 2 == 0 &&
         multiplies_in_tiles(product, a.dtype, columns, a.cols);
}

void Gemm::State::count_in_tiles(Product product, ConstView a, View c, bool accumulate) {
  if (!counts) return;
  const Key key{.product = product,
                .in = a.dtype,
                .out = c.dtype,
                .accumulate = accumulate,
                .m = a.rows,
                .n = c.cols,
                .k = a.cols};
  Ran& ran = in_tiles[key];
  ran = {.product = product,
         .in = a.dtype,
         .out = c.dtype,
         .accumulate = accumulate,
         .tokens = a.rows,
         .width = c.cols,
         .inner = a.cols,
         .times = ran.times + 1};
}

// Through the C interface, as the C++ one builds a vector on each call.
void Gemm::State::execute(Compiled& block, const void* a, const void* b, void* c) {
  block.a.set_data_handle(const_cast<void*>(a));
  block.b.set_data_handle(const_cast<void*>(b));
  block.c.set_data_handle(c);
  block.scratch.set_data_handle(scratch.data());
  ++block.runs;
  const std::array<dnnl_exec_arg_t, 4> arguments = {{{DNNL_ARG_SRC, block.a.get()},
                                                     {DNNL_ARG_WEIGHTS, block.b.get()},
                                                     {DNNL_ARG_DST, block.c.get()},
                                                     {DNNL_ARG_SCRATCHPAD, block.scratch.get()}}};
  const auto status = dnnl_primitive_execute(block.primitive.get(), stream.get(),
                                             static_cast<int>(arguments.size()), arguments.data());
  if (status == dnnl_out_of_memory) throw std::bad_alloc();
  if (status != dnnl_success) {
    throw std::logic_error(
        fmt::format("oneDNN refused a product: status {}", static_cast<int>(status)));
  }
}

// A small product, so that oneDNN makes what it makes on a first run. Padded rows and columns keep
// it off the kernels for whole matrices.
void Gemm::State::run_once(DType in, std::int64_t tokens, std::int64_t n, std::int64_t padding) {
  constexpr std::int64_t kInner = 64;
  constexpr std::int64_t kMost = 64 * (kInner + 1);
  alignas(64) std::array<float, kMost> ab{};
  alignas(64) std::array<float, kMost> c{};
  const Key key{.product = Product::kNT,
                .in = in,
                .out = DType::kF32,
                .threads = threads(),
                .n = n,
                .k = kInner,
                .a_stride = kInner + padding,
                .b_stride = kInner + padding,
                .c_stride = n + padding};
  Compiled product = compile(engine, key, tokens, scratch.size());
  execute(product, ab.data(), ab.data(), c.data());
}

// With AMX, oneDNN makes code that all products share when one that uses tiles first runs: not in
// the middle of a step.
void Gemm::State::wake_tiles() {
  const GeneratedCode code;
  run_once(DType::kBf16, 64, 64, 0);
  code.seal();
}

// Where oneDNN has no kernel for a shape (without AVX-512: for any), its general product makes
// shared code when it first meets a vector, a few columns, or a matrix.
void Gemm::State::wake_shared_code(DType in) {
  require_room(kShared, "compiling the general product");
  const GeneratedCode code;
  for (const auto& [tokens, n] : {std::pair<int, int>{1, 1}, {8, 64}, {64, 64}}) {
    run_once(in, tokens, n, 1);
  }
  code.seal();
}

Gemm::Gemm(std::int64_t fewest_in_tiles) : state_(std::make_unique<State>()) {
  state_->fewest_in_tiles = fewest_in_tiles;
}
Gemm::~Gemm() = default;

Bytes Gemm::scratch_bound(int threads) {
  // As tiles want it. The most that oneDNN was seen to ask for, over the shapes of all models up to
  // 70 billion parameters, is 0.67 MiB a thread.
  return Bytes{kTilePanel.count * (static_cast<std::uint64_t>(std::max(threads, 1)) + 1)};
}

void Gemm::use_scratch(std::span<std::byte> scratch) {
  const Bytes bound = scratch_bound(threads());
  if (scratch.size() < bound.count) {
    throw std::logic_error(
        fmt::format("gemm scratch has {} bytes, {} are needed", scratch.size(), bound.count));
  }
  state_->scratch = scratch;
  if (bf16_is_supported()) state_->wake_tiles();
}

void Gemm::run(Product product, ConstView a, ConstView b, View c, bool accumulate) {
  const KernelTimer timer(Kernel::kGemm);
  require_product(product, a, b, c);
  const bool over_tokens = product == Product::kTN;
  if (c.rows == 0 || c.cols == 0) return;
  if ((over_tokens ? a.rows : a.cols) == 0) {  // an empty sum
    if (!accumulate) set_zero(c);
    return;
  }
  if (b.stride % 2 == 0 && state_->is_for_tiles(product, a, c.cols)) {
    tile_product(product, a, b, c, accumulate, state_->scratch);
    return state_->count_in_tiles(product, a, c, accumulate);
  }
  Key key{.product = product,
          .in = a.dtype,
          .out = c.dtype,
          .accumulate = accumulate,
          .threads = threads(),
          .m = over_tokens ? c.rows : 0,
          .n = c.cols,
          .k = over_tokens ? 0 : a.cols,
          .a_stride = a.stride,
          .b_stride = b.stride,
          .c_stride = c.stride};
  Family* family = &state_->family(key);
  key.accumulate = true;
  Family* rest = over_tokens ? &state_->family(key) : family;
  const bool may_overlap = !accumulate && !over_tokens;
  for (std::int64_t done = 0; done < a.rows;) {
    const auto [begin, count] = next_block(done, a.rows, may_overlap);
    const ConstView b_block = over_tokens ? b.slice(begin, count) : b;
    const View c_block = over_tokens ? c : c.slice(begin, count);
    auto& block =
        family->at(static_cast<std::size_t>(std::countr_zero(static_cast<std::uint64_t>(count))));
    state_->execute(block, a.slice(begin, count).data, b_block.data, c_block.data);
    family = rest;
    done = begin + count;
  }
}

bool Gemm::run_in_tiles(Product product, ConstView a, const Nf4View& b, View c, bool accumulate) {
  if (!state_->is_for_tiles(product, a, c.cols)) return false;
  const KernelTimer timer(Kernel::kGemm);
  tile_product(product, a, b, c, accumulate, state_->scratch);
  state_->count_in_tiles(product, a, c, accumulate);
  return true;
}

std::vector<Gemm::Ran> Gemm::ran() const {
  std::vector<Ran> all;
  for (const auto& [key, family] : state_->families) {
    for (std::size_t i = 0; i < kSizes; ++i) {
      if (family[i].runs == 0) continue;
      all.push_back({.product = key.product,
                     .in = key.in,
                     .out = key.out,
                     .accumulate = key.accumulate,
                     .tokens = std::int64_t{1} << i,
                     .width = key.product == Product::kTN ? key.m : key.n,
                     .inner = key.product == Product::kTN ? key.n : key.k,
                     .times = family[i].runs});
    }
  }
  for (const auto& [key, ran] : state_->in_tiles) all.push_back(ran);
  return all;
}

void Gemm::forget_runs() {
  state_->counts = true;
  state_->in_tiles.clear();
  for (auto& [key, family] : state_->families) {
    for (Compiled& block : family) block.runs = 0;
  }
}

std::size_t Gemm::compiled() const { return state_->compiled; }

namespace {

// The values of dnnl::cpu_isa are sets of instruction set bits.
bool has_isa(dnnl::cpu_isa wanted) {
  const auto bits = static_cast<unsigned>(wanted);
  return (static_cast<unsigned>(dnnl::get_effective_cpu_isa()) & bits) == bits;
}

}  // namespace

std::string onednn_version() {
  const dnnl::version_t& version = *dnnl::version();
  return fmt::format("{}.{}.{}", version.major, version.minor, version.patch);
}

bool bf16_is_fast() { return has_isa(dnnl::cpu_isa::avx512_core_bf16); }
bool tiles_are_usable() {
  static const bool kUsable = has_isa(dnnl::cpu_isa::avx512_core_amx);
  return kUsable;
}
bool bf16_is_supported() { return has_isa(dnnl::cpu_isa::avx512_core); }

}  // namespace loadline
