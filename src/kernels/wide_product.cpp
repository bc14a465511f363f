#include "kernels/wide_product.h"

#include <omp.h>

#include <algorithm>

#include "kernels/block_product.h"
#include "kernels/kernel_times.h"
#include "kernels/storage.h"
#include "kernels/wide_panel.h"

namespace loadline {
namespace {

// A build for any CPU (LOADLINE_NATIVE=OFF) multiplies slower than oneDNN, which makes its code at
// run time.
#if defined(__AVX2__) && defined(__FMA__)
constexpr bool kBuiltForAvx2 = true;
#else
constexpr bool kBuiltForAvx2 = false;
#endif
#ifdef __AVX512F__
constexpr bool kBuiltForAvx512 = true;
#else
constexpr bool kBuiltForAvx512 = false;
#endif

using wide::kColumns;                           // of y that a thread makes at once
constexpr std::int64_t kInner = 1024;           // weights for each of them that are widened at once
constexpr std::int64_t kRows = 8 * kBlockRows;  // of y, rounded while they are still near
constexpr std::size_t kSums = 8;                // of a stage
constexpr std::size_t kDifferentX = 16;
constexpr std::int64_t kLanes = 16;  // block_product's columns are a multiple of this

constexpr std::int64_t round_up(std::int64_t n, std::int64_t unit) {
  return (n + unit - 1) / unit * unit;
}

template <typename T>
void store_sums(const float* sums, float factor, T* to, std::int64_t count, bool accumulate) {
  wide::with_columns(count, [&](auto n) {
    if (accumulate) {
#pragma omp simd
      for (std::int64_t j = 0; j < n; ++j) to[j] = stored<T>(load(to[j]) + factor * sums[j]);
    } else {
#pragma omp simd
      for (std::int64_t j = 0; j < n; ++j) to[j] = stored<T>(factor * sums[j]);
    }
  });
}

// A block of an x (T,K) in f32.
struct BlockOfX {
  ConstView from;
  std::size_t stage = 0;  // the first that reads it
  std::int64_t stride = 0;
  float* wide = nullptr;  // none where x is f32 itself

  [[nodiscard]] const float* rows(std::int64_t first) const {
    return wide != nullptr ? wide : from.row<float>(first);
  }
};

// How a sum's rows are divided: its units are (panel of columns, some of its rows).
struct Division {
  std::int64_t rows = 0;
  std::int64_t at_once = 0;
  std::int64_t panels = 0;
  [[nodiscard]] std::int64_t parts() const { return round_up(rows, at_once) / at_once; }
  [[nodiscard]] std::int64_t units() const { return panels * parts(); }
};

bool over_tokens(const WideSum& sum) { return sum.terms[0].product == Product::kTN; }

void require_operands(const WideTerm& term, const WideSum& sum, std::int64_t tokens) {
  const ConstView& x = term.x;
  const View& y = sum.y;
  const bool is_nf4 = term.quantized.data != nullptr;
  const std::int64_t rows = is_nf4 ? term.quantized.rows : term.w.rows;
  const std::int64_t cols = is_nf4 ? term.quantized.cols : term.w.cols;
  const bool fits = term.product == Product::kNT ? x.cols == cols && y.cols == rows
                    : term.product == Product::kNN
                        ? x.cols == rows && y.cols == cols
                        : x.rows == rows && y.rows == x.cols && y.cols == cols && !is_nf4 &&
                              y.dtype == DType::kF32;
  const bool transposed = term.product == Product::kTN;
  require(fits && x.rows == tokens && transposed == over_tokens(sum) &&
              (transposed || y.rows == tokens) &&
              (x.dtype == DType::kBf16 || x.dtype == DType::kF32) &&
              (is_nf4 || term.w.dtype == DType::kBf16),
          "wide_products: x, W and y do not belong together");
}

// A block of x's tokens is widened whole; it is the left side, in kTN transposed. Of the right side
// each thread widens some columns at a time.
class WideProducts {
 public:
  WideProducts(std::span<const WideStage> stages, const WideScratch& scratch)
      : stages_(stages), scratch_(scratch) {
    for (std::size_t stage = 0; stage < stages.size(); ++stage) {
      for (const WideSum& sum : stages[stage]) {
        require(!sum.terms.empty(), "wide_products: a sum of nothing");
        for (const WideTerm& term : sum.terms) {
          note_x(term.x, stage);
          require_operands(term, sum, total_);
        }
        widths_ += sum.y.cols;
      }
    }
  }

  void run() {
    if (total_ == 0) return;
    const std::int64_t rows = rows_of_block();
    for (first_ = 0; first_ < total_; first_ += rows) {
      tokens_ = std::min(rows, total_ - first_);
      run_block();
    }
  }

