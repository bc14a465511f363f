// Ctrl-C, SIGTERM and a terminal that closes as a question that loops ask.
#pragma once

#include <string>

namespace loadline {

// From here on the first SIGINT or SIGTERM only sets a flag; a second one ends the process at once
// (128 + n). SIGHUP sets it too, however often it comes. What is ignored stays so: SIGHUP under
// nohup, SIGINT in a script's background.
void catch_interrupts();
[[nodiscard]] bool interrupted();
// Ends that: a signal does again what it did before.
void release_interrupts();

// While it lives, the second signal writes it to the end of the file `fd` before it ends the
// process. One at a time.
class LastLine {
 public:
  LastLine(int fd, std::string line);
  LastLine(const LastLine&) = delete;
  LastLine& operator=(const LastLine&) = delete;
  ~LastLine();
  void write() const;

 private:
  int fd_;
  std::string line_;
};

// The question is asked as long as this lives. What does not ask it ends with the signal
// afterwards.
class Interruptible {
 public:
  Interruptible() { catch_interrupts(); }
  Interruptible(const Interruptible&) = delete;
  Interruptible& operator=(const Interruptible&) = delete;
  ~Interruptible() { release_interrupts(); }
};

// From here on a child that ended waits until it is asked how, also where whoever started us
// ignores SIGCHLD: then the kernel would forget it at once.
void keep_ended_children();

// From here on what is written beyond the limit on a file's size (`ulimit -f`) fails with its
// reason, as on a full disk, and does not end the process.
void ignore_file_size_limit();

// From here on a reader of our output that goes away (`| head`) does not end the process: what is
// written to it fails. Children begin with the default.
void ignore_closed_pipes();

}  // namespace loadline
