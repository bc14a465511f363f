#include "base/program_pages.h"

#include <fcntl.h>
#include <link.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "base/file.h"

namespace loadline {
namespace {

// The mathematics, the threads, and what finds a function at its first call.
constexpr std::array<std::string_view, 3> kHeldWhole{"libm.so", "libgomp.so", "ld-linux"};

struct Pages {
  std::uintptr_t begin = 0, end = 0;
};

class ProgramPages {
 public:
  void forget(const dl_phdr_info& object) const {
    const std::string_view path = object.dlpi_name == nullptr ? "" : object.dlpi_name;
    for (const ElfW(Phdr) & part : std::span(object.dlpi_phdr, object.dlpi_phnum)) {
      if (part.p_type != PT_LOAD || (part.p_flags & PF_W) != 0) continue;
      const Pages pages = pages_of(object.dlpi_addr + part.p_vaddr, part.p_memsz);
      if (!is_as_in_file(pages)) continue;
      (void)::madvise(reinterpret_cast<void*>(pages.begin), pages.end - pages.begin, MADV_DONTNEED);
      if ((part.p_flags & PF_R) == 0) continue;
      const bool is_own_code = path.empty() && (part.p_flags & PF_X) != 0;
      if (is_own_code || is_held_whole(path)) touch(pages);
    }
  }

 private:
  static bool is_held_whole(std::string_view path) {
    const std::string_view name = path.substr(path.rfind('/') + 1);
    return std::ranges::any_of(kHeldWhole,
                               [&](std::string_view held) { return name.starts_with(held); });
  }

  [[nodiscard]] Pages pages_of(std::uintptr_t address, std::size_t size) const {
    return {address / page_ * page_, (address + size + page_ - 1) / page_ * page_};
  }

  // What was written is in no file, and would be lost. By the kernel's own word
  // (Documentation/admin-guide/mm/pagemap.rst); where it gives none, nothing is let go.
  [[nodiscard]] bool is_as_in_file(Pages pages) const {
    constexpr std::uint64_t kPresent = std::uint64_t{1} << 63;
    constexpr std::uint64_t kSwapped = std::uint64_t{1} << 62;
    constexpr std::uint64_t kOfFile = std::uint64_t{1} << 61;
    std::array<std::uint64_t, 512> entries{};
    std::uintptr_t at = pages.begin / page_;
    while (at < pages.end / page_) {
      const std::size_t count = std::min<std::size_t>(entries.size(), pages.end / page_ - at);
      const std::size_t size = count * sizeof(entries[0]);
      const ssize_t got = ::pread(pagemap_.get(), entries.data(), size,
                                  static_cast<off_t>(at * sizeof(entries[0])));
      if (got != static_cast<ssize_t>(size)) return false;
      const auto is_written = [](std::uint64_t entry) {
        return (entry & kSwapped) != 0 || ((entry & kPresent) != 0 && (entry & kOfFile) == 0);
      };
      if (std::any_of(entries.begin(), entries.begin() + static_cast<std::ptrdiff_t>(count),
                      is_written)) {
        return false;
      }
      at += count;
    }
    return true;
  }

  void touch(Pages pages) const {
    for (std::uintptr_t at = pages.begin; at < pages.end; at += page_) {
      (void)*reinterpret_cast<const volatile std::byte*>(at);
    }
  }

  FileDescriptor pagemap_{::open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC)};
  std::uintptr_t page_ = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
};

}  // namespace

void forget_program_pages() {
  const ProgramPages pages;
  ::dl_iterate_phdr(
      [](dl_phdr_info* object, std::size_t /*size*/, void* program) {
        static_cast<const ProgramPages*>(program)->forget(*object);
        return 0;
      },
      const_cast<ProgramPages*>(&pages));
}

}  // namespace loadline
