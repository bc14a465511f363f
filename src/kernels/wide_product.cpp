#include "kernels/wide_product.h"

#include <omp.h>

#include <algorithm>
#include <type_traits>

#include "kernels/block_product.h"
#include "kernels/kernel_times.h"
#include "kernels/nf4_reader.h"
#include "kernels/storage.h"
#include "kernels/vectors.h"

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

constexpr std::int64_t kColumns = kNf4Block;    // of y that a thread makes at once
constexpr std::int64_t kInner = 1024;           // weights for each of them that are widened at once
constexpr std::int64_t kRows = 8 * kBlockRows;  // of y, rounded while they are still near
constexpr std::int64_t kAhead = 16;             // rows of W that are fetched before they are read
constexpr std::int64_t kStrip = 16;             // rows of W that are transposed at once
constexpr std::int64_t kLanes = 16;             // block_product's columns are a multiple of this

// f(count), with 64, which most counts are, as a constant: the compiler then knows the loop's
// length.
template <typename F>
void with_columns(std::int64_t count, F&& f) {
  if (count == kColumns) return f(std::integral_constant<std::int64_t, kColumns>{});
  f(count);
}

constexpr std::int64_t round_up(std::int64_t n, std::int64_t unit) {
  return (n + unit - 1) / unit * unit;
}

// A row's weights in f32. `col` and, but for the last of a row, `count` are multiples of 64.
class Bf16Weights {
 public:
  explicit Bf16Weights(ConstView weight) : weight_(weight) {}
  // The 64 weights of a row from `col` on: rows are too far from each other for the CPU to foresee.
  void fetch(std::int64_t row, std::int64_t col) const {
    constexpr std::int64_t kCacheLine = 32;
    if (row >= weight_.rows) return;
    const Bf16* from = weight_.row<Bf16>(row) + col;
    for (std::int64_t i = 0; i < kColumns; i += kCacheLine) __builtin_prefetch(from + i);
  }
  void read(std::int64_t row, std::int64_t col, std::int64_t count, float* to) const {
    const Bf16* from = weight_.row<Bf16>(row) + col;
    with_columns(count, [&](auto n) {
#pragma omp simd
      for (std::int64_t i = 0; i < n; ++i) to[i] = load(from[i]);
    });
  }

 private:
  ConstView weight_;
};

class Nf4Weights {
 public:
  explicit Nf4Weights(const Nf4View& weight) : reader_(weight) {}
  void fetch(std::int64_t /*row*/, std::int64_t /*col*/) const {}
  void read(std::int64_t row, std::int64_t col, std::int64_t count, float* to) const {
    reader_.read(row, col / kNf4Block, count / kNf4Block, to);
  }

 private:
  Nf4Reader reader_;
};

// Some of the columns of the right side, and some of its inner rows.
struct Part {
  std::int64_t column = 0;
  std::int64_t columns = 0;
  std::int64_t inner = 0;
  std::int64_t depth = 0;
};

void transpose(const float (&from)[kStrip][kColumns], float* to) {
#ifdef __AVX512BF16__
  vectors::transpose(kStrip, kColumns, &from[0][0], kColumns, to, kColumns);
#else
  for (std::int64_t k = 0; k < kColumns; ++k) {
    for (std::int64_t j = 0; j < kStrip; ++j) to[k * kColumns + j] = from[j][k];
  }
#endif
}

// panel (depth, kColumns) = the part of W, or of its transposed; columns beyond the part's are 0.
template <typename Weights>
void widen_transposed(const Weights& weights, const Part& part, float* panel) {
  alignas(64) float rows[kStrip][kColumns] = {};
  for (std::int64_t k = 0; k < part.depth; k += kColumns) {
    const std::int64_t count = std::min(kColumns, part.depth - k);
    for (std::int64_t j = 0; j < part.columns; j += kStrip) {
      for (std::int64_t i = 0; i < kStrip; ++i) {
        if (j + i < part.columns) {
          weights.read(part.column + j + i, part.inner + k, count, rows[i]);
        } else {
          std::fill(rows[i], rows[i] + kColumns, 0.0F);
        }
      }
      transpose(rows, panel + k * kColumns + j);
    }
  }
}

template <typename Weights>
void widen_as_it_lies(const Weights& weights, const Part& part, float* panel) {
  for (std::int64_t k = 0; k < part.depth; ++k, panel += kColumns) {
    weights.fetch(part.inner + k + kAhead, part.column);
    weights.read(part.inner + k, part.column, part.columns, panel);
    std::fill(panel + part.columns, panel + kColumns, 0.0F);
  }
}

