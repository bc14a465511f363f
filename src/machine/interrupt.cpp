#include "machine/interrupt.h"

#include <signal.h>
#include <unistd.h>

#include <csignal>

namespace loadline {
namespace {

volatile std::sig_atomic_t signals_seen = 0;

void on_signal(int number) {
  if (signals_seen != 0) ::_exit(128 + number);
  signals_seen = 1;
}

}  // namespace

void catch_interrupts() {
  struct sigaction action {};
  action.sa_handler = on_signal;
  ::sigemptyset(&action.sa_mask);
  // No SA_RESTART: a question on the terminal must end with Ctrl-C too.
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
}

void release_interrupts() {
  (void)std::signal(SIGINT, SIG_DFL);
  (void)std::signal(SIGTERM, SIG_DFL);
}

bool interrupted() { return signals_seen != 0; }

}  // namespace loadline
