// Git LFS leaves a small text file where a large one belongs, until `git lfs pull` fetches it.
#pragma once

#include <filesystem>
#include <string_view>

#include "base/error.h"

namespace loadline {

// Throws Error(kBadInput) with the way out where `head`, the beginning of `file`, is a pointer's.
inline void refuse_lfs_pointer(std::string_view head, const std::filesystem::path& file) {
  if (!head.starts_with("version https://git-lfs.github.com/spec/v1")) return;
  throw bad_input(
      "{}: is a Git LFS pointer, not the file itself: run `git lfs pull` in the folder that was "
      "cloned, or download the file",
      file.string());
}

}  // namespace loadline
