// Packed rows made on the spot.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

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

}  // namespace loadline
