// Certificates are checked: a server with one that it signed itself is trusted only when told so.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/socket.h>

#include <atomic>
#include <csignal>
#include <memory>
#include <string>
#include <thread>

#include "base/file.h"
#include "hub/http.h"

namespace loadline {
namespace {

template <auto kFree>
struct FreeWith {
  template <typename T>
  void operator()(T* pointer) const {
    kFree(pointer);
  }
};
template <typename T, auto kFree>
using Owned = std::unique_ptr<T, FreeWith<kFree>>;

struct Identity {
  Owned<EVP_PKEY, EVP_PKEY_free> key{EVP_EC_gen("P-256")};
  Owned<X509, X509_free> certificate{X509_new()};

  // For 127.0.0.1, signed by itself.
  Identity() {
    X509* x = certificate.get();
    X509_set_version(x, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
    X509_gmtime_adj(X509_getm_notBefore(x), -60);
    X509_gmtime_adj(X509_getm_notAfter(x), 3600);
    X509_set_pubkey(x, key.get());
    X509_NAME* name = X509_get_subject_name(x);
    const auto* text = reinterpret_cast<const unsigned char*>("loopback");
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, text, -1, -1, 0);
    X509_set_issuer_name(x, name);
    const Owned<X509_EXTENSION, X509_EXTENSION_free> names{
        X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, "IP:127.0.0.1")};
    X509_add_ext(x, names.get(), -1);
    X509_sign(x, key.get(), EVP_sha256());
  }
  void write(const std::filesystem::path& path) const {
    const Owned<BIO, BIO_free_all> memory{BIO_new(BIO_s_mem())};
    PEM_write_bio_X509(memory.get(), certificate.get());
    char* text = nullptr;
    const long size = BIO_get_mem_data(memory.get(), &text);
    replace_file(path, {text, static_cast<std::size_t>(size)});
  }
};

class TlsServer {
 public:
  explicit TlsServer(const Identity& identity) {
    SSL_CTX_use_certificate(context_.get(), identity.certificate.get());
    SSL_CTX_use_PrivateKey(context_.get(), identity.key.get());
    listener_ = FileDescriptor(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    EXPECT_EQ(::bind(listener_.get(), generic, size), 0);
    EXPECT_EQ(::listen(listener_.get(), 8), 0);
    EXPECT_EQ(::getsockname(listener_.get(), generic, &size), 0);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { serve(); });
  }
  ~TlsServer() {
    ending_ = true;
    thread_.join();
  }
  [[nodiscard]] std::string url(const std::string& host) const {
    return "https://" + host + ":" + std::to_string(port_) + "/";
  }

 private:
  void serve() {
    // A client that trusts nobody leaves while we write: SIGPIPE, which belongs to this thread.
    sigset_t broken_pipe;
    sigemptyset(&broken_pipe);
    sigaddset(&broken_pipe, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &broken_pipe, nullptr);
    while (!ending_) {
      pollfd polled{listener_.get(), POLLIN, 0};
      if (::poll(&polled, 1, 20) <= 0) continue;
      const FileDescriptor peer(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      const Owned<SSL, SSL_free> ssl{SSL_new(context_.get())};
      SSL_set_fd(ssl.get(), peer.get());
      if (SSL_accept(ssl.get()) != 1) continue;
      char request[2048];
      (void)SSL_read(ssl.get(), request, sizeof(request));
      const std::string reply =
          "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
      (void)SSL_write(ssl.get(), reply.data(), static_cast<int>(reply.size()));
      SSL_shutdown(ssl.get());
    }
  }

  Owned<SSL_CTX, SSL_CTX_free> context_{SSL_CTX_new(TLS_server_method())};
  FileDescriptor listener_;
  int port_ = 0;
  std::atomic<bool> ending_{false};
  std::thread thread_;
};

HttpResult get(const std::string& url, const std::string& ca_file, std::string& body) {
  HttpSession session({.ca_file = ca_file, .stop = {}});
  return session.run({.url = url}, [&](const HttpAnswer&, std::span<const std::byte> piece) {
    body.append(reinterpret_cast<const char*>(piece.data()), piece.size());
  });
}

TEST(Tls, ACertificateIsTrustedOnlyWhenItIsNamedAndForItsHost) {
  const TemporaryFolder folder;
  const std::string trusted = (folder.path() / "ca.pem").string();
  const Identity identity;
  identity.write(trusted);
  const TlsServer server(identity);
  std::string body;
  for (const auto& [host, ca_file] :
       {std::pair<std::string, std::string>("127.0.0.1", ""), {"localhost", trusted}}) {
    const HttpResult refused = get(server.url(host), ca_file, body);
    ASSERT_TRUE(std::holds_alternative<HttpFailure>(refused));
    EXPECT_EQ(std::get<HttpFailure>(refused).kind, HttpFailure::Kind::kUntrusted)
        << std::get<HttpFailure>(refused).reason;
  }
  EXPECT_EQ(body, "");
  const HttpResult good = get(server.url("127.0.0.1"), trusted, body);
  ASSERT_TRUE(std::holds_alternative<HttpAnswer>(good)) << std::get<HttpFailure>(good).reason;
  EXPECT_EQ(body, "ok");
}

// OpenSSL writes into connections that may be broken; here the signal comes from ourselves.
TEST(Tls, ABrokenPipeDuringARequestDoesNotEndTheProcess) {
  const TemporaryFolder folder;
  const std::string trusted = (folder.path() / "ca.pem").string();
  const Identity identity;
  identity.write(trusted);
  const TlsServer server(identity);
  HttpSession session({.ca_file = trusted, .stop = {}});
  const HttpResult result =
      session.run({.url = server.url("127.0.0.1")},
                  [](const HttpAnswer&, std::span<const std::byte>) { std::raise(SIGPIPE); });
  EXPECT_TRUE(std::holds_alternative<HttpAnswer>(result));
  sigset_t held;
  pthread_sigmask(SIG_SETMASK, nullptr, &held);
  EXPECT_EQ(sigismember(&held, SIGPIPE), 0);
}

}  // namespace
}  // namespace loadline
