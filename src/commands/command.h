// One file for each command: wiring only. Each adds its subcommand to the parser and returns what
// to run.
#pragma once

#include <string>
#include <vector>

namespace loadline {

// The whole program: parses, runs, reports errors on stderr, returns the exit code of DESIGN.
int run_program(int argc, char** argv);

}  // namespace loadline
