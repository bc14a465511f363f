// A worker that does one thing wrong. Built without sanitizers in every preset, so that its memory
// is its own: it uses nothing of ours and speaks the protocol by hand.
//
// worker MODE [ARGUMENT...] --spec FILE
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string>
#include <string_view>

namespace {

constexpr std::size_t kMiB = std::size_t{1} << 20;

int events_to_live = -1;  // SIGKILL after so many; -1: none

void live_on() {
  if (events_to_live == 0) raise(SIGKILL);
  if (events_to_live > 0) --events_to_live;
}

void say(const char* format, ...) {
  char line[1024];
  va_list arguments;
  va_start(arguments, format);
  const int n = std::vsnprintf(line, sizeof line - 1, format, arguments);
  va_end(arguments);
  line[n] = '\n';
  live_on();
  if (write(3, line, static_cast<std::size_t>(n) + 1) < 0) _exit(90);
}

unsigned long long own_peak() {
  FILE* status = std::fopen("/proc/self/status", "r");
  char line[256];
  unsigned long long kib = 0;
  while (status != nullptr && std::fgets(line, sizeof line, status) != nullptr) {
    if (std::sscanf(line, "VmHWM: %llu", &kib) == 1) break;
  }
  if (status != nullptr) std::fclose(status);
  return kib * 1024;
}

void say_loaded() {
  say(R"({"event":"loaded","seconds":0.01,"planned_bytes":1000,"peak_bytes":%llu,"rows":10,)"
      R"("worst_batch_tokens":100,"longest_row":50})",
      own_peak());
}
void say_step(int step, const char* loss = "2.5") {
  say(R"({"event":"step","step":%d,"loss":%s,"seconds":0.01,"tokens":100,"peak_bytes":%llu})", step,
      loss, own_peak());
}
void say_finished() {
  say(R"({"event":"finished","peak_bytes":%llu,"anonymous_bytes":1,"file_bytes":2,)"
      R"("coverage":"covers 100 %% of batches, longest row 50 tokens"})",
      own_peak());
}
void say_steps(int from, int to, int pause_ms) {
  for (int step = from; step <= to; ++step) {
    usleep(static_cast<unsigned>(pause_ms) * 1000);
    say_step(step);
  }
}
void say_end() {
  say(R"({"event":"evaluated","loss":2.25,"seconds":0.01,"peak_bytes":%llu})", own_peak());
  say(R"({"event":"saved","peak_bytes":%llu})", own_peak());
  say_finished();
}

// Maps and touches; a refusal is reported as the real worker reports it.
void touch(std::size_t mib) {
  if (mib == 0) return;
  void* block =
      mmap(nullptr, mib * kMiB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (block == MAP_FAILED) {
    say(R"({"event":"failed","verdict":"out_of_memory","detail":"%zu MiB were refused"})", mib);
    std::exit(1);
  }
  std::memset(block, 1, mib * kMiB);
}

[[noreturn]] void sleep_forever() {
  while (true) pause();
}

int healthy(std::size_t mib) {
  touch(mib);
  say_loaded();
  say_steps(1, 15, 2);
  say_end();
  return 0;
}

int die(int events) {
  events_to_live = events;
  healthy(1);
  live_on();
  return 0;
}

int leak() {
  say_loaded();
  for (int step = 1; step <= 15; ++step) {
    touch(16);
    say_step(step);
    usleep(2000);
  }
  sleep_forever();
}

// Children that each stay below the ceiling, and together do not.
int brood(int count, std::size_t mib) {
  say_loaded();
  for (int i = 0; i < count; ++i) {
    if (fork() == 0) {
      close(3);
      touch(mib);
      sleep_forever();
    }
  }
  sleep_forever();
}

// A child takes it all, and the worker goes on as if nothing had happened to it.
int bereaved(std::size_t mib) {
  const pid_t child = fork();
  if (child == 0) {
    close(3);
    touch(mib);
    _exit(0);
  }
  waitpid(child, nullptr, 0);
  return healthy(1);
}

// A child loads, for so long, and the worker only waits for it.
int delegate(double seconds) {
  const pid_t child = fork();
  if (child == 0) {
    close(3);
    const std::time_t ticks = static_cast<std::time_t>(seconds * CLOCKS_PER_SEC);
    while (std::clock() < ticks) {
    }
    _exit(0);
  }
  waitpid(child, nullptr, 0);
  return healthy(1);
}

// Loads as slowly as a far disk lets it: the memory is there already, and the processor idle.
int read_slowly(double seconds) {
  std::string piece(4 * kMiB, 'x');
  const int file = open("/dev/zero", O_RDONLY | O_CLOEXEC);
  for (double left = seconds; left > 0; left -= 0.5) {
    usleep(500'000);
    if (read(file, piece.data(), piece.size()) < 0) return 92;
  }
  return healthy(1);
}

int lacking(std::string_view what) {
  say_loaded();
  say_steps(1, 15, 1);
  if (what != "evaluation") {
    say(R"({"event":"evaluated","loss":2.25,"seconds":0.01,"peak_bytes":%llu})", own_peak());
  }
  if (what != "save") say(R"({"event":"saved","peak_bytes":%llu})", own_peak());
  say_finished();
  return 0;
}

int flood(std::string_view what, std::size_t mib) {
  say_loaded();
  const std::string line = what == "events" ? R"({"event":"saved","peak_bytes":1})"
                                              "\n"
                                            : std::string(1000, what == "line" ? 'x' : '\n');
  const int to = what == "stderr" ? 2 : 3;
  for (std::size_t sent = 0; sent < mib * kMiB; sent += line.size()) {
    if (write(to, line.data(), line.size()) < 0) return 91;
  }
  say_steps(1, 15, 1);
  say_end();
  return 0;
}

int hang(std::string_view where) {
  if (where == "load") sleep_forever();
  say_loaded();
  if (where == "first") sleep_forever();
  say_steps(1, 5, 2);
  if (where == "step") {
    // A loop without end: it uses the processor, and yet gets nowhere.
    volatile bool more = true;
    while (more) {
    }
  }
  say_steps(6, 15, 2);
  if (where == "evaluation") sleep_forever();
  say_end();
  sleep_forever();
}

// Ignores that it is told to end, as its child does; says who both are. A child that escapes has
// left the process group and the session.
int linger(bool escapes) {
  signal(SIGTERM, SIG_IGN);
  const pid_t child = fork();
  if (child == 0) {
    close(3);
    if (escapes) setsid();
    signal(SIGTERM, SIG_IGN);
    sleep_forever();
  }
  std::printf("pids %d %d\n", getpid(), child);
  std::fflush(stdout);
  say_loaded();
  say_step(1);
  sleep_forever();
}

// What a child finds at its start, one fact a line on stdout.
int surroundings() {
  char link[256] = {};
  (void)!readlink("/proc/self/fd/0", link, sizeof link - 1);
  std::printf("stdin %s\n", link);
  for (int fd = 4; fd < 1024; ++fd) {
    if (fcntl(fd, F_GETFD) >= 0) std::printf("open descriptor %d\n", fd);
  }
  std::printf("group leader %d\n", getpgrp() == getpid());
  FILE* score = std::fopen("/proc/self/oom_score_adj", "r");
  int value = 0;
  if (score != nullptr && std::fscanf(score, "%d", &value) == 1) std::printf("oom %d\n", value);
  if (score != nullptr) std::fclose(score);
  const char* secret = std::getenv("LOADLINE_TEST_SECRET");
  std::printf("secret %s\n", secret == nullptr ? "absent" : secret);
  std::printf("threads %s\n", std::getenv("OMP_NUM_THREADS"));
  const char* spins = std::getenv("GOMP_SPINCOUNT");
  std::printf("spins %s\n", spins == nullptr ? "as libgomp wants" : spins);
  std::printf("path %s\n", std::getenv("PATH") == nullptr ? "absent" : "present");
  std::fflush(stdout);
  return healthy(1);
}

int odd_word(std::string_view what) {
  if (what == "bytes") {
    (void)!write(3, "\x00\xff\xfe{]\n", 6);
    sleep_forever();
  }
  if (what == "nan") {
    say_loaded();
    say_step(1, "NaN");
    sleep_forever();
  }
  if (what == "verdict") say(R"({"event":"failed","verdict":"fits","detail":"trust me"})");
  if (what == "backwards") {
    say_steps(1, 2, 1);
    say_step(1);
  }
  if (what == "skipping") {
    say_loaded();
    say_step(1);
    say_step(15);
    say_end();
  }
  if (what == "negative") say(R"({"event":"saved","peak_bytes":-1})");
  if (what == "after") {
    say_loaded();
    say_steps(1, 15, 1);
    say_end();
    say_step(16);
  }
  sleep_forever();
}

int failing(const char* verdict) {
  say_loaded();
  say_step(1);
  say(R"({"event":"failed","verdict":"%s","detail":"as the test asked"})", verdict);
  return 1;
}

int ending(std::string_view how) {
  say_loaded();
  say_steps(1, 3, 1);
  std::fprintf(stderr, "something went wrong in layer 3\n");
  if (how == "silent") return 0;
  if (how == "code") return 7;
  if (how == "null_loss") {
    say_step(4, "null");
    return 0;
  }
  if (how == "few_steps") {
    say_end();
    return 0;
  }
  if (how == "torn") {
    (void)!write(3, R"({"event":"st)", 12);
    raise(SIGKILL);
  }
  if (how == "close") {
    close(3);
    sleep_forever();
  }
  signal(SIGABRT, SIG_DFL);
  raise(std::atoi(std::string(how).c_str()));
  sleep_forever();
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view mode = argc > 1 ? argv[1] : "";
  const std::string argument = argc > 2 ? argv[2] : "";
  const auto number = [&](int index) {
    return argc > index ? static_cast<std::size_t>(std::atoll(argv[index])) : 0;
  };
  if (mode == "healthy") return healthy(number(2));
  if (mode == "leak") return leak();
  if (mode == "brood") return brood(std::atoi(argument.c_str()), number(3));
  if (mode == "bereaved") return bereaved(number(2));
  if (mode == "delegate") return delegate(std::atof(argument.c_str()));
  if (mode == "read") return read_slowly(std::atof(argument.c_str()));
  if (mode == "die") return die(std::atoi(argument.c_str()));
  if (mode == "lacking") return lacking(argument);
  if (mode == "flood") return flood(argument, number(3));
  if (mode == "hang") return hang(argument);
  if (mode == "linger") return linger(argument == "escape");
  if (mode == "surroundings") return surroundings();
  if (mode == "odd") return odd_word(argument);
  if (mode == "failing") return failing(argument.c_str());
  if (mode == "ending") return ending(argument);
  std::fprintf(stderr, "worker: unknown mode\n");
  return 2;
}
