#include <poll.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstdio>
#include <new>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "base/address_space.h"
#include "base/error.h"
#include "base/json.h"
#include "cli/config_file.h"
#include "cli/mistyped.h"
#include "commands/command.h"
#include "commands/help.h"
#include "commands/man_page.h"
#include "machine/interrupt.h"
#include "machine/standard_streams.h"
#include "machine/thread_waits.h"
#include "report/text.h"
#include "workload/paths.h"

namespace loadline {
namespace {

struct CommandEntry {
  const char* name;
  const char* description;
  CommandFunction (*add)(Flags);
  bool computes = false;  // in this process, with all threads
  // Its answer lies in files: what it prints tells of it, and is not missed where stdout is closed.
  bool answers_in_files = false;
};

constexpr CommandEntry kCommands[] = {
    {"find", "Find the largest and the fastest LoRA configuration that this machine carries",
     add_find, false, true},
    {"train", "Train a LoRA adapter, with the saved profile or with the flags given", add_train,
     true, true},
    {"plan", "Show where every byte of a configuration goes, without running it", add_plan},
    {"generate", "Continue a prompt with a model, and an adapter", add_generate, true},
    {"fuse", "Merge an adapter into its base: a model folder of its own", add_fuse, true, true},
    {"adapter", "Show what an adapter holds; convert it between PEFT and mlx-lm", add_adapter},
    {"ask", "Answer from a search's trials, without running anything", add_ask},
    {"profile", "List, show or remove hardware profiles", add_profile},
    {"run", "List or remove the folders of searches", add_run},
    {"data", "Show rows, token lengths, masks, and what would be truncated", add_data},
    {"tokenize", "Text on stdin, token ids on stdout", add_tokenize},
    {"chat", "Render a chat template: a line of JSON messages on stdin, text on stdout", add_chat},
    {"pull", "Download a model of the Hugging Face Hub into its cache", add_pull},
    {"machine", "Show what was detected: memory, limits, CPU, caps", add_machine},
    {"completion", "Print a script that completes commands and flags in bash, zsh or fish",
     add_completion},
    {"worker", "", add_worker, true, true},  // a trial's child process; hidden
};

// Not by fmt, which throws where it cannot write.
int report(const std::string& message, int code) {
  (void)std::fflush(stdout);
  const std::string line = fmt::format("loadline: {}\n", printable_lines(message));
  (void)std::fputs(line.c_str(), stderr);
  return code;
}

// Whether one document on stdout was asked for, as far as the words that are known say it.
bool wants_document = false;

void learn_whether_document_is_wanted(std::span<const std::string> words) {
  constexpr std::string_view kValued = "--json=";
  for (const std::string& word : words) {
    if (word == "--json") wants_document = true;
    if (word.starts_with(kValued)) {
      wants_document = toggle_value(word.substr(kValued.size())).value_or(wants_document);
    }
  }
}

std::vector<FlagOrigin> flags_of_file;

// What is said of a flag that nobody typed says where it stands.
std::string with_origins(std::string message) {
  for (const FlagOrigin& origin : flags_of_file) {
    const std::size_t at = message.find(origin.name);
    if (at == std::string::npos) continue;
    const std::size_t end = at + origin.name.size();
    if (end < message.size() && (std::isalnum(message[end]) != 0 || message[end] == '-')) continue;
    message += fmt::format("\n{} stands in {}", origin.name, origin.place);
  }
  return message;
}

// An error that ends the program comes before its answer: where that was to be a document, this is
// it. Behind the words on stderr, as a pipe that is closed may end the process.
int refuse(const std::string& said, int code) {
  const std::string message = with_origins(said);
  (void)report(message, code);
  if (!wants_document || std::ferror(stdout) != 0) return code;
  const Json document{
      {"schema_version", 1}, {"status", "error"}, {"exit_code", code}, {"message", message}};
  const std::string text = document.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
  (void)std::fputs(text.c_str(), stdout);
  (void)std::fflush(stdout);
  return code;
}

int report_fault(const std::exception& error) {
  return refuse(fmt::format("a fault in loadline itself: {}. Please report it.", error.what()), 70);
}

bool is_read_by_nobody(int descriptor) {
  pollfd pipe{.fd = descriptor, .events = POLLOUT, .revents = 0};
  return ::poll(&pipe, 1, 0) == 1 && (pipe.revents & POLLERR) != 0;
}

// An answer that was not written whole is none. Whoever closed a pipe wants no more of it.
int with_written_output(int code, bool answers_in_files = false) {
  const int unwritten = std::fflush(stdout) == 0 ? 0 : errno;
  if (unwritten == 0 && std::ferror(stdout) == 0) return code;
  if (unwritten == EPIPE || is_read_by_nobody(STDOUT_FILENO)) return code;
  if (is_stdout_closed()) {
    if (answers_in_files && !wants_document) return code;
    return report("stdout is closed: what was to be printed there is lost", 4);
  }
  return report(unwritten == 0 ? "stdout could not be written whole. Is its disk full?"
                               : fmt::format("stdout could not be written: {}",
                                             std::generic_category().message(unwritten)),
                4);
}

// 0 for --help and --version, 2 for everything that was typed wrong.
int report_parse_end(const CLI::App& app, std::span<const std::string> arguments,
                     const CLI::ParseError& error) {
  if (error.get_exit_code() == static_cast<int>(CLI::ExitCodes::Success)) {
    return with_written_output(app.exit(error));
  }
  return refuse(mistyped(app, arguments, error), 2);
}

std::vector<const CLI::App*> subcommands_of(const CLI::App& app) {
  return app.get_subcommands([](const CLI::App*) { return true; });
}

// The flag's first name; empty where the command has none.
std::string first_name(const CLI::App& command, const std::string& flag) {
  const CLI::Option* option = command.get_option_no_throw(flag);
  const bool is_named = option != nullptr && !option->get_lnames().empty();
  return is_named ? "--" + option->get_lnames().front() : "";
}

// Whether the command of that name has the flag, or one below it; any where the name is empty.
bool has_flag(const CLI::App& app, const std::string& flag, const std::string& command) {
  const bool is_meant = command.empty() || app.get_name() == command;
  if (is_meant && !first_name(app, flag).empty()) return true;
  const auto below = subcommands_of(app);
  return std::any_of(below.begin(), below.end(), [&](const CLI::App* other) {
    return has_flag(*other, flag, is_meant ? "" : command);
  });
}

bool is_command(const std::string& word) {
  return std::any_of(std::begin(kCommands), std::end(kCommands),
                     [&](const CommandEntry& entry) { return word == entry.name; });
}

// Where no whole command is typed, all flags are let through: parsing says what is wrong.
std::vector<std::string> with_config_file(const CLI::App& app, std::vector<std::string> arguments) {
  const CLI::App& typed = command_typed(app, without_config_file(arguments));
  const bool is_whole = subcommands_of(typed).empty();
  const KnownFlags known{
      .first_name =
          [&](const std::string& flag) { return is_whole ? first_name(typed, flag) : flag; },
      .is_of_command = [&](const std::string& flag,
                           const std::string& command) { return has_flag(app, flag, command); },
      .is_command = is_command,
      .command_words =
          [&](const std::vector<std::string>& words) {
            return std::max<std::size_t>(1, command_words(app, words));
          }};
  return expand_config_file(arguments, known, &flags_of_file);
}

// expand_config_file() takes it away before parsing: this stands in --help, and what still comes
// here was typed as one word.
void describe_config_flag(CLI::App& command) {
  const auto refuse = [](const std::string& file) {
    throw usage_error("-c{}: give the file as a word of its own, -c {}", file, file);
  };
  command
      .add_option_function<std::string>("-c,--config", refuse,
                                        "Flags from a file, as batch-size = 4, in a section [find] "
                                        "for find alone; what is typed wins")
      ->type_name("FILE.toml");
}

// `help find` is `find --help`. Of a word that is no command parsing says so.
std::vector<std::string> words_of(int argc, char** argv) {
  std::vector<std::string> words(argv + 1, argv + argc);
  if (words.empty() || words.front() != "help") return words;
  words.erase(words.begin());
  if (words.empty() || is_command(words.front())) words.emplace_back("--help");
  return words;
}

bool wants_man_page(int argc, char** argv) {
  return argc == 3 && std::string_view(argv[1]) == "help" && std::string_view(argv[2]) == "--man";
}

int parse_and_run(int argc, char** argv) {
  CLI::App app("Loadline: how much LoRA training can this machine carry?", "loadline");
  app.set_help_flag("-h,--help", "Show this");
  app.set_version_flag("-V,--version", "loadline " LOADLINE_VERSION, "Show the version");
  app.require_subcommand(1);
  app.formatter_fn([](const CLI::App* command, const std::string&, CLI::AppFormatMode) {
    return help_text(*command, columns_of(stdout));
  });
  app.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  struct Parsed {
    const CLI::App* app;
    CommandFunction run;
    const CommandEntry* entry;
  };
  std::vector<Parsed> commands;
  for (const CommandEntry& entry : kCommands) {
    CLI::App* command = app.add_subcommand(entry.name, entry.description);
    if (*entry.description == '\0') command->group("");
    describe_config_flag(*command);
    commands.push_back({command, entry.add(Flags(*command)), &entry});
    for (CLI::App* below : command->get_subcommands([](CLI::App*) { return true; })) {
      describe_config_flag(*below);
    }
  }
  if (wants_man_page(argc, argv)) {
    std::fputs(man_page(app, LOADLINE_VERSION).c_str(), stdout);
    return with_written_output(0);
  }
  const std::vector<std::string> typed = words_of(argc, argv);
  learn_whether_document_is_wanted(typed);
  refuse_mistyped(app, typed);
  const std::vector<std::string> arguments = with_config_file(app, typed);
  learn_whether_document_is_wanted(arguments);
  try {
    app.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));
  } catch (const CLI::ParseError& error) {
    return report_parse_end(app, arguments, error);
  }
  for (const Parsed& command : commands) {
    if (!command.app->parsed()) continue;
    if (command.entry->computes) begin_again_with_short_waits(argv);
    return with_written_output(command.run(), command.entry->answers_in_files);
  }
  return 2;
}

}  // namespace

