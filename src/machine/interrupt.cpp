#include "machine/interrupt.h"

#include <signal.h>
#include <unistd.h>

#include <csignal>

namespace loadline {
namespace {

volatile std::sig_atomic_t signals_seen = 0;
volatile std::sig_atomic_t hung_up = 0;

void on_signal(int number) {
  if (signals_seen != 0) ::_exit(128 + number);
  signals_seen = 1;
}

// A closing terminal tells of its end more than once (the kernel, its shell), and SIGTERM may
// follow: that is not impatience.
void on_hang_up(int) { hung_up = 1; }

void handle(int number, void (*handler)(int)) {
  struct sigaction action {};
  action.sa_handler = handler;
  ::sigemptyset(&action.sa_mask);
  // No SA_RESTART: a question on the terminal must end with Ctrl-C too.
  ::sigaction(number, &action, nullptr);
}

void handle_hang_up(void (*handler)(int)) {
  struct sigaction before {};
  ::sigaction(SIGHUP, nullptr, &before);
  if (before.sa_handler != SIG_IGN) handle(SIGHUP, handler);
}

}  // namespace

void catch_interrupts() {
  handle(SIGINT, on_signal);
  handle(SIGTERM, on_signal);
  handle_hang_up(on_hang_up);
}

void release_interrupts() {
  handle(SIGINT, SIG_DFL);
  handle(SIGTERM, SIG_DFL);
  handle_hang_up(SIG_DFL);
}

bool interrupted() { return signals_seen != 0 || hung_up != 0; }

void keep_ended_children() { handle(SIGCHLD, SIG_DFL); }

void ignore_closed_pipes() { handle(SIGPIPE, SIG_IGN); }

}  // namespace loadline
