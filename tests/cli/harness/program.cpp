#include "cli/harness/program.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <iterator>
#include <sstream>
#include <stdexcept>
#include <string_view>
#include <thread>

namespace loadline::testing {
namespace {

struct Running {
  pid_t pid = -1;
  FileDescriptor out, err;
};

std::pair<FileDescriptor, FileDescriptor> make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("pipe2 failed");
  return {FileDescriptor(ends[0]), FileDescriptor(ends[1])};
}

// Only the variables that a program with a home of its own may see, and what the test adds.
void set_up_environment(const std::filesystem::path& home,
                        const std::map<std::string, std::string>& added) {
  std::vector<std::string> unwanted{"XDG_DATA_HOME",          "XDG_STATE_HOME",
                                    "XDG_CACHE_HOME",         "TRANSFORMERS_OFFLINE",
                                    "HUGGING_FACE_HUB_TOKEN", "HUGGINGFACE_HUB_CACHE"};
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    if (text.starts_with("HF_")) unwanted.emplace_back(text.substr(0, text.find('=')));
  }
  for (const std::string& name : unwanted) ::unsetenv(name.c_str());
  ::setenv("HOME", home.c_str(), 1);
  for (const auto& [name, value] : added) ::setenv(name.c_str(), value.c_str(), 1);
}

// Where the tests run in a script's background, SIGINT is ignored; a program under test that is
// sent it is not meant to inherit that.
[[maybe_unused]] const auto reset_interrupt = ::signal(SIGINT, SIG_DFL);

std::string program_file() { return std::string(LOADLINE_BINARY_DIR) + "/loadline"; }

Running start_words(std::vector<std::string> words, const std::filesystem::path& home,
                    const std::map<std::string, std::string>& environment,
                    const std::string& stdin_file) {
  auto [out_read, out_write] = make_pipe();
  auto [err_read, err_write] = make_pipe();
  const pid_t pid = ::fork();
  if (pid == 0) {
    set_up_environment(home, environment);
    const int in = ::open(stdin_file.c_str(), O_RDONLY | O_CLOEXEC);
    ::dup2(in, 0);
    ::dup2(out_write.get(), 1);
    ::dup2(err_write.get(), 2);
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    ::execv(argv[0], argv.data());
    ::_exit(127);
  }
  return {pid, std::move(out_read), std::move(err_read)};
}

Running start(const std::vector<std::string>& arguments, const std::filesystem::path& home,
              const std::map<std::string, std::string>& environment,
              const std::string& stdin_file) {
  std::vector<std::string> words{program_file()};
  words.insert(words.end(), arguments.begin(), arguments.end());
  return start_words(std::move(words), home, environment, stdin_file);
}

// Reads both streams until they end; calls seen() after each piece.
template <typename Seen>
void drain(Running& running, Ended& ended, Seen seen) {
  std::array<pollfd, 2> polled{{{running.out.get(), POLLIN, 0}, {running.err.get(), POLLIN, 0}}};
  std::array<std::string*, 2> texts{&ended.out, &ended.err};
  int open = running.out.is_open() ? 2 : 1;
  while (open > 0 && ::poll(polled.data(), polled.size(), -1) >= 0) {
    for (std::size_t i = 0; i < polled.size(); ++i) {
      if ((polled[i].revents & (POLLIN | POLLHUP)) == 0) continue;
      std::array<char, 4096> piece{};
      const ssize_t n = ::read(polled[i].fd, piece.data(), piece.size());
      if (n > 0) {
        texts[i]->append(piece.data(), static_cast<std::size_t>(n));
      } else {
        polled[i].fd = -1;
        --open;
      }
    }
    seen();
  }
}

int wait_for(pid_t pid) {
  int status = 0;
  ::waitpid(pid, &status, 0);
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

}  // namespace

Ended Program::run(const std::vector<std::string>& arguments, const std::string& input) const {
  std::string stdin_file = "/dev/null";
  if (!input.empty()) stdin_file = write("stdin.txt", input);
  Running running = start(arguments, home(), environment_, stdin_file);
  Ended ended;
  drain(running, ended, [] {});
  ended.exit_code = wait_for(running.pid);
  return ended;
}

Ended Program::run_in_shell(const std::string& script) const {
  std::map<std::string, std::string> environment = environment_;
  environment["LOADLINE"] = program_file();
  Running running = start_words({"/bin/sh", "-c", script}, home(), environment, "/dev/null");
  Ended ended;
  drain(running, ended, [] {});
  ended.exit_code = wait_for(running.pid);
  return ended;
}

Ended Program::run_and_signal(const std::vector<std::string>& arguments, const std::string& when,
                              int signal) const {
  Running running = start(arguments, home(), environment_, "/dev/null");
  Ended ended;
  bool sent = false;
  drain(running, ended, [&] {
    if (sent || (ended.out + ended.err).find(when) == std::string::npos) return;
    ::kill(running.pid, signal);
    sent = true;
  });
  ended.exit_code = wait_for(running.pid);
  return ended;
}

Ended Program::run_and_look(const std::vector<std::string>& arguments,
                            const std::function<void(pid_t)>& look) const {
  Running running = start(arguments, home(), environment_, "/dev/null");
  Ended ended;
  drain(running, ended, [&] { look(running.pid); });
  ended.exit_code = wait_for(running.pid);
  return ended;
}

Ended Program::run_and_close_output(const std::vector<std::string>& arguments,
                                    const std::string& when) const {
  Running running = start(arguments, home(), environment_, "/dev/null");
  Ended ended;
  std::array<char, 4096> piece{};
  while (ended.out.find(when) == std::string::npos) {
    const ssize_t n = ::read(running.out.get(), piece.data(), piece.size());
    if (n <= 0) break;
    ended.out.append(piece.data(), static_cast<std::size_t>(n));
  }
  running.out.close();
  drain(running, ended, [] {});
  ended.exit_code = wait_for(running.pid);
  return ended;
}

Ended Program::run_and_kill(const std::vector<std::string>& arguments,
                            std::chrono::duration<double> after) const {
  Running running = start(arguments, home(), environment_, "/dev/null");
  std::thread killer([&] {
    std::this_thread::sleep_for(after);
    ::kill(running.pid, SIGKILL);  // at worst a zombie: it is waited for below
  });
  Ended ended;
  drain(running, ended, [] {});
  killer.join();
  ended.exit_code = wait_for(running.pid);
  return ended;
}

std::string Program::write(const std::string& name, const std::string& content) const {
  const std::filesystem::path path = home() / name;
  std::filesystem::create_directories(path.parent_path());
  replace_file(path, content);
  return path.string();
}

std::string demo_model() { return std::string(LOADLINE_SOURCE_DIR) + "/demo/model"; }
std::string demo_data() { return std::string(LOADLINE_SOURCE_DIR) + "/demo/data"; }
std::string demo_train() { return demo_data() + "/train.jsonl"; }

std::vector<std::string> with(std::vector<std::string> arguments,
                              const std::vector<std::string>& more) {
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

std::vector<std::string> on_demo(const std::string& line, const std::vector<std::string>& more) {
  std::istringstream words(line);
  std::vector<std::string> arguments{std::istream_iterator<std::string>(words), {}};
  arguments.insert(arguments.begin() + 1, {"--model", demo_model(), "--data", demo_train()});
  return with(std::move(arguments), more);
}

}  // namespace loadline::testing
