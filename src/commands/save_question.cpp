#include "commands/save_question.h"

#include <istream>
#include <optional>
#include <string>

#include "report/print.h"

namespace loadline {
namespace {

// In small letters, without the blanks around it.
std::string bare(const std::string& line) {
  constexpr const char* kBlanks = " \t\r";
  const std::size_t begin = line.find_first_not_of(kBlanks);
  if (begin == std::string::npos) return "";
  std::string word = line.substr(begin, line.find_last_not_of(kBlanks) - begin + 1);
  for (char& c : word) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return word;
}

std::optional<bool> answer_of(const std::string& line) {
  const std::string word = bare(line);
  if (word.empty() || word == "y" || word == "yes") return true;
  if (word == "n" || word == "no") return false;
  return std::nullopt;
}

}  // namespace

bool wants_saving(std::istream& in, std::FILE* out) {
  tell(out, "Save as hardware profile for future use? [Y/n] ");
  for (std::string line; std::getline(in, line);) {
    if (const std::optional<bool> answer = answer_of(line)) return *answer;
    tell(out, "Yes or no? [Y/n] ");
  }
  tell(out, "\n");  // what comes next does not stand behind the question
  return false;
}

}  // namespace loadline
