#include "hub/loopback_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <chrono>
#include <sstream>
#include <stdexcept>
#include <string_view>

namespace loadline::testing {
namespace {

std::string lower_case(std::string text) {
  for (char& c : text) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  return text;
}

// Returns what stands before the empty line, or "" when the peer has gone.
std::string read_head(int peer) {
  std::string head;
  while (head.find("\r\n\r\n") == std::string::npos) {
    std::array<char, 2048> piece{};
    const ssize_t n = ::recv(peer, piece.data(), piece.size(), 0);
    if (n <= 0) return "";
    head.append(piece.data(), static_cast<std::size_t>(n));
  }
  return head;
}

Request parse_head(const std::string& head) {
  std::istringstream lines(head);
  Request request;
  lines >> request.method >> request.target;
  std::string line;
  std::getline(lines, line);
  while (std::getline(lines, line) && line != "\r") {
    const std::size_t colon = line.find(": ");
    if (colon == std::string::npos) continue;
    request.headers[lower_case(line.substr(0, colon))] =
        line.substr(colon + 2, line.size() - colon - 3);
  }
  return request;
}

void send_all(int peer, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = ::send(peer, text.data(), text.size(), MSG_NOSIGNAL);
    if (n <= 0) return;
    text.remove_prefix(static_cast<std::size_t>(n));
  }
}

}  // namespace

std::string Request::header(const std::string& name) const {
  const auto found = headers.find(name);
  return found == headers.end() ? "" : found->second;
}

LoopbackServer::LoopbackServer(Handler handler) : handler_(std::move(handler)) {
  listener_ = FileDescriptor(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (::bind(listener_.get(), generic, size) != 0 || ::listen(listener_.get(), 64) != 0 ||
      ::getsockname(listener_.get(), generic, &size) != 0) {
    throw std::runtime_error("no port on 127.0.0.1");
  }
  port_ = ntohs(address.sin_port);
  acceptor_ = std::thread([this] { accept_all(); });
}

LoopbackServer::~LoopbackServer() {
  ending_ = true;
  acceptor_.join();
  for (std::thread& connection : connections_) connection.join();
}

std::string LoopbackServer::url() const { return "http://127.0.0.1:" + std::to_string(port_); }

std::vector<Request> LoopbackServer::requests() const {
  const std::lock_guard lock(mutex_);
  return requests_;
}

void LoopbackServer::accept_all() {
  while (!ending_) {
    pollfd polled{listener_.get(), POLLIN, 0};
    if (::poll(&polled, 1, 20) <= 0) continue;
    const int peer = ::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC);
    if (peer >= 0) connections_.emplace_back([this, peer] { serve(peer); });
  }
}

// One request a connection.
void LoopbackServer::serve(int peer) {
  const FileDescriptor owner(peer);
  const std::string head = read_head(peer);
  if (head.empty()) return;
  const Request request = parse_head(head);
  {
    const std::lock_guard lock(mutex_);
    requests_.push_back(request);
  }
  send_reply(peer, request, handler_(request));
}

void LoopbackServer::send_reply(int peer, const Request& request, const Reply& reply) const {
  std::string head = "HTTP/1.1 " + std::to_string(reply.status) + " Answer\r\n";
  for (const auto& [name, value] : reply.headers) head.append(name + ": " + value + "\r\n");
  if (!reply.headers.contains("Content-Length")) {
    head += "Content-Length: " + std::to_string(reply.body.size()) + "\r\n";
  }
  send_all(peer, head + "Connection: close\r\n\r\n");
  if (request.method == "HEAD") return;
  const auto end = reply.cut_after ? reply.cut_after : reply.stall_after;
  send_all(peer, std::string_view(reply.body).substr(0, end.value_or(reply.body.size())));
  while (reply.stall_after && !ending_) {
    pollfd polled{peer, POLLIN, 0};
    if (::poll(&polled, 1, 20) > 0) return;  // it gave up
  }
}

}  // namespace loadline::testing
