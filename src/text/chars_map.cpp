#include "text/chars_map.h"

#include <utf8proc.h>

#include "base/error.h"
#include "text/unicode.h"
#include "text/unicode_differences.h"

namespace loadline {
namespace {

constexpr std::size_t kUnitBytes = 4;
constexpr std::size_t kLongestCluster = 5;

std::uint32_t number_at(std::string_view bytes, std::size_t at) {
  std::uint32_t number = 0;
  for (std::size_t i = 0; i < kUnitBytes; ++i) {
    number |= std::uint32_t{static_cast<unsigned char>(bytes[at + i])} << 8 * i;
  }
  return number;
}

// A unit of the double array: where the node's children are, whether an entry ends there, and the
// byte that leads to it. The unit of an entry's end has its value.
bool has_entry(std::uint32_t unit) { return (unit >> 8 & 1U) != 0; }
std::uint32_t value_of(std::uint32_t unit) { return unit & 0x7FFFFFFFU; }
std::uint32_t label_of(std::uint32_t unit) { return unit & 0x800000FFU; }
std::uint64_t offset_of(std::uint32_t unit) {
  return std::uint64_t{unit >> 10} << ((unit & (1U << 9)) >> 6);
}

// `c`, or for a mark that utf8proc does not know yet one that it knows.
utf8proc_int32_t known_mark(char32_t c) {
  return static_cast<utf8proc_int32_t>(c >= 0x800 && newer_category(c).starts_with('M') ? 0x301
                                                                                        : c);
}

// Where the grapheme cluster that `text` begins with ends.
std::size_t cluster_end(std::string_view text) {
  const auto is_plain = [&](std::size_t i) {
    return i == text.size() || (static_cast<unsigned char>(text[i]) < 0x80 && text[i] != '\n');
  };
  if (is_plain(0) && is_plain(1)) return 1;  // but for CR LF, ASCII stands alone
  const CodePoint first = first_code_point(text);
  utf8proc_int32_t state = 0;
  utf8proc_int32_t previous = known_mark(first.value);
  std::size_t at = first.bytes;
  while (at < text.size()) {
    const CodePoint c = first_code_point(text.substr(at));
    const utf8proc_int32_t next = known_mark(c.value);
    if (utf8proc_grapheme_break_stateful(previous, next, &state)) break;
    at += c.bytes;
    previous = next;
  }
  return at;
}

}  // namespace

CharsMap::CharsMap(std::string_view bytes, const std::string& source) : source_(source) {
  const std::size_t tree = bytes.size() < kUnitBytes ? 0 : number_at(bytes, 0);
  if (tree < kUnitBytes || tree > bytes.size() - kUnitBytes) {
    throw bad_input("{}: precompiled_charsmap has {} bytes, but its tree {}", source, bytes.size(),
                    tree);
  }
  for (std::size_t i = 0; i < tree / kUnitBytes; ++i) {
    units_.push_back(number_at(bytes, kUnitBytes * (i + 1)));
  }
  replacements_ = bytes.substr(kUnitBytes * (units_.size() + 1));
  if (!is_valid_utf8(replacements_)) {
    throw bad_input("{}: precompiled_charsmap replaces by what is not UTF-8", source);
  }
}

void CharsMap::refuse() const {
  throw bad_input("{}: precompiled_charsmap is damaged: its tree leads outside", source_);
}

std::uint32_t CharsMap::unit(std::uint64_t place) const {
  if (place >= units_.size()) refuse();
  return units_[place];
}

std::string_view CharsMap::replacement(std::uint32_t at) const {
  const std::string_view all = replacements_;
  const bool inside = at < all.size() && (static_cast<unsigned char>(all[at]) & 0xC0U) != 0x80U;
  if (!inside && at != all.size()) refuse();
  return all.substr(at, all.find('\0', at) - at);
}

std::optional<std::string_view> CharsMap::find(std::string_view piece) const {
  std::uint64_t place = offset_of(units_[0]);
  for (const char c : piece) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte == 0) break;
    place ^= byte;
    const std::uint32_t node = unit(place);
    if (label_of(node) != byte) break;
    place ^= offset_of(node);
    if (has_entry(node)) return replacement(value_of(unit(place)));
  }
  return std::nullopt;
}

void apply_chars_map(const CharsMap& map, std::string& text) {
  std::string mapped;
  for (std::string_view rest = text; !rest.empty();) {
    std::string_view cluster = rest.substr(0, cluster_end(rest));
    rest.remove_prefix(cluster.size());
    const auto whole = cluster.size() <= kLongestCluster ? map.find(cluster) : std::nullopt;
    if (whole) {
      mapped += *whole;
      continue;
    }
    while (!cluster.empty()) {
      const std::string_view character = cluster.substr(0, first_code_point(cluster).bytes);
      mapped += map.find(character).value_or(character);
      cluster.remove_prefix(character.size());
    }
  }
  text.swap(mapped);
}

}  // namespace loadline
