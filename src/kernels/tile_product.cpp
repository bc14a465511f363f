#include "kernels/tile_product.h"

#include "kernels/tiles.h"

#ifdef LOADLINE_TILES

#include <omp.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <type_traits>

#include "kernels/nf4_reader.h"
#include "kernels/storage.h"
#include "kernels/transpose.h"
#include "kernels/vectors.h"

namespace loadline {
namespace {

using tiles::kSquare;

// Rows of x that a thread takes at once; fewer where there would be too few parts for all threads.
constexpr std::int64_t kPart = 8 * kSquare;
constexpr std::int64_t kPanelBytes = static_cast<std::int64_t>(kTilePanel.count);
// Inner dimensions go as far as leaves room, in the scratch that is all threads', for how far each
// panel is.
constexpr std::int64_t kDeepest = 15 * 1024;
constexpr std::int64_t kRowsBytes = 2 * kSquare * kDeepest;
constexpr std::int64_t kMostPanels = (kPanelBytes - kRowsBytes) / 4;

constexpr std::int64_t round_up(std::int64_t n, std::int64_t unit) {
  return (n + unit - 1) / unit * unit;
}

const Bf16Pair* pairs_of(const Bf16* row) {
  return static_cast<const Bf16Pair*>(static_cast<const void*>(row));
}

// Two rows of 32 numbers -> 32 pairs, the upper row's first.
void pair(const Bf16* upper, const Bf16* lower, Bf16Pair* to) {
  typedef Bf16 Words __attribute__((vector_size(64)));
  Words a;
  Words b;
  std::memcpy(&a, upper, sizeof a);
  std::memcpy(&b, lower, sizeof b);
  const Words first =
      __builtin_shufflevector(a, b, 0, 32, 1, 33, 2, 34, 3, 35, 4, 36, 5, 37, 6, 38, 7, 39, 8, 40,
                              9, 41, 10, 42, 11, 43, 12, 44, 13, 45, 14, 46, 15, 47);
  const Words second =
      __builtin_shufflevector(a, b, 16, 48, 17, 49, 18, 50, 19, 51, 20, 52, 21, 53, 22, 54, 23, 55,
                              24, 56, 25, 57, 26, 58, 27, 59, 28, 60, 29, 61, 30, 62, 31, 63);
  vectors::store(first, to);
  vectors::store(second, to + kSquare / 2);
}

// Columns [first, end) of the right side over an inner dimension k, packed: for each kSquare of
// them (k / 2, kSquare) pairs.
struct Columns {
  std::int64_t first = 0;
  std::int64_t end = 0;
  std::int64_t k = 0;

