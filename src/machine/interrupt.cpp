#include "machine/interrupt.h"

#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <utility>

namespace loadline {
namespace {

volatile std::sig_atomic_t signals_seen = 0;
volatile std::sig_atomic_t hung_up = 0;
std::atomic<const LastLine*> last_line = nullptr;
static_assert(std::atomic<const LastLine*>::is_always_lock_free, "a signal's handler reads it");

void on_signal(int number) {
  if (signals_seen != 0) {
    if (const LastLine* line = last_line.load()) line->write();
    ::_exit(128 + number);
  }
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

// What a signal did before, to be given back.
struct Caught {
  int number;
  void (*handler)(int);
  struct sigaction before;
  bool is_caught;
};
Caught caught[] = {{SIGINT, on_signal, {}, false},
                   {SIGTERM, on_signal, {}, false},
                   {SIGHUP, on_hang_up, {}, false}};

}  // namespace

void catch_interrupts() {
  for (Caught& one : caught) {
    if (one.is_caught) continue;
    ::sigaction(one.number, nullptr, &one.before);
    // A shell's background job ignores SIGINT, nohup's SIGHUP: whoever started us meant it so.
    if (one.before.sa_handler == SIG_IGN) continue;
    handle(one.number, one.handler);
    one.is_caught = true;
  }
}

void release_interrupts() {
  for (Caught& one : caught) {
    if (one.is_caught) ::sigaction(one.number, &one.before, nullptr);
    one.is_caught = false;
  }
}

LastLine::LastLine(int fd, std::string line) : fd_(fd), line_(std::move(line)) {
  last_line.store(this);
}

LastLine::~LastLine() { last_line.store(nullptr); }

// In a signal's handler: what cannot be written is lost.
void LastLine::write() const {
  (void)::lseek(fd_, 0, SEEK_END);
  (void)!::write(fd_, line_.data(), line_.size());
}

bool interrupted() { return signals_seen != 0 || hung_up != 0; }

void keep_ended_children() { handle(SIGCHLD, SIG_DFL); }

void ignore_file_size_limit() { handle(SIGXFSZ, SIG_IGN); }

void ignore_closed_pipes() { handle(SIGPIPE, SIG_IGN); }

}  // namespace loadline
