// What the fuzz targets share: a broken promise aborts, so that libFuzzer keeps the input.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string_view>

#include "base/error.h"

namespace loadline {

inline void require(bool promise) {
  if (!promise) std::abort();
}

// Whatever hostile bytes are given: an answer, or an Error that says that they are bad.
template <typename Function>
void only_bad_input(Function function) {
  try {
    function();
  } catch (const Error& error) {
    require(error.kind() == ErrorKind::kBadInput);
  }
}

// Not replace_file: thousands a second need not be on the disk.
inline void put_file(const std::filesystem::path& path, std::string_view content) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(content.data(), static_cast<std::streamsize>(content.size()));
  file.close();
  require(file.good());
}

}  // namespace loadline