  // Where the pairs of `column` begin.
  [[nodiscard]] std::int64_t at(std::int64_t column) const { return (column - first) / 2 * k; }
};

void pack(Product product, ConstView w, const Columns& columns, Bf16Pair* to) {
  const std::int64_t k = columns.k;
  if (product == Product::kNT) {
    for (std::int64_t c = columns.first; c < columns.end; c += kSquare) {
      transpose(kSquare, k / 2, pairs_of(w.row<Bf16>(c)), w.stride / 2, to + columns.at(c),
                kSquare);
    }
    return;
  }
  constexpr std::int64_t kAhead = 16;  // rows, too far from each other for the CPU to foresee
  for (std::int64_t i = 0; i < k; i += 2, to += kSquare) {
    const Bf16* upper = w.row<Bf16>(i);
    const std::int64_t ahead = i + kAhead + 1 < k ? kAhead * w.stride : 0;
    for (std::int64_t c = columns.first; c < columns.end; c += kSquare) {
      __builtin_prefetch(upper + ahead + c);
      __builtin_prefetch(upper + ahead + w.stride + c);
      pair(upper + c, upper + w.stride + c, to + columns.at(c));
    }
  }
}

// A block of weights at a time; in kNN that is two squares' columns, of which a panel may want one.
void pack(Product product, const Nf4View& w, const Columns& columns, Bf16Pair* to) {
  const Nf4Reader reader(w);
  const std::int64_t k = columns.k;
  if (product == Product::kNT) {
    alignas(64) Bf16 rows[kSquare * kNf4Block];
    for (std::int64_t c = columns.first; c < columns.end; c += kSquare) {
      Bf16Pair* square = to + columns.at(c);
      for (std::int64_t i = 0; i < k; i += kNf4Block, square += kNf4Block / 2 * kSquare) {
        for (std::int64_t r = 0; r < kSquare; ++r) {
          reader.read(c + r, i / kNf4Block, 1, rows + r * kNf4Block);
        }
        transpose(kSquare, kNf4Block / 2, pairs_of(rows), kNf4Block / 2, square, kSquare);
      }
    }
    return;
  }
  alignas(64) Bf16 upper[kNf4Block];
  alignas(64) Bf16 lower[kNf4Block];
  for (std::int64_t i = 0; i < k; i += 2, to += kSquare) {
    for (std::int64_t c = columns.first; c < columns.end; c += kSquare) {
      const std::int64_t half = c % kNf4Block;
      if (half == 0 || c == columns.first) {
        reader.read(i, c / kNf4Block, 1, upper);
        reader.read(i + 1, c / kNf4Block, 1, lower);
      }
      pair(upper + half, lower + half, to + columns.at(c));
    }
  }
}

// `rows` rows of y's square = or += the sums.
void store(const float* sums, std::int64_t rows, Bf16* y, std::int64_t y_row, bool accumulate) {
  constexpr std::int64_t kLanes = vectors::kLanes;
  for (std::int64_t r = 0; r < rows; ++r, sums += kSquare, y += y_row) {
    __m512 first = _mm512_load_ps(sums);
    __m512 second = _mm512_load_ps(sums + kLanes);
    if (accumulate) {
      first += vectors::load(y, vectors::kAll);
      second += vectors::load(y + kLanes, vectors::kAll);
    }
    vectors::store(vectors::joined(first, second), y);
  }
}
void store(const float* sums, std::int64_t rows, float* y, std::int64_t y_row, bool accumulate) {
  for (std::int64_t r = 0; r < rows; ++r, sums += kSquare, y += y_row) {
#pragma omp simd
    for (std::int64_t j = 0; j < kSquare; ++j) y[j] = accumulate ? y[j] + sums[j] : sums[j];
  }
}

// W: ConstView or Nf4View.
template <typename W>
class TileProduct {
 public:
  TileProduct(Product product, ConstView x, const W& w, View y, bool accumulate,
              std::span<std::byte> scratch)
      : product_(product), x_(x), w_(w), y_(y), accumulate_(accumulate), scratch_(scratch.data()) {
    const std::int64_t threads = omp_get_max_threads();
    const bool fits = product == Product::kNT ? w.cols == x.cols && w.rows == y.cols
                                              : w.rows == x.cols && w.cols == y.cols;
    require(fits && x.rows == y.rows && multiplies_in_tiles(product, x.dtype, y.cols, x.cols) &&
                (y.dtype == DType::kF32 || y.dtype == DType::kBf16) &&
                std::ssize(scratch) >= (threads + 1) * kPanelBytes,
            "tile_product: x, w, y, scratch and the threads do not belong together");
    const std::int64_t room = kPanelBytes / (2 * x.cols);
    const bool by_blocks = std::is_same_v<W, Nf4View> && room >= kNf4Block;
    const std::int64_t unit = by_blocks ? kNf4Block : kSquare;
    const std::int64_t most = room / unit * unit;
    const std::int64_t panels = round_up(round_up(y.cols, most) / most, threads);
    width_ = round_up(round_up(y.cols, panels) / panels, unit);
    panels_ = round_up(y.cols, width_) / width_;
    const auto units = [&] { return panels_ * (round_up(x.rows, part_) / part_); };
    while (part_ > kSquare && units() < 2 * threads) part_ /= 2;
    whole_ = x.rows / kSquare * kSquare;
    std::byte* shared = scratch_ + threads * kPanelBytes;
    last_ = static_cast<Bf16*>(static_cast<void*>(shared));
    taken_ = static_cast<std::int32_t*>(static_cast<void*>(shared + kRowsBytes));
    std::fill(taken_, taken_ + panels_, 0);
  }

  void run() {
    pad_last_rows();
#pragma omp parallel if (x_.rows * y_.cols >= kWorthThreads)
    {
      const tiles::Session session;
      auto* panel =
          static_cast<Bf16Pair*>(static_cast<void*>(scratch_ + omp_get_thread_num() * kPanelBytes));
      const std::int64_t share = round_up(panels_, omp_get_num_threads()) / omp_get_num_threads();
      for (std::int64_t i = 0; i < panels_; ++i) {
        make((i + omp_get_thread_num() * share) % panels_, panel);
      }
    }
  }

 private:
  // Tiles read whole squares: the last rows of x are copied, with rows of zeros below.
  void pad_last_rows() {
    if (whole_ == x_.rows) return;
    Bf16* to = last_;
    for (std::int64_t t = whole_; t < whole_ + kSquare; ++t, to += x_.cols) {
      if (t < x_.rows) {
        std::memcpy(to, x_.row<Bf16>(t), static_cast<std::size_t>(x_.cols) * sizeof *to);
      } else {
        std::fill(to, to + x_.cols, Bf16{});
      }
    }
  }

