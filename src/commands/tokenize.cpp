// loadline tokenize: text on stdin, ids on stdout.
#include <cstdio>
#include <iostream>
#include <iterator>
#include <memory>
#include <string>

#include "base/error.h"
#include "base/json.h"
#include "commands/command.h"
#include "text/lenient_json.h"
#include "text/rows.h"
#include "text/tokenizer.h"
#include "workload/model_source.h"
#include "workload/options.h"
#include "workload/workload.h"

namespace loadline {
namespace {

struct TokenizeOptions {
  WorkloadOptions model;  // --model and --demo alone
  bool no_special = false;
  bool jsonl = false;
};

int tokenize_whole(const Tokenizer& tokenizer, bool add_special) {
  const std::string text{std::istreambuf_iterator<char>(std::cin),
                         std::istreambuf_iterator<char>()};
  const std::vector<std::int32_t> ids = tokenizer.encode(text, add_special);
  fmt::print("{}\n", fmt::join(ids, " "));
  return 0;
}

// A JSON string a line in, a JSON array of ids a line out. Before this waits for input, what it has
// is out: another program may wait for it.
int tokenize_lines(const Tokenizer& tokenizer, bool add_special) {
  std::ios::sync_with_stdio(false);  // else nobody knows what is buffered
  std::string line;
  for (std::int64_t number = 1; std::getline(std::cin, line); ++number) {
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    const std::string where = fmt::format("stdin:{}", number);
    const Json text = parse_json(with_valid_unicode(line), where);
    if (!text.is_string())
      throw bad_input("{}: should be a JSON string, but it is {}", where, text.type_name());
    fmt::print("[{}]\n",
               fmt::join(tokenizer.encode(text.get_ref<const std::string&>(), add_special), ","));
    if (std::cin.rdbuf()->in_avail() <= 0) std::fflush(stdout);
  }
  return 0;
}

}  // namespace

CommandFunction add_tokenize(Flags flags) {
  const auto options = std::make_shared<TokenizeOptions>();
  flags.under(kModelAndData)
      .value("--model DIR|ORG/NAME", options->model.model,
             "Folder with tokenizer.json, or ORG/NAME");
  add_demo_flag(flags, options->model, "The embedded model");
  flags.toggle("--no-special", options->no_special, "Add no special tokens (bos, eos)");
  flags.toggle("--jsonl", options->jsonl,
               "A JSON string a line in, a JSON array of ids a line out");
  return [options] {
    const std::filesystem::path folder = model_folder_of(options->model, ModelParts::kText);
    tokenizer_file(folder);  // or an error
    const RowReader reader(folder, INT32_MAX, {});
    const Tokenizer& tokenizer = *reader.tokenizer();
    return options->jsonl ? tokenize_lines(tokenizer, !options->no_special)
                          : tokenize_whole(tokenizer, !options->no_special);
  };
}

}  // namespace loadline
