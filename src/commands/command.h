// One file for each command: wiring only. A command adds its flags to the parser; the function that
// it returns runs it.
#pragma once

#include <functional>
#include <string>

#include "cli/flags.h"

namespace loadline {

// The whole program: parses, runs, reports errors on stderr, returns the exit code of README.md.
int run_program(int argc, char** argv);

// Where a -c file says the flag, "flags.toml:2"; empty where none does, or it was typed.
std::string place_of_flag(const std::string& name);

// Another value counts: no error says any more that it stands there.
void forget_place_of_flag(const std::string& name);

// Whether a -c file says the flag above all sections, for each command that has it, and nobody
// typed it: where it has no effect that is no mistake.
bool is_shared_flag(const std::string& name);

// Runs a parsed command and returns the exit code; throws Error.
using CommandFunction = std::function<int()>;

CommandFunction add_find(Flags flags);
CommandFunction add_train(Flags flags);
CommandFunction add_ask(Flags flags);
CommandFunction add_plan(Flags flags);
CommandFunction add_fuse(Flags flags);
CommandFunction add_generate(Flags flags);
CommandFunction add_adapter(Flags flags);
CommandFunction add_profile(Flags flags);
CommandFunction add_run(Flags flags);
CommandFunction add_data(Flags flags);
CommandFunction add_tokenize(Flags flags);
CommandFunction add_chat(Flags flags);
CommandFunction add_pull(Flags flags);
CommandFunction add_machine(Flags flags);
CommandFunction add_completion(Flags flags);
CommandFunction add_worker(Flags flags);

}  // namespace loadline
