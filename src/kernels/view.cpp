#include "kernels/view.h"

#include <fmt/format.h>

#include <stdexcept>

namespace loadline {
namespace {

void require_part(const char* what, std::int64_t begin, std::int64_t count, std::int64_t size) {
  if (begin >= 0 && count >= 0 && begin <= size && count <= size - begin) return;
  throw std::logic_error(
      fmt::format("{} [{}, {} + {}) of a view that has {}", what, begin, begin, count, size));
}

// Arithmetic on bytes, as the type is known at run time only.
template <typename V, typename Byte>
V part(V view, std::int64_t row, std::int64_t col, std::int64_t rows, std::int64_t cols) {
  const auto elements = row * view.stride + col;
  if (view.data != nullptr) {
    view.data =
        static_cast<Byte*>(view.data) + elements * static_cast<std::int64_t>(size_of(view.dtype));
  }
  view.rows = rows;
  view.cols = cols;
  return view;
}

}  // namespace

View View::columns(std::int64_t begin, std::int64_t count) const {
  require_part("columns", begin, count, cols);
  return part<View, std::byte>(*this, 0, begin, rows, count);
}

View View::slice(std::int64_t begin, std::int64_t count) const {
  require_part("rows", begin, count, rows);
  return part<View, std::byte>(*this, begin, 0, count, cols);
}

ConstView ConstView::columns(std::int64_t begin, std::int64_t count) const {
  require_part("columns", begin, count, cols);
  return part<ConstView, const std::byte>(*this, 0, begin, rows, count);
}

ConstView ConstView::slice(std::int64_t begin, std::int64_t count) const {
  require_part("rows", begin, count, rows);
  return part<ConstView, const std::byte>(*this, begin, 0, count, cols);
}

}  // namespace loadline
