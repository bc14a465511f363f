#include "base/address_space.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <string>

#include "base/error.h"
#include "base/file.h"

namespace loadline {
namespace {

std::string read_maps() {
  const FileDescriptor fd(::open("/proc/self/maps", O_RDONLY | O_CLOEXEC));
  std::string text;
  char piece[16384];
  while (fd.is_open()) {
    const ssize_t n = ::read(fd.get(), piece, sizeof piece);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    text.append(piece, static_cast<std::size_t>(n));
  }
  return text;
}

// Refused, it stays as it was.
void make_read_only(std::uintptr_t begin, std::uintptr_t end) {
  if (begin >= end) return;
  (void)::mprotect(reinterpret_cast<void*>(begin), end - begin, PROT_READ | PROT_EXEC);
}

}  // namespace

void require_room(Bytes bytes, std::string_view what) {
  if (bytes.count == 0) return;
  void* room =
      ::mmap(nullptr, bytes.count, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (room == MAP_FAILED) {
    throw Error(ErrorKind::kDoesNotFit,
                fmt::format("the system refused {} for {}: what this process may map is used up{}",
                            to_string(bytes), what, words_of_address_limit()));
  }
  ::munmap(room, bytes.count);
}

std::string words_of_address_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return "";
  return fmt::format(
      ". `ulimit -v` (RLIMIT_AS) is {}, and counts all addresses that are mapped, not the memory "
      "that is used: raise it, or set --memory-limit instead",
      to_string(Bytes{limit.rlim_cur}));
}

Bytes stack_of_a_thread() {
  pthread_attr_t attributes;
  std::size_t stack = (8_MiB).count;
  if (::pthread_getattr_default_np(&attributes) == 0) {
    ::pthread_attr_getstacksize(&attributes, &stack);
    ::pthread_attr_destroy(&attributes);
  }
  return Bytes{stack};
}

GeneratedCode::GeneratedCode() : before_(writable_code()) {}

// Lines like "7f01a0000000-7f01a0040000 rwxp 00000000 00:00 0": private and of no file.
std::vector<GeneratedCode::Range> GeneratedCode::writable_code() {
  constexpr std::string_view kAnonymous = " rwxp 00000000 00:00 0";
  std::vector<Range> ranges;
  const std::string maps = read_maps();
  std::string_view rest = maps;
  while (!rest.empty()) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    const std::size_t dash = line.find('-');
    const std::size_t blank = line.find(' ');
    if (blank == std::string_view::npos || dash > blank) continue;
    if (!line.substr(blank).starts_with(kAnonymous)) continue;
    Range range;
    std::from_chars(line.data(), line.data() + dash, range.begin, 16);
    std::from_chars(line.data() + dash + 1, line.data() + blank, range.end, 16);
    if (range.begin < range.end) ranges.push_back(range);
  }
  return ranges;
}

void GeneratedCode::seal() const {
  for (const Range& now : writable_code()) {
    std::uintptr_t from = now.begin;
    // The kernel joins neighbours, so a range may hold older ones.
    for (const Range& old : before_) {
      if (old.end <= from || old.begin >= now.end) continue;
      make_read_only(from, old.begin);
      from = old.end;
    }
    make_read_only(from, now.end);
  }
}

}  // namespace loadline