template <typename T>
void store_sums(const float* sums, T* to, std::int64_t count, bool accumulate) {
  with_columns(count, [&](auto n) {
    if (accumulate) {
#pragma omp simd
      for (std::int64_t j = 0; j < n; ++j) to[j] = stored<T>(load(to[j]) + sums[j]);
    } else {
#pragma omp simd
      for (std::int64_t j = 0; j < n; ++j) to[j] = stored<T>(sums[j]);
    }
  });
}

// y (rows, columns) (+)= left (rows, inner) · right (inner, columns). A block of x's tokens is
// widened whole; it is the left side, in kTN transposed. Of the right side each thread widens some
// columns at a time.
template <typename T, typename Weights>
class WideProduct {
 public:
  WideProduct(Product product, ConstView x, const Weights& weights, View y, bool accumulate,
              const WideScratch& scratch)
      : product_(product),
        x_(x),
        weights_(weights),
        y_(y),
        accumulate_(accumulate),
        scratch_(scratch) {}

  void run() {
    for (first_ = 0; first_ < x_.rows; first_ += kWideRows) {
      tokens_ = std::min(kWideRows, x_.rows - first_);
      run_block();
    }
  }

 private:
  [[nodiscard]] bool over_tokens() const { return product_ == Product::kTN; }
  // Of y, in this block.
  [[nodiscard]] std::int64_t rows() const { return over_tokens() ? x_.cols : tokens_; }
  [[nodiscard]] std::int64_t inner() const { return over_tokens() ? tokens_ : x_.cols; }

  void run_block() {
    const std::int64_t panels = round_up(y_.cols, kColumns) / kColumns;
    const std::int64_t at_once = rows_at_once(panels);
    const std::int64_t parts = round_up(rows(), at_once) / at_once;
#pragma omp parallel if (tokens_ * (x_.cols + y_.cols) >= kWorthThreads)
    {
#pragma omp for schedule(static)
      for (std::int64_t t = 0; t < round_up(tokens_, kWideRowUnit); ++t) widen_token(t);
      float* scratch = scratch_.panels.data() + omp_get_thread_num() * wide_panel_floats();
#pragma omp for schedule(dynamic, 1)
      for (std::int64_t unit = 0; unit < panels * parts; ++unit) {
        const std::int64_t begin = unit % parts * at_once;
        columns_of_rows(unit / parts * kColumns, begin, std::min(rows(), begin + at_once), scratch);
      }
    }
  }

  void widen_token(std::int64_t t) {
    float* wide = scratch_.x.data() + t * x_.cols;
    if (t < tokens_) {
      Bf16Weights(x_).read(first_ + t, 0, x_.cols, wide);
    } else {
      std::fill(wide, wide + x_.cols, 0.0F);
    }
  }

  // Rows that a thread multiplies with the columns that it has widened: all that its scratch has
  // room for, or fewer where so few columns would leave some of the team without work for long.
  [[nodiscard]] std::int64_t rows_at_once(std::int64_t panels) const {
    constexpr std::int64_t kFewest = 64;
    constexpr std::int64_t kMost = kWideRows / kBlockRows * kBlockRows;
    const std::int64_t team = omp_get_max_threads();
    std::int64_t at_once = round_up(rows(), kBlockRows);
    if (rows() > kWideRows) at_once = kMost;
    const auto is_even = [&] {
      const std::int64_t units = panels * (round_up(rows(), at_once) / at_once);
      return 20 * round_up(units, team) <= 21 * units;
    };
    while (at_once >= 2 * kFewest && !is_even()) at_once = round_up(at_once / 2, kBlockRows);
    return at_once;
  }

  // Columns of y for its rows [begin, end).
  void columns_of_rows(std::int64_t column, std::int64_t begin, std::int64_t end, float* scratch) {
    float* panel = scratch;
    float* sums = scratch + kInner * kColumns;
    Part part{.column = column, .columns = std::min(kColumns, y_.cols - column)};
    for (; part.inner < inner(); part.inner += kInner) {
      part.depth = std::min(kInner, inner() - part.inner);
      widen(part, panel);
      for (std::int64_t r = begin; r < end; r += kRows) {
        const std::int64_t count = std::min(kRows, end - r);
        float* sum = sums + (r - begin) * kColumns;
        multiply(part, r, count, panel, sum);
        if (part.inner + part.depth == inner()) store(part, r, count, sum);
      }
    }
  }

