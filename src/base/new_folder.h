// A folder that is there whole or not at all.
#pragma once

#include <filesystem>

#include "base/file.h"

namespace loadline {

// Filled beside its place, then renamed into it.
class NewFolder {
 public:
  // Removes what a process that was killed left of this very place: PLACE.XXXXXX with a mark in it
  // that nobody holds. Throws Error(kUsage) when something is at `place` that is not an empty
  // folder, and Error(kEnvironment) when nothing can be made beside it.
  explicit NewFolder(std::filesystem::path place);
  NewFolder(const NewFolder&) = delete;
  NewFolder& operator=(const NewFolder&) = delete;
  ~NewFolder();  // without commit() nothing is left

  // Where its content goes until commit().
  [[nodiscard]] const std::filesystem::path& path() const { return temporary_; }
  void commit();

 private:
  std::filesystem::path place_;
  std::filesystem::path temporary_;  // empty after commit()
  FileDescriptor mark_;              // locked as long as this process fills the folder
};

}  // namespace loadline
