#include <gtest/gtest.h>
#include <openssl/err.h>

#include "support/certificates.hpp"
#include "support/loop.hpp"
#include "support/raw_peer.hpp"
#include "support/tls_peer.hpp"

/// TLS without an SSLRequest before it: the first bytes that arrive are the handshake's.
namespace forebay::net::test {
namespace {

/// A stream that starts TLS with the first bytes that it gets, as the core does when they look so.
struct Direct : Served {
  explicit Direct(Loop& loop) : Served(loop, Family::v4) {
    server.when_received = [this](Bytes bytes) {
      server.when_received = nullptr;
      server.received.clear();
      server.stream->start_tls_server(plain_server_context(), bytes);
    };
  }
};

TEST(DirectTls, WithAlpn) {
  Loop loop;
  Direct direct(loop);
  TlsPeer tls(*direct.peer, TlsPeer::Role::client, offer_postgresql);
  ASSERT_TRUE(loop.until([&] { return tls.handshake() && direct.server.secured == 1; }))
      << direct.server.lost;
  EXPECT_EQ(direct.server.stream->tls()->alpn, "postgresql");
  tls.send("question");
  ASSERT_TRUE(loop.until([&] { return direct.server.received == "question"; }));
  direct.server.send("answer");
  EXPECT_EQ(tls.receive_some(), "answer");
}

TEST(DirectTls, WithoutAlpnIsRefused) {
  Loop loop;
  Direct direct(loop);
  TlsPeer tls(*direct.peer, TlsPeer::Role::client);
  ASSERT_TRUE(loop.until([&] {
    tls.handshake();
    return direct.server.losses == 1 && !tls.failure().empty();
  }));
  EXPECT_EQ(direct.server.secured, 0);
  EXPECT_EQ(direct.server.lost,
            "TLS handshake failed: the client began with TLS at once, but did not offer the "
            "protocol \"postgresql\" by ALPN");
  EXPECT_EQ(tls.failure(), "tlsv1 alert no application protocol");
}

TEST(DirectTls, WithAnotherProtocolIsRefused) {
  Loop loop;
  Direct direct(loop);
  TlsPeer tls(*direct.peer, TlsPeer::Role::client,
              [](SSL_CTX* context) { offer(context, "http/1.1"); });
  ASSERT_TRUE(loop.until([&] {
    tls.handshake();
    return direct.server.losses == 1 && !tls.failure().empty();
  }));
  EXPECT_EQ(direct.server.lost, "TLS handshake failed: no application protocol");
  EXPECT_EQ(tls.failure(), "tlsv1 alert no application protocol");
}

/// A ClientHello, and what may stand behind it.
struct MemoryClient {
  MemoryClient() {
    SSL_set_bio(ssl.get(), BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_connect_state(ssl.get());
  }
  std::string go_on(Bytes arrived) {
    BIO_write(SSL_get_rbio(ssl.get()), arrived.data(), static_cast<int>(arrived.size()));
    SSL_do_handshake(ssl.get());
    ERR_clear_error();
    return out();
  }
  std::string out() {
    std::string text(1 << 16, '\0');
    const int size = BIO_read(SSL_get_wbio(ssl.get()), text.data(), static_cast<int>(text.size()));
    text.resize(size < 0 ? 0 : static_cast<std::size_t>(size));
    return text;
  }
  static std::shared_ptr<SSL_CTX> make_context() {
    std::shared_ptr<SSL_CTX> made(SSL_CTX_new(TLS_client_method()), SSL_CTX_free);
    offer_postgresql(made.get());
    return made;
  }
  std::shared_ptr<SSL_CTX> context = make_context();
  std::shared_ptr<SSL> ssl{SSL_new(context.get()), SSL_free};
};

TEST(DirectTls, CutAnywhereInTheClientHello) {
  const std::size_t size = MemoryClient().go_on("").size();
  ASSERT_GT(size, 100U);
  for (std::size_t cut = 1; cut < size; cut += 7) {
    Loop loop;
    Direct direct(loop);
    MemoryClient client;
    const std::string hello = client.go_on("");
    direct.peer->send(Bytes(hello).substr(0, cut));
    ASSERT_TRUE(loop.until([&] { return direct.server.when_received == nullptr; }));
    loop.reactor->turn(loop.driven, Duration::zero());
    direct.peer->send(Bytes(hello).substr(cut));
    ASSERT_TRUE(loop.until([&] {
      direct.peer->send(client.go_on(direct.peer->receive_some()));
      return direct.server.secured == 1;
    })) << "cut at "
        << cut << ": " << direct.server.lost;
  }
}

TEST(DirectTls, GarbageBehindTheClientHello) {
  Loop loop;
  Direct direct(loop);
  MemoryClient client;
  direct.peer->send(client.go_on("") + std::string(20'000, 'x'));
  ASSERT_TRUE(loop.until([&] { return direct.server.losses == 1; }));
  EXPECT_EQ(direct.server.secured, 0);
}

TEST(OrdinaryTls, NeedsNoAlpnButNotAWrongOne) {
  Loop loop;
  const SecureServed without(loop, Family::v4);
  EXPECT_EQ(without.server.stream->tls()->alpn, "");
  const SecureServed with(loop, Family::v4, offer_postgresql);
  EXPECT_EQ(with.server.stream->tls()->alpn, "postgresql");
  Served other(loop, Family::v4);
  other.server.stream->start_tls_server(plain_server_context(), {});
  TlsPeer tls(*other.peer, TlsPeer::Role::client, [](SSL_CTX* context) { offer(context, "h2"); });
  ASSERT_TRUE(loop.until([&] {
    tls.handshake();
    return other.server.losses == 1;
  }));
  EXPECT_EQ(other.server.lost, "TLS handshake failed: no application protocol");
}

/// Our client role, and an OpenSSL server.
struct Dialled {
  explicit Dialled(Loop& loop) {
    owner.stream = loop.reactor->connect(listener.endpoint(), owner);
    EXPECT_TRUE(loop.until([&] { return owner.connected == 1; }));
    peer.emplace(listener.accept());
  }
  RawListener listener{Family::v4};
  Owner owner;
  std::optional<RawPeer> peer;
};

TEST(DirectTls, ToAServerThatAgrees) {
  Loop loop;
  Couple couple(loop, Family::v4);
  couple.server.when_received = [&](Bytes bytes) {
    couple.server.when_received = nullptr;
    couple.server.stream->start_tls_server(plain_server_context(), bytes);
  };
  couple.client.stream->start_tls_client(plain_client_context(), "db.test", true);
  ASSERT_TRUE(loop.until([&] { return couple.client.secured == 1 && couple.server.secured == 1; }));
}

TEST(DirectTls, ToAServerThatDoesNotKnowOfIt) {
  Loop loop;
  Dialled dialled(loop);
  dialled.owner.stream->start_tls_client(plain_client_context(), "db.test", true);
  TlsPeer tls(*dialled.peer, TlsPeer::Role::server);  // without ALPN
  ASSERT_TRUE(loop.until([&] {
    tls.handshake();
    return dialled.owner.losses == 1;
  }));
  EXPECT_EQ(dialled.owner.secured, 0);
  EXPECT_EQ(dialled.owner.lost,
            "TLS handshake failed: the server did not agree to the protocol \"postgresql\" by "
            "ALPN, which direct TLS needs (PostgreSQL 17 or later; else use the ordinary "
            "negotiation)");
}

TEST(OrdinaryTls, ToAServerThatDoesNotKnowOfAlpn) {
  Loop loop;
  Dialled dialled(loop);
  dialled.owner.stream->start_tls_client(plain_client_context(), "db.test", false);
  TlsPeer tls(*dialled.peer, TlsPeer::Role::server);
  ASSERT_TRUE(loop.until([&] { return tls.handshake() && dialled.owner.secured == 1; }));
  EXPECT_EQ(dialled.owner.stream->tls()->alpn, "");
}

TEST(OrdinaryTls, ServerNameIsSentForNamesOnly) {
  for (const std::string host : {"db.test", "127.0.0.1", "::1", "", "/run/socket"}) {
    Loop loop;
    Dialled dialled(loop);
    dialled.owner.stream->start_tls_client(plain_client_context(), host, false);
    TlsPeer tls(*dialled.peer, TlsPeer::Role::server);
    ASSERT_TRUE(loop.until([&] { return tls.handshake() && dialled.owner.secured == 1; }));
    const char* name = SSL_get_servername(tls.ssl(), TLSEXT_NAMETYPE_host_name);
    EXPECT_EQ(std::string(name == nullptr ? "" : name), host == "db.test" ? host : "") << host;
  }
}

}  // namespace
}  // namespace forebay::net::test
