// Cutting, finding and replacing in texts (jinja/text.h).
#include <algorithm>
#include <cstring>

#include "jinja/text.h"

namespace loadline::jinja {
namespace {

bool is_stripped(std::string_view point, const std::string* set) {
  if (set == nullptr) return is_space(first_point(point).code);
  return find_bytes(*set, point) != std::string_view::npos;
}

bool is_line_end(std::uint32_t code) {
  return (code >= 0x0A && code <= 0x0D) || (code >= 0x1C && code <= 0x1E) || code == 0x85 ||
         code == 0x2028 || code == 0x2029;
}

void keep(std::vector<std::string>& parts, std::string_view part, Meter& meter) {
  meter.allocate(part.size() + sizeof(std::string));
  parts.emplace_back(part);
}

std::vector<std::string> split_space(std::string_view text, std::int64_t limit, Meter& meter) {
  std::vector<std::string> parts;
  text = strip(text, true, false);
  while (!text.empty()) {
    if (limit >= 0 && static_cast<std::int64_t>(parts.size()) == limit) {
      keep(parts, text, meter);
      break;
    }
    std::size_t end = 0;
    while (end < text.size() && !is_space(first_point(text.substr(end)).code)) {
      end += first_point(text.substr(end)).size;
    }
    keep(parts, text.substr(0, end), meter);
    text = strip(text.substr(end), true, false);
  }
  return parts;
}

std::vector<std::string> split_space_from_right(std::string_view text, std::int64_t limit,
                                                Meter& meter) {
  std::vector<std::string> parts;
  text = strip(text, false, true);
  while (!text.empty()) {
    if (limit >= 0 && static_cast<std::int64_t>(parts.size()) == limit) {
      keep(parts, text, meter);
      break;
    }
    std::size_t begin = text.size();
    while (begin > 0) {
      const std::size_t size = last_point_size(text.substr(0, begin));
      if (is_space(first_point(text.substr(begin - size)).code)) break;
      begin -= size;
    }
    keep(parts, text.substr(begin), meter);
    text = strip(text.substr(0, begin), false, true);
  }
  std::reverse(parts.begin(), parts.end());
  return parts;
}

void require_separator(const std::string& separator) {
  if (separator.empty()) throw Failure("empty separator");
}

}  // namespace

std::string_view strip(std::string_view text, bool left, bool right, const std::string* set) {
  while (left && !text.empty()) {
    const std::size_t size = first_point(text).size;
    if (!is_stripped(text.substr(0, size), set)) break;
    text.remove_prefix(size);
  }
  while (right && !text.empty()) {
    const std::size_t size = last_point_size(text);
    if (!is_stripped(text.substr(text.size() - size), set)) break;
    text.remove_suffix(size);
  }
  return text;
}

std::vector<std::string> split_lines(std::string_view text, bool keep_ends) {
  std::vector<std::string> lines;
  std::size_t begin = 0;
  std::size_t at = 0;
  while (at < text.size()) {
    const Point point = first_point(text.substr(at));
    std::size_t end = at + point.size;
    if (is_line_end(point.code)) {
      if (point.code == '\r' && end < text.size() && text[end] == '\n') ++end;
      lines.emplace_back(text.substr(begin, (keep_ends ? end : at) - begin));
      begin = end;
    }
    at = end;
  }
  if (begin < text.size()) lines.emplace_back(text.substr(begin));
  return lines;
}

std::vector<std::string> split(std::string_view text, const std::string* separator,
                               std::int64_t limit, Meter& meter) {
  meter.touch(text.size());
  if (separator == nullptr) return split_space(text, limit, meter);
  require_separator(*separator);
  std::vector<std::string> parts;
  std::size_t begin = 0;
  while (limit < 0 || static_cast<std::int64_t>(parts.size()) < limit) {
    const std::size_t at = find_bytes(text, *separator, begin);
    if (at == std::string_view::npos) break;
    keep(parts, text.substr(begin, at - begin), meter);
    begin = at + separator->size();
  }
  keep(parts, text.substr(begin), meter);
  return parts;
}

std::vector<std::string> split_from_right(std::string_view text, const std::string* separator,
                                          std::int64_t limit, Meter& meter) {
  meter.touch(text.size());
  if (separator == nullptr) return split_space_from_right(text, limit, meter);
  require_separator(*separator);
  // Once turned round, the last is the first.
  const std::string backwards(text.rbegin(), text.rend());
  const std::string wanted(separator->rbegin(), separator->rend());
  std::vector<std::string> parts = split(backwards, &wanted, limit, meter);
  for (std::string& part : parts) std::reverse(part.begin(), part.end());
  std::reverse(parts.begin(), parts.end());
  return parts;
}

std::size_t find_bytes(std::string_view text, std::string_view needle, std::size_t from) {
  if (from > text.size()) return std::string_view::npos;
  if (needle.empty()) return from;
  const void* at = memmem(text.data() + from, text.size() - from, needle.data(), needle.size());
  if (at == nullptr) return std::string_view::npos;
  return static_cast<std::size_t>(static_cast<const char*>(at) - text.data());
}

std::size_t rfind_bytes(std::string_view text, std::string_view needle) {
  std::string backwards(text.rbegin(), text.rend());
  const std::string wanted(needle.rbegin(), needle.rend());
  const std::size_t at = find_bytes(backwards, wanted);
  return at == std::string_view::npos ? at : text.size() - at - needle.size();
}

std::int64_t count_of(std::string_view text, std::string_view needle) {
  if (needle.empty()) return static_cast<std::int64_t>(code_point_count(text)) + 1;
  std::int64_t count = 0;
  for (std::size_t at = find_bytes(text, needle); at != std::string_view::npos;
       at = find_bytes(text, needle, at + needle.size())) {
    ++count;
  }
  return count;
}

std::string replace_all(std::string_view text, std::string_view old, std::string_view with,
                        std::int64_t limit, Meter& meter) {
  meter.touch(text.size());
  std::string out;
  std::size_t begin = 0;
  const auto put = [&](std::string_view piece) {
    meter.check_text(out.size() + piece.size());
    out += piece;
  };
  for (std::int64_t done = 0; limit < 0 || done < limit; ++done) {
    if (old.empty()) {
      put(with);
      if (begin == text.size()) return out;
      const std::size_t size = first_point(text.substr(begin)).size;
      put(text.substr(begin, size));
      begin += size;
      continue;
    }
    const std::size_t at = find_bytes(text, old, begin);
    if (at == std::string_view::npos) break;
    put(text.substr(begin, at - begin));
    put(with);
    begin = at + old.size();
  }
  put(text.substr(begin));
  meter.allocate(out.size());
  return out;
}

std::string escape_html(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&#34;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

}  // namespace loadline::jinja