 private:
  void note_x(ConstView x, std::size_t stage) {
    if (find(x) != nullptr) return;
    if (xs_.empty()) total_ = x.rows;
    const bool is_wide = x.dtype == DType::kF32;
    xs_.push_back({.from = x, .stage = stage, .stride = is_wide ? x.stride : x.cols});
    if (!is_wide) widened_ += x.cols;
    widths_ += x.cols;
  }
  [[nodiscard]] const BlockOfX* find(ConstView x) const {
    const auto found = std::ranges::find_if(xs_, [&](const BlockOfX& each) {
      return each.from.data == x.data && each.from.cols == x.cols;
    });
    return found == xs_.end() ? nullptr : found;
  }

  // As many as the scratch has room for, in blocks of about equal size.
  [[nodiscard]] std::int64_t rows_of_block() const {
    const std::int64_t room = widened_ > 0 ? std::ssize(scratch_.x) / widened_ : kWideRows;
    const std::int64_t most = std::min(room, kWideRows) / kWideRowUnit * kWideRowUnit;
    require(most > 0 && static_cast<std::int64_t>(scratch_.panels.size()) >=
                            omp_get_max_threads() * wide_panel_floats(),
            "wide_products: too little scratch");
    const std::int64_t blocks = round_up(total_, most) / most;
    return round_up(round_up(total_, blocks) / blocks, kWideRowUnit);
  }

  void run_block() {
    float* wide = scratch_.x.data();
    for (BlockOfX& x : xs_) {
      if (x.from.dtype == DType::kF32) continue;
      x.wide = wide;
      wide += round_up(tokens_, kWideRowUnit) * x.from.cols;
    }
#pragma omp parallel if (tokens_ * widths_ >= kWorthThreads)
    {
      float* scratch = scratch_.panels.data() + omp_get_thread_num() * wide_panel_floats();
      for (std::size_t stage = 0; stage < stages_.size(); ++stage) run_stage(stage, scratch);
    }
  }

  // By each thread of the team.
  void run_stage(std::size_t stage, float* scratch) const {
    for (const BlockOfX& x : xs_) {
      if (x.stage != stage || x.wide == nullptr) continue;
#pragma omp for schedule(static) nowait
      for (std::int64_t t = 0; t < round_up(tokens_, kWideRowUnit); ++t) widen_token(x, t);
    }
#pragma omp barrier
    const WideStage& sums = stages_[stage];
    const auto divisions = divide(sums);
    std::int64_t units = 0;
    for (const Division& division : divisions) units += division.units();
#pragma omp for schedule(dynamic, 1)
    for (std::int64_t unit = 0; unit < units; ++unit) {
      std::size_t i = 0;
      std::int64_t rest = unit;
      for (; rest >= divisions[i].units(); ++i) rest -= divisions[i].units();
      const Division& division = divisions[i];
      const std::int64_t begin = rest % division.parts() * division.at_once;
      columns_of_rows(sums[i], rest / division.parts() * kColumns, begin,
                      std::min(division.rows, begin + division.at_once), scratch);
    }
  }

  void widen_token(const BlockOfX& x, std::int64_t t) const {
    const std::int64_t width = x.from.cols;
    float* wide = x.wide + t * width;
    if (t < tokens_) {
      wide::Bf16Weights(x.from).read(first_ + t, 0, width, wide);
    } else {
      std::fill(wide, wide + width, 0.0F);
    }
  }

  // Rows that a thread multiplies with the columns that it has widened: all that its scratch has
  // room for, or fewer where so few units would leave some of the team without work for long.
  [[nodiscard]] FixedList<Division, kSums> divide(const WideStage& sums) const {
    constexpr std::int64_t kFewest = 64;
    constexpr std::int64_t kMost = kWideRows / kBlockRows * kBlockRows;
    FixedList<Division, kSums> divisions;
    for (const WideSum& sum : sums) {
      const std::int64_t rows = over_tokens(sum) ? sum.y.rows : tokens_;
      divisions.push_back({.rows = rows,
                           .at_once = rows > kWideRows ? kMost : round_up(rows, kBlockRows),
                           .panels = round_up(sum.y.cols, kColumns) / kColumns});
    }
    const std::int64_t team = omp_get_num_threads();
    const auto is_even = [&] {
      std::int64_t units = 0;
      for (const Division& division : divisions) units += division.units();
      return 20 * round_up(units, team) <= 21 * units;
    };
    for (bool halved = true; halved && !is_even();) {
      halved = false;
      for (Division& division : divisions) {
        if (division.at_once < 2 * kFewest) continue;
        division.at_once = round_up(division.at_once / 2, kBlockRows);
        halved = true;
      }
    }
    return divisions;
  }

