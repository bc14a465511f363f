// Any bytes are a safetensors header that holds what SafetensorsHeader promises, or an Error.
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>

#include "checkpoint/safetensors.h"
#include "promise.h"

namespace loadline {
namespace {

// The tensors lie inside the data, one behind the other, and have the bytes of their shapes.
void check(const SafetensorsHeader& header) {
  std::uint64_t sum = 0;
  for (const auto& [name, tensor] : header.tensors) {
    require(tensor.begin >= header.data_begin && tensor.begin <= header.file_size);
    require(tensor.bytes <= header.file_size - tensor.begin);
    std::int64_t elements = 1;
    for (const std::int64_t n : tensor.shape) {
      require(n >= 0 && !__builtin_mul_overflow(elements, n, &elements));
    }
    require(elements == tensor.elements());
    require(static_cast<std::uint64_t>(elements) * size_of(tensor.dtype) == tensor.bytes);
    sum += tensor.bytes;
  }
  require(sum == header.file_size - header.data_begin);
}

void parse(std::span<const std::byte> start, std::uint64_t file_size) {
  only_bad_input([&] { check(parse_safetensors_header(start, file_size, "fuzz.safetensors")); });
}

}  // namespace
}  // namespace loadline

// Twice: as a whole file, and as the header's text behind a length that fits, so that mutations
// reach the JSON. The first two bytes say how much data follows it.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  loadline::parse(bytes, size);
  if (size < 2) return 0;
  std::uint16_t data_bytes = 0;
  std::memcpy(&data_bytes, data, sizeof(data_bytes));
  const std::uint64_t length = size - 2;
  std::string file(sizeof(length), '\0');
  std::memcpy(file.data(), &length, sizeof(length));
  file.append(reinterpret_cast<const char*>(data) + 2, size - 2);
  loadline::parse(std::as_bytes(std::span(file)), file.size() + data_bytes);
  return 0;
}