  // The parts of a panel's tokens that no thread has taken yet: a thread begins with panels that
  // are its own, and then helps the others, as cores are seldom equally fast.
  void make(std::int64_t index, Bf16Pair* panel) {
    const Columns columns{
        .first = index * width_, .end = std::min(y_.cols, (index + 1) * width_), .k = x_.cols};
    std::atomic_ref<std::int32_t> next(taken_[index]);
    for (bool is_packed = false;; is_packed = true) {
      const std::int64_t begin = next.fetch_add(1, std::memory_order_relaxed) * part_;
      if (begin >= x_.rows) return;
      if (!is_packed) pack(product_, w_, columns, panel);
      multiply(columns, panel, begin, std::min(x_.rows, begin + part_));
    }
  }

  // y's rows [begin, end), of which begin is a multiple of kSquare.
  void multiply(const Columns& columns, const Bf16Pair* panel, std::int64_t begin,
                std::int64_t end) const {
    with_storage(y_.dtype, "tile_product", [&](auto storage) {
      using T = TypeOf<decltype(storage)>;
      for (std::int64_t t = begin; t < end; t += kSquare) {
        const bool is_whole = t < whole_;
        const Bf16Pair* left = pairs_of(is_whole ? x_.row<Bf16>(t) : last_);
        const std::int64_t left_row = (is_whole ? x_.stride : x_.cols) / 2;
        for (std::int64_t c = columns.first; c < columns.end; c += kSquare) {
          fetch_next_rows(t, end, c - columns.first, columns.end - columns.first);
          alignas(64) float sums[kSquare * kSquare];
          tiles::square<false, tiles::Ahead::kOneStep>(
              x_.cols / kSquare, left, left_row, panel + columns.at(c), kSquare, sums, kSquare);
          store(sums, std::min(kSquare, end - t), y_.row<T>(t) + c, y_.stride, accumulate_);
        }
      }
    });
  }

  // The rows of x after those from t on, as large a share of them as `done` to done + kSquare is of
  // `all`: with each square of y some, into the core's own cache. The CPU does not foresee them.
  void fetch_next_rows(std::int64_t t, std::int64_t end, std::int64_t done,
                       std::int64_t all) const {
    constexpr std::int64_t kLine = 32;
    constexpr int kRead = 0;
    constexpr int kSecondCache = 2;
    const std::int64_t next = t + kSquare;
    const std::int64_t last = std::min(end, next + (done + kSquare) * kSquare / all);
    for (std::int64_t r = next + done * kSquare / all; r < last; ++r) {
      const Bf16* row = x_.row<Bf16>(r);
      for (std::int64_t i = 0; i < x_.cols; i += kLine) {
        __builtin_prefetch(row + i, kRead, kSecondCache);
      }
    }
  }

  Product product_;
  ConstView x_;
  W w_;
  View y_;
  bool accumulate_;
  std::byte* scratch_;
  std::int64_t width_ = 0;  // columns of a panel
  std::int64_t panels_ = 0;
  std::int64_t part_ = kPart;
  std::int64_t whole_ = 0;         // rows of x in whole squares
  Bf16* last_ = nullptr;           // the others
  std::int32_t* taken_ = nullptr;  // parts of x's rows, of each panel
};

}  // namespace

bool multiplies_in_tiles(Product product, DType in, std::int64_t n, std::int64_t k) {
  return tiles_are_usable() && product != Product::kTN && in == DType::kBf16 && n > 0 && k > 0 &&
         n % kSquare == 0 && k % kSquare == 0 && k <= kDeepest && n <= kMostPanels * kSquare;
}

void tile_product(Product product, ConstView x, ConstView w, View y, bool accumulate,
                  std::span<std::byte> scratch) {
  require(w.dtype == DType::kBf16 && x.stride % 2 == 0 && w.stride % 2 == 0,
          "tile_product: bf16 in whole pairs only");
  TileProduct(product, x, w, y, accumulate, scratch).run();
}
void tile_product(Product product, ConstView x, const Nf4View& w, View y, bool accumulate,
                  std::span<std::byte> scratch) {
  require(x.stride % 2 == 0, "tile_product: bf16 in whole pairs only");
  TileProduct(product, x, w, y, accumulate, scratch).run();
}

}  // namespace loadline

#else

#include "kernels/storage.h"

namespace loadline {

bool multiplies_in_tiles(Product, DType, std::int64_t, std::int64_t) { return false; }

void tile_product(Product, ConstView, ConstView, View, bool, std::span<std::byte>) {
  require(false, "tile_product: this build has no tiles");
}
void tile_product(Product, ConstView, const Nf4View&, View, bool, std::span<std::byte>) {
  require(false, "tile_product: this build has no tiles");
}

}  // namespace loadline

#endif
