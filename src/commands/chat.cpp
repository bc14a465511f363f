// loadline chat: renders a chat template.
#include <cstdio>
#include <iostream>
#include <memory>
#include <string>

#include "base/error.h"
#include "base/json.h"
#include "commands/command.h"
#include "text/conversation_fields.h"
#include "text/rows.h"
#include "workload/options.h"
#include "workload/workload.h"

namespace loadline {
namespace {

constexpr std::int64_t kAnyVocabulary = INT32_MAX;  // rendering makes no ids

struct ChatOptions {
  WorkloadOptions model;  // --model and --demo alone
  bool template_jsonl = false;
  bool add_generation_prompt = false;
};

// The line's own template over the line's other keys.
std::string render_line(const std::string& line, const std::string& where) {
  Json variables = parse_json(line, where);
  const ChatTemplate chat(json_string(variables, "chat_template", where), where);
  variables.erase("chat_template");
  return chat.render(variables);
}

int render_template_lines() {
  std::string line;
  for (std::int64_t number = 1; std::getline(std::cin, line); ++number) {
    Json answer = Json::object();
    try {
      answer["text"] = render_line(line, fmt::format("stdin:{}", number));
    } catch (const Error& error) {
      answer["error"] = error.what();
    }
    fmt::print("{}\n", answer.dump(-1, ' ', false, Json::error_handler_t::replace));
    std::fflush(stdout);
  }
  return 0;
}

std::string render_row(const RowReader& reader, const Json& row, bool add_generation_prompt) {
  const Json* messages = row.is_array() ? &row : json_find(row, "messages");
  if (messages == nullptr) throw bad_input("should be a list of messages");
  require_messages(*messages, "messages");
  const Json* tools = json_find(row, "tools");
  return reader.render(*messages, tools == nullptr ? Json() : parse_tools(*tools),
                       add_generation_prompt);
}

// A JSON list of messages, or an object with "messages" and "tools", a line.
int render_with_model(const ChatOptions& options) {
  const RowReader reader(model_folder_of(options.model, ModelParts::kText), kAnyVocabulary, {});
  std::string line;
  for (std::int64_t number = 1; std::getline(std::cin, line); ++number) {
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    const std::string where = fmt::format("stdin:{}", number);
    const Json document = parse_json(line, where);
    try {
      fmt::print("{}", render_row(reader, document, options.add_generation_prompt));
    } catch (const Error& error) {
      throw Error(error.kind(), fmt::format("{}: {}", where, error.what()));
    }
  }
  return 0;
}

}  // namespace

CommandFunction add_chat(Flags flags) {
  const auto options = std::make_shared<ChatOptions>();
  flags.toggle("--template-jsonl", options->template_jsonl,
               "stdin: {\"chat_template\",\"messages\",...} a line; stdout: "
               "{\"text\"} or {\"error\"} a line");
  flags.under(kModelAndData)
      .value("--model DIR|ORG/NAME", options->model.model,
             "Folder, or ORG/NAME, whose chat template is used; stdin: a list of messages, or "
             "{\"messages\",\"tools\"}, a line");
  add_demo_flag(flags, options->model, "The embedded model");
  flags.toggle("--add-generation-prompt", options->add_generation_prompt,
               "End with the assistant's opening");
  return [options] {
    const bool has_model = options->model.demo || !options->model.model.empty();
    if (options->template_jsonl && (has_model || options->add_generation_prompt)) {
      throw usage_error(
          "--template-jsonl takes the template and add_generation_prompt from each line: leave out "
          "--model, --demo and --add-generation-prompt");
    }
    if (options->template_jsonl) return render_template_lines();
    if (!has_model) {
      throw usage_error("chat needs --model DIR, --model ORG/NAME, --demo or --template-jsonl");
    }
    return render_with_model(*options);
  };
}

}  // namespace loadline
