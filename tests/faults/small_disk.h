// A disk of a few pages, to be full at the write that a test wants.
#pragma once

#include <sched.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>

#include "base/bytes.h"
#include "base/file.h"

namespace loadline {

// A tmpfs, mounted where only this process and its children see it.
class SmallDisk {
 public:
  static constexpr std::size_t kPage = 4096;

  // Why there can be none here; empty where there can.
  static std::string why_not() {
    static const std::string reason = [] {
      if (::geteuid() != 0) return std::string("mounting needs root");
      if (::unshare(CLONE_NEWNS) != 0) return std::string("unshare: ") + std::strerror(errno);
      if (::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
        return std::string("mount --make-rprivate /: ") + std::strerror(errno);
      }
      return std::string();
    }();
    return reason;
  }

  explicit SmallDisk(Bytes size) {
    const std::string options = "size=" + std::to_string(size.count);
    if (!why_not().empty() || ::mount("tmpfs", path().c_str(), "tmpfs", 0, options.c_str()) != 0) {
      throw std::runtime_error("a small disk cannot be mounted");
    }
  }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;
  ~SmallDisk() { ::umount2(path().c_str(), MNT_DETACH); }

  [[nodiscard]] std::filesystem::path path() const { return folder_.path(); }
  [[nodiscard]] std::size_t free_pages() const {
    struct statvfs status {};
    ::statvfs(path().c_str(), &status);
    return status.f_bavail;
  }
  // Takes all but so many pages.
  void leave(std::size_t pages) const {
    const std::size_t taken = free_pages() > pages ? free_pages() - pages : 0;
    std::ofstream(filler(), std::ios::binary) << std::string(taken * kPage, 'x');
  }
  void give_back() const { std::filesystem::remove(filler()); }
  void make_read_only() const {
    if (::mount("none", path().c_str(), nullptr, MS_REMOUNT | MS_RDONLY, nullptr) != 0) {
      throw std::runtime_error("a small disk cannot be made read-only");
    }
  }

 private:
  [[nodiscard]] std::filesystem::path filler() const { return path() / "filler"; }

  TemporaryFolder folder_;
};

}  // namespace loadline