  void widen(Part part, float* panel) const {
    if (product_ == Product::kNT) return widen_transposed(weights_, part, panel);
    if (over_tokens()) part.inner += first_;
    widen_as_it_lies(weights_, part, panel);
  }

  void multiply(const Part& part, std::int64_t row, std::int64_t rows, const float* panel,
                float* sum) const {
    const std::int64_t columns = round_up(part.columns, kLanes);
    const BlockStrides strides =
        over_tokens() ? BlockStrides{1, x_.cols} : BlockStrides{x_.cols, 1};
    const float* left = scratch_.x.data() + row * strides.row + part.inner * strides.inner;
    if (!over_tokens()) rows = round_up(rows, kWideRowUnit);
    if (part.inner == 0) {
      block_product<false>(rows, columns, part.depth, left, strides, panel, kColumns, sum,
                           kColumns);
    } else {
      block_product<true>(rows, columns, part.depth, left, strides, panel, kColumns, sum, kColumns);
    }
  }

  void store(const Part& part, std::int64_t row, std::int64_t rows, const float* sum) const {
    const bool adds = accumulate_ || (over_tokens() && first_ > 0);
    const std::int64_t first = over_tokens() ? row : first_ + row;
    for (std::int64_t i = 0; i < rows; ++i) {
      store_sums(sum + i * kColumns, y_.row<T>(first + i) + part.column, part.columns, adds);
    }
  }

  Product product_;
  ConstView x_;
  const Weights& weights_;
  View y_;
  bool accumulate_;
  const WideScratch& scratch_;
  std::int64_t first_ = 0;  // token of the block
  std::int64_t tokens_ = 0;
};

template <typename Weights>
void multiply(Product product, ConstView x, const Weights& weights, View y, bool accumulate,
              const WideScratch& scratch) {
  const KernelTimer timer(Kernel::kGemm);
  const std::int64_t tokens = round_up(std::min(x.rows, kWideRows), kWideRowUnit);
  require(static_cast<std::int64_t>(scratch.x.size()) >= tokens * x.cols &&
              static_cast<std::int64_t>(scratch.panels.size()) >=
                  omp_get_max_threads() * wide_panel_floats(),
          "wide_product: too little scratch");
  with_storage(y.dtype, "wide_product", [&](auto storage) {
    using T = TypeOf<decltype(storage)>;
    WideProduct<T, Weights>(product, x, weights, y, accumulate, scratch).run();
  });
}

void require_frozen(Product product, ConstView x, std::int64_t rows, std::int64_t cols, View y) {
  const bool forward = product == Product::kNT;
  require(x.rows == y.rows && x.cols == (forward ? cols : rows) &&
              y.cols == (forward ? rows : cols) && x.dtype == DType::kBf16,
          "wide_product: x, W and y do not belong together");
}

}  // namespace

bool bf16_products_are_slow() {
  if (!bf16_is_supported()) return true;
  if (!bf16_is_fast()) return kBuiltForAvx2;
  return kBuiltForAvx512 && !tiles_are_usable() && __builtin_cpu_is("intel") != 0;
}

bool bf16_pays() { return bf16_is_fast() || kBuiltForAvx2; }

std::int64_t wide_panel_floats() { return (kInner + kWideRows) * kColumns; }

void wide_product(Product product, ConstView x, ConstView weight, View y, bool accumulate,
                  const WideScratch& scratch) {
  require(weight.dtype == DType::kBf16, "wide_product: W must be bf16 or NF4");
  if (product == Product::kTN) {
    require(x.rows == weight.rows && y.rows == x.cols && y.cols == weight.cols &&
                x.dtype == DType::kBf16 && y.dtype == DType::kF32,
            "wide_product: kTN: x, x2 and y do not belong together");
  } else {
    require_frozen(product, x, weight.rows, weight.cols, y);
  }
  multiply(product, x, Bf16Weights(weight), y, accumulate, scratch);
}
void wide_product(Product product, ConstView x, const Nf4View& weight, View y, bool accumulate,
                  const WideScratch& scratch) {
  require(product != Product::kTN, "wide_product: no NF4 matrix in kTN");
  require_frozen(product, x, weight.rows, weight.cols, y);
  multiply(product, x, Nf4Weights(weight), y, accumulate, scratch);
}

}  // namespace loadline
