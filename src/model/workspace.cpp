#include "model/workspace.h"

#include <sys/mman.h>

#include <functional>
#include <numeric>
#include <stdexcept>

#include "base/address_space.h"
#include "base/error.h"

namespace loadline {
namespace {

std::int64_t elements_of(const Buffer& buffer) {
  return std::accumulate(buffer.shape.begin(), buffer.shape.end(), std::int64_t{1},
                         std::multiplies<>());
}

}  // namespace

Arena::Arena(Bytes size, std::string_view needs_less) : size_(size.count) {
  if (size_ == 0) return;
  void* mapping = mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapping == MAP_FAILED) {
    throw Error(ErrorKind::kDoesNotFit,
                fmt::format("the system refused {} ({} bytes) for the step's buffers. {}{}",
                            to_string(size), size.count, needs_less, words_of_address_limit()));
  }
  data_ = static_cast<std::byte*>(mapping);
  madvise(mapping, size_, MADV_HUGEPAGE);  // advice only: without huge pages all works, slower
  for (std::size_t at = 0; at < size_; at += kPageSize) {
    *static_cast<volatile std::byte*>(data_ + at) = std::byte{0};
  }
}

Arena::~Arena() {
  if (data_ != nullptr) munmap(data_, size_);
}

void* Workspace::place(BufferId id, DType dtype, std::int64_t elements) const {
  const Buffer& buffer = plan_->buffer(id);
  if (buffer.dtype != dtype || elements < 0 || elements > elements_of(buffer)) {
    throw std::logic_error(fmt::format("buffer '{}' holds {} of {}, but {} of {} were asked for",
                                       buffer.name, elements_of(buffer), name_of(buffer.dtype),
                                       elements, name_of(dtype)));
  }
  return arena_.bytes().subspan(buffer.offset, buffer.bytes.count).data();
}

View Workspace::matrix(BufferId id, std::int64_t rows) const {
  const Buffer& buffer = plan_->buffer(id);
  const std::int64_t cols = buffer.shape.size() == 2 ? buffer.shape[1] : 1;
  return {place(id, buffer.dtype, rows * cols), buffer.dtype, rows, cols, cols};
}

View Workspace::matrix(BufferId id) const { return matrix(id, plan_->buffer(id).shape.at(0)); }

std::span<float> Workspace::floats(BufferId id) const {
  return floats(id, elements_of(plan_->buffer(id)));
}

std::span<float> Workspace::floats(BufferId id, std::int64_t count) const {
  return {static_cast<float*>(place(id, DType::kF32, count)), static_cast<std::size_t>(count)};
}

std::span<std::int32_t> Workspace::ints(BufferId id, std::int64_t count) const {
  return {static_cast<std::int32_t*>(place(id, DType::kI32, count)),
          static_cast<std::size_t>(count)};
}

std::span<std::byte> Workspace::bytes(BufferId id) const {
  const Buffer& buffer = plan_->buffer(id);
  return arena_.bytes().subspan(buffer.offset, buffer.bytes.count);
}

Nf4View Workspace::nf4(BufferId id) const {
  const Buffer& buffer = plan_->buffer(id);
  if (buffer.dtype != DType::kNf4) {
    throw std::logic_error(
        fmt::format("buffer '{}' holds {}, no nf4", buffer.name, name_of(buffer.dtype)));
  }
  const std::int64_t rows = buffer.shape.at(0);
  return {.data = bytes(id).data(),
          .matrix_rows = rows,
          .first_row = 0,
          .rows = rows,
          .cols = buffer.shape.at(1)};
}

View Workspace::part(BufferId id, std::int64_t first, std::int64_t rows, std::int64_t cols) const {
  const DType dtype = plan_->buffer(id).dtype;
  auto* data = static_cast<std::byte*>(place(id, dtype, first + rows * cols));
  return {data + static_cast<std::size_t>(first) * size_of(dtype), dtype, rows, cols, cols};
}

}  // namespace loadline