std::string place_of_flag(const std::string& name) {
  for (const FlagOrigin& origin : flags_of_file) {
    if (origin.name == name) return origin.place;
  }
  return "";
}

void forget_place_of_flag(const std::string& name) {
  std::erase_if(flags_of_file, [&](const FlagOrigin& origin) { return origin.name == name; });
}

bool is_shared_flag(const std::string& name) {
  return std::any_of(flags_of_file.begin(), flags_of_file.end(), [&](const FlagOrigin& origin) {
    return origin.name == name && origin.is_shared;
  });
}

int run_program(int argc, char** argv) {
  hold_standard_streams();
  keep_ended_children();
  ignore_file_size_limit();
  try {
    return parse_and_run(argc, argv);
  } catch (const Error& error) {
    return refuse(error.what(), error.exit_code());
  } catch (const std::bad_alloc&) {
    return refuse("out of memory in this process. Close other programs, or see `loadline machine`" +
                      words_of_address_limit() + ".",
                  4);
  } catch (const Json::type_error& error) {
    constexpr int kNoUtf8 = 316;  // https://json.nlohmann.me/home/exceptions
    if (error.id != kNoUtf8) return report_fault(error);
    return refuse("a folder's name is not UTF-8, as JSON must be: start in another, or set HOME",
                  2);
  } catch (const std::system_error& error) {  // a full disk behind stdout, a folder that is gone
    const bool is_output = std::ferror(stdout) != 0;
    if (is_output && is_stdout_closed()) return with_written_output(4);
    return refuse(is_output ? fmt::format("stdout could not be written: {}", error.code().message())
                            : fmt::format("{}.", error.what()),
                  4);
  } catch (const std::exception& error) {
    return report_fault(error);
  }
}

}  // namespace loadline
