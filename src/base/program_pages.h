// Pages of the program and its shared libraries: a process holds those that it has run through.
#pragma once

namespace loadline {

// Lets go of code and constants: they stay in the system's cache, are mapped again when they are
// needed, and count in this process only then. What touched them once, as starting, reading and
// compiling do, is not held for as long as the process lives. A part of a
// file that has written pages (a debugger's breakpoints) stays whole.
//
// The program's own code and small libraries that every step runs through are held whole from then
// on: of these the kernel would map the surroundings of what is used, and how much that is hangs on
// the address, which is random, and on the pieces in which the file lies in the system's cache.
void forget_program_pages();

}  // namespace loadline
