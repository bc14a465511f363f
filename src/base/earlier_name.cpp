#include "base/earlier_name.h"

#include <fmt/format.h>

#include <array>
#include <string>

#include "base/file.h"

namespace loadline {

std::filesystem::path earlier_name(const std::filesystem::path& folder, std::time_t time) {
  std::filesystem::path plain = folder.lexically_normal();
  if (!plain.has_filename()) plain = plain.parent_path();
  std::tm parts{};
  gmtime_r(&time, &parts);
  std::array<char, 32> text{};
  const std::size_t size = std::strftime(text.data(), text.size(), ".%Y-%m-%dT%H-%M-%SZ", &parts);
  const std::string first = plain.string() + std::string(text.data(), size);
  std::filesystem::path name = first;
  for (int n = 2; is_there(name); ++n) name = fmt::format("{}-{}", first, n);
  return name;
}

}  // namespace loadline
