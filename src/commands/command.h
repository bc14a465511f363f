// One file for each command: wiring only. A command adds its flags to the parser; the function that
// it returns runs it.
#pragma once

#include <functional>

namespace CLI {
class App;
}

namespace loadline {

// The whole program: parses, runs, reports errors on stderr, returns the exit code of DESIGN.
int run_program(int argc, char** argv);

// Runs a parsed command and returns the exit code; throws Error.
using CommandFunction = std::function<int()>;

CommandFunction add_find(CLI::App& app);
CommandFunction add_train(CLI::App& app);
CommandFunction add_plan(CLI::App& app);
CommandFunction add_profile(CLI::App& app);
CommandFunction add_data(CLI::App& app);
CommandFunction add_tokenize(CLI::App& app);
CommandFunction add_chat(CLI::App& app);
CommandFunction add_machine(CLI::App& app);
CommandFunction add_worker(CLI::App& app);

}  // namespace loadline
