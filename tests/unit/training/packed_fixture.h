// Packed rows made on the spot.
#pragma once

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/file.h"
#include "text/packed.h"

namespace loadline {

// Rows of these lengths, with ids that tell rows and places apart: row * 16 + place, below `vocab`.
inline std::vector<TokenizedRow> rows_of_lengths(const std::vector<std::int64_t>& lengths,
                                                 std::int32_t vocab = 2048) {
  std::vector<TokenizedRow> rows;
  for (std::size_t r = 0; r < lengths.size(); ++r) {
    TokenizedRow row;
    for (std::int64_t t = 0; t < lengths[r]; ++t) {
      row.ids.push_back(static_cast<std::int32_t>((static_cast<std::int64_t>(r) * 16 + t) % vocab));
    }
    row.in_loss.assign(row.ids.size(), true);
    rows.push_back(row);
  }
  return rows;
}

inline std::filesystem::path write_packed(const std::filesystem::path& path,
                                          const std::vector<TokenizedRow>& rows,
                                          const std::string& fingerprint = "of-a-test") {
  PackedWriter writer(path, fingerprint);
  for (const TokenizedRow& row : rows) writer.add(row);
  writer.finish();
  return path;
}

// How much of the mapped file is in this process's memory.
inline Bytes resident_of(const std::filesystem::path& path) {
  std::ifstream maps("/proc/self/smaps");
  Bytes sum;
  bool is_of_file = false;
  for (std::string line; std::getline(maps, line);) {
    if (line.find('-') < line.find(' ')) is_of_file = line.ends_with(path.string());
    if (is_of_file && line.starts_with("Rss:")) sum += Bytes{std::stoull(line.substr(4)) * 1024};
  }
  return sum;
}

}  // namespace loadline