  // Columns of y for its rows [begin, end).
  void columns_of_rows(const WideSum& sum, std::int64_t column, std::int64_t begin,
                       std::int64_t end, float* scratch) const {
    float* panel = scratch;
    float* sums = scratch + kInner * kColumns;
    bool adds = false;
    for (const WideTerm& term : sum.terms) {
      const std::int64_t inner = over_tokens(sum) ? tokens_ : term.x.cols;
      const bool is_last_term = &term == sum.terms.end() - 1;
      wide::Part part{.column = column, .columns = std::min(kColumns, sum.y.cols - column)};
      for (; part.inner < inner; part.inner += kInner) {
        part.depth = std::min(kInner, inner - part.inner);
        widen(term, part, panel);
        const bool is_last = is_last_term && part.inner + part.depth == inner;
        for (std::int64_t r = begin; r < end; r += kRows) {
          const std::int64_t count = std::min(kRows, end - r);
          float* row_sums = sums + (r - begin) * kColumns;
          multiply(term, part, r, count, panel, row_sums, adds);
          if (is_last) store(sum, part, r, count, row_sums);
        }
        adds = true;
      }
    }
  }

  void widen(const WideTerm& term, wide::Part part, float* panel) const {
    if (term.product == Product::kTN) part.inner += first_;
    const auto from = [&](const auto& weights) {
      if (term.product == Product::kNT) return wide::widen_transposed(weights, part, panel);
      wide::widen_as_it_lies(weights, part, panel);
    };
    if (term.quantized.data != nullptr) return from(wide::Nf4Weights(term.quantized));
    from(wide::Bf16Weights(term.w));
  }

  void multiply(const WideTerm& term, const wide::Part& part, std::int64_t row, std::int64_t rows,
                const float* panel, float* sum, bool adds) const {
    const bool transposed = term.product == Product::kTN;
    const std::int64_t columns = round_up(part.columns, kLanes);
    const BlockOfX& x = *find(term.x);
    const BlockStrides strides = transposed ? BlockStrides{1, x.stride} : BlockStrides{x.stride, 1};
    const float* left = x.rows(first_) + row * strides.row + part.inner * strides.inner;
    if (!transposed && x.wide != nullptr) rows = round_up(rows, kWideRowUnit);
    if (adds) {
      block_product<true>(rows, columns, part.depth, left, strides, panel, kColumns, sum, kColumns);
    } else {
      block_product<false>(rows, columns, part.depth, left, strides, panel, kColumns, sum,
                           kColumns);
    }
  }

  void store(const WideSum& sum, const wide::Part& part, std::int64_t row, std::int64_t rows,
             const float* sums) const {
    const bool adds = sum.accumulate || (over_tokens(sum) && first_ > 0);
    const std::int64_t first = over_tokens(sum) ? row : first_ + row;
    with_storage(sum.y.dtype, "wide_products", [&](auto storage) {
      using T = TypeOf<decltype(storage)>;
      for (std::int64_t i = 0; i < rows; ++i) {
        store_sums(sums + i * kColumns, sum.factor, sum.y.row<T>(first + i) + part.column,
                   part.columns, adds);
      }
    });
  }

  std::span<const WideStage> stages_;
  const WideScratch& scratch_;
  FixedList<BlockOfX, kDifferentX> xs_;
  std::int64_t widened_ = 0;  // widths of all x that are widened
  std::int64_t widths_ = 0;   // of all x and y
  std::int64_t total_ = 0;    // tokens
  std::int64_t first_ = 0;    // token of the block
  std::int64_t tokens_ = 0;
};

}  // namespace

bool bf16_products_are_slow() {
  if (!bf16_is_supported()) return true;
  if (!bf16_is_fast()) return kBuiltForAvx2;
  return kBuiltForAvx512 && !tiles_are_usable() && __builtin_cpu_is("intel") != 0;
}

bool bf16_pays() { return bf16_is_fast() || kBuiltForAvx2; }

std::int64_t wide_panel_floats() { return (kInner + kWideRows) * kColumns; }

void wide_products(std::span<const WideStage> stages, const WideScratch& scratch) {
  const KernelTimer timer(Kernel::kGemm);
  WideProducts(stages, scratch).run();
}

namespace {

void one_product(const WideTerm& term, View y, bool accumulate, const WideScratch& scratch) {
  const WideStage stage{{.y = y, .terms = {term}, .accumulate = accumulate}};
  wide_products({&stage, 1}, scratch);
}

}  // namespace

void wide_product(Product product, ConstView x, ConstView w, View y, bool accumulate,
                  const WideScratch& scratch) {
  one_product({.product = product, .x = x, .w = w, .quantized = {}}, y, accumulate, scratch);
}
void wide_product(Product product, ConstView x, const Nf4View& w, View y, bool accumulate,
                  const WideScratch& scratch) {
  one_product({.product = product, .x = x, .w = {}, .quantized = w}, y, accumulate, scratch);
}

}  // namespace loadline
