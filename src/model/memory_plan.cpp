#include "model/memory_plan.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "kernels/nf4.h"

namespace loadline {
namespace {

constexpr std::uint64_t kAlignment = 64;
constexpr std::uint64_t kLargest = std::uint64_t{1} << 48;

constexpr std::uint64_t round_up(std::uint64_t n, std::uint64_t unit) {
  return (n + unit - 1) / unit * unit;
}

std::uint64_t checked_size(const std::string& name, const std::vector<std::int64_t>& shape,
                           DType dtype) {
  std::uint64_t bytes = dtype == DType::kNf4 ? 1 : size_of(dtype);
  for (const std::int64_t extent : shape) {
    const auto count = static_cast<std::uint64_t>(extent);
    if (extent < 0 || (count != 0 && bytes > kLargest / count)) {
      throw usage_error(
          "the buffer '{}' would need more than 2^48 bytes. A smaller batch, sequence length or "
          "rank is needed",
          name);
    }
    bytes *= count;
  }
  if (dtype == DType::kNf4) return nf4_bytes(shape.at(0), shape.at(1)).count;
  return bytes;
}

// Buffers that already have their place, by offset.
class Placed {
 public:
  Placed(std::uint64_t floor, std::size_t count) : floor_(floor) { taken_.reserve(count); }

  // The lowest offset at which `buffer` meets nobody.
  void put(Buffer& buffer) {
    std::uint64_t offset = floor_;
    for (const Taken& other : taken_) {
      if (other.begin >= offset + buffer.bytes.count) break;
      if (meet(buffer.life, other.life)) offset = std::max(offset, other.end);
    }
    buffer.offset = offset;
    const auto where =
        std::upper_bound(taken_.begin(), taken_.end(), offset,
                         [](std::uint64_t at, const Taken& t) { return at < t.begin; });
    taken_.insert(where, {offset, offset + buffer.bytes.count, buffer.life});
  }

 private:
  struct Taken {
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
    Lifetime life;
  };
  std::uint64_t floor_;
  std::vector<Taken> taken_;
};

Lifetime whole_step(const std::vector<Buffer>& buffers) {
  Lifetime whole;
  for (const Buffer& buffer : buffers) whole.last = std::max(whole.last, buffer.life.last);
  return whole;
}

}  // namespace

BufferId MemoryPlan::add(std::string name, std::string_view phase, std::vector<std::int64_t> shape,
                         DType dtype, Lifetime life) {
  const Bytes bytes{round_up(checked_size(name, shape, dtype), kAlignment)};
  buffers_.push_back({.name = std::move(name),
                      .shape = std::move(shape),
                      .dtype = dtype,
                      .life = life,
                      .phase = phase,
                      .bytes = bytes});
  return BufferId(buffers_.size() - 1);
}

void MemoryPlan::add_process(std::string name, Bytes bytes, Bytes untouched) {
  buffers_.push_back({.name = std::move(name),
                      .shape = {static_cast<std::int64_t>(bytes.count)},
                      .dtype = DType::kU8,
                      .life = {},
                      .phase = "process",
                      .bytes = bytes});
  process_ += bytes;
  untouched_ += untouched;
}

void MemoryPlan::place() {
  const Lifetime whole = whole_step(buffers_);
  std::uint64_t end = 0;
  std::vector<Buffer*> passing;
  passing.reserve(buffers_.size());
  for (Buffer& buffer : buffers_) {
    if (!buffer.in_arena()) continue;
    const bool always = buffer.life.first == whole.first && buffer.life.last == whole.last &&
                        buffer.life.half == Half::kBoth;
    if (!always) {
      passing.push_back(&buffer);
      continue;
    }
    // What always lives meets everybody: end to end, without a search.
    buffer.offset = end;
    end += buffer.bytes.count;
  }
  std::stable_sort(passing.begin(), passing.end(),
                   [](const Buffer* a, const Buffer* b) { return a->bytes > b->bytes; });
  Placed placed(end, passing.size());
  for (Buffer* buffer : passing) {
    placed.put(*buffer);
    end = std::max(end, buffer->offset + buffer->bytes.count);
  }
  arena_ = {round_up(end, kPageSize)};
}

}  // namespace loadline
