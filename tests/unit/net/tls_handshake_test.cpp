#include <gtest/gtest.h>
#include <openssl/err.h>
#include <sys/socket.h>

#include <algorithm>
#include <list>

#include "support/loop.hpp"
#include "support/raw_peer.hpp"
#include "support/tls_peer.hpp"

/// Handshakes that fail, are disturbed, or come in pieces.
namespace forebay::net::test {
namespace {

struct FailingServer {
  FailingServer(Loop& loop, const Context& context) : served(loop, Family::v4) {
    served.server.stream->start_tls_server(context, {});
  }
  Served served;
};

TEST(TlsHandshake, NotTls) {
  Loop loop;
  FailingServer failing(loop, plain_server_context());
  failing.served.peer->send("SELECT 'plain text where a handshake is expected'");
  ASSERT_TRUE(loop.until([&] { return failing.served.server.losses == 1; }));
  EXPECT_EQ(failing.served.server.lost, "TLS handshake failed: what the peer sent is not TLS");
}

TEST(TlsHandshake, Http) {
  Loop loop;
  FailingServer failing(loop, plain_server_context());
  failing.served.peer->send("GET / HTTP/1.1\r\n\r\n");
  ASSERT_TRUE(loop.until([&] { return failing.served.server.losses == 1; }));
  EXPECT_EQ(failing.served.server.lost, "TLS handshake failed: what the peer sent is not TLS");
}

TEST(TlsHandshake, PeerGoes) {
  Loop loop;
  FailingServer failing(loop, plain_server_context());
  failing.served.peer->close();
  ASSERT_TRUE(loop.until([&] { return failing.served.server.losses == 1; }));
  EXPECT_EQ(failing.served.server.lost,
            "TLS handshake failed: the peer closed the connection during it");
}

TEST(TlsHandshake, PeerWentBefore) {
  Loop loop;
  Served served(loop, Family::v4);
  served.peer->shut_down_sending();
  ASSERT_TRUE(loop.until([&] { return served.server.ended == 1; }));
  served.server.stream->start_tls_server(plain_server_context(), {});
  ASSERT_TRUE(loop.until([&] { return served.server.losses == 1; }));
  EXPECT_EQ(served.server.lost, "TLS handshake failed: the peer closed the connection before it");
}

TEST(TlsHandshake, PeerResets) {
  Loop loop;
  FailingServer failing(loop, plain_server_context());
  failing.served.peer->reset();
  ASSERT_TRUE(loop.until([&] { return failing.served.server.losses == 1; }));
  EXPECT_EQ(failing.served.server.lost, "TLS handshake failed: connection reset by peer during it");
}

TEST(TlsHandshake, VersionTooOld) {
  Loop loop;
  FailingServer failing(loop, plain_server_context());
  TlsPeer tls(*failing.served.peer, TlsPeer::Role::client, [](SSL_CTX* context) {
    SSL_CTX_set_security_level(context, 0);
    SSL_CTX_set_min_proto_version(context, TLS1_VERSION);
    SSL_CTX_set_max_proto_version(context, TLS1_1_VERSION);
  });
  ASSERT_TRUE(loop.until([&] {
    tls.handshake();
    return failing.served.server.losses == 1 && !tls.failure().empty();
  }));
  EXPECT_EQ(failing.served.server.lost,
            "TLS handshake failed: no TLS version or cipher is allowed by both sides (unsupported "
            "protocol)");
  EXPECT_EQ(tls.failure(), "tlsv1 alert protocol version");
}

TEST(TlsHandshake, OneByteAtATime) {
  Loop loop;
  Served served(loop, Family::v4);
  served.server.stream->start_tls_server(plain_server_context(), {});
  // The client speaks through memory, and each byte is carried over alone.
  const std::shared_ptr<SSL_CTX> context(SSL_CTX_new(TLS_client_method()), SSL_CTX_free);
  const std::shared_ptr<SSL> client(SSL_new(context.get()), SSL_free);
  BIO* const in = BIO_new(BIO_s_mem());
  BIO* const out = BIO_new(BIO_s_mem());
  SSL_set_bio(client.get(), in, out);
  SSL_set_connect_state(client.get());
  ASSERT_TRUE(loop.until([&] {
    SSL_do_handshake(client.get());
    ERR_clear_error();
    char byte;
    while (BIO_read(out, &byte, 1) == 1) {
      served.peer->send({&byte, 1});
      loop.reactor->turn(loop.driven, std::chrono::milliseconds(1));
    }
    const std::string back = served.peer->receive_some();
    BIO_write(in, back.data(), static_cast<int>(back.size()));
    return served.server.secured == 1;
  })) << served.server.lost;
}

/// So many clients whose first flight is there when the next turn begins.
struct Crowd {
  Crowd(Loop& loop, bool direct) {
    while (served.size() < kMany) served.emplace_back(loop, Family::v4);
    for (Served& one : served) {
      if (direct) {
        one.server.when_received = [&one](Bytes bytes) {
          one.server.when_received = nullptr;
          one.server.stream->start_tls_server(plain_server_context(), bytes);
        };
      } else {
        one.server.stream->start_tls_server(plain_server_context(), {});
      }
      tls.emplace_back(*one.peer, TlsPeer::Role::client, offer_postgresql).handshake();
    }
  }
  [[nodiscard]] int answered() const {
    return static_cast<int>(std::ranges::count_if(served, [](const Served& one) {
      char byte;
      return ::recv(one.peer->socket(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 1;
    }));
  }
  [[nodiscard]] bool all_secured() {
    for (TlsPeer& one : tls) one.handshake();
    return std::ranges::all_of(served, [](const Served& one) { return one.server.secured == 1; });
  }

  static constexpr int kMany = 12;
  std::list<Served> served;
  std::list<TlsPeer> tls;
};

/// Many handshakes at once are spread over turns, and who has no part in them goes on in each.
void expect_turns(bool direct) {
  Loop loop;
  Served beside(loop, Family::v4);
  Crowd crowd(loop, direct);
  int before = 0;
  for (int turn = 0; before < Crowd::kMany; ++turn) {
    ASSERT_LT(turn, Crowd::kMany) << before << " of them have an answer";
    beside.peer->send("x");
    beside.server.received.clear();
    loop.reactor->turn(loop.driven, kPatience);
    EXPECT_EQ(beside.server.received, "x");
    const int now = crowd.answered();
    EXPECT_LE(now - before, 4);
    before = now;
  }
  EXPECT_TRUE(loop.until([&] { return crowd.all_secured(); }));
}

TEST(TlsHandshake, ManyAtOnceTakeTurns) {
  expect_turns(false);
}

TEST(TlsHandshake, ManyDirectOnesAtOnceTakeTurns) {
  expect_turns(true);
}

TEST(TlsHandshake, BytesBeforeItFailTheClientRole) {
  Loop loop;
  const RawListener listener(Family::v4);
  Owner owner;
  owner.stream = loop.reactor->connect(listener.endpoint(), owner);
  ASSERT_TRUE(loop.until([&] { return owner.connected == 1; }));
  const RawPeer peer = listener.accept();
  peer.send("S");
  ASSERT_TRUE(loop.until([&] { return owner.received == "S"; }));
  peer.send("ErrorResponse from somebody between us");
  owner.stream->start_tls_client(plain_client_context(), "db.test", false);
  EXPECT_EQ(owner.losses, 0);
  ASSERT_TRUE(loop.until([&] { return owner.losses == 1; }));
  EXPECT_EQ(owner.received, "S");
  EXPECT_EQ(owner.lost,
            "the server sent bytes between its consent to TLS and the handshake, unprotected");
  EXPECT_EQ(peer.receive_some(), "") << "no ClientHello went out";
}

TEST(TlsHandshake, TheServerMayRefuse) {
  Loop loop;
  const RawListener listener(Family::v4);
  Owner owner;
  owner.stream = loop.reactor->connect(listener.endpoint(), owner);
  ASSERT_TRUE(loop.until([&] { return owner.connected == 1; }));
  const RawPeer peer = listener.accept();
  owner.stream->start_tls_client(plain_client_context(), "db.test", false);
  TlsPeer tls(peer, TlsPeer::Role::server, [](SSL_CTX* context) {
    SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION);
    SSL_CTX_set1_groups_list(context, "secp384r1");
    SSL_CTX_set_ciphersuites(context, "TLS_AES_128_CCM_SHA256");
  });
  ASSERT_TRUE(loop.until([&] {
    tls.handshake();
    return owner.losses == 1;
  }));
  EXPECT_EQ(owner.lost, "TLS handshake failed: the peer refused: sslv3 alert handshake failure");
}

TEST(TlsHandshake, SendBeforeItIsSecuredWaits) {
  Loop loop;
  Couple couple(loop, Family::v4);
  couple.server.stream->start_tls_server(plain_server_context(), {});
  couple.client.stream->start_tls_client(plain_client_context(), "", false);
  EXPECT_EQ(couple.client.send("early"), 0U);
  couple.client.when_writable = [&] {
    EXPECT_EQ(couple.client.secured, 1);
    couple.client.send("early");
  };
  ASSERT_TRUE(loop.until([&] { return couple.server.received == "early"; }));
}

TEST(TlsHandshake, GoesOnWhilePaused) {
  Loop loop;
  Served served(loop, Family::v4);
  served.server.stream->pause();
  served.server.stream->start_tls_server(plain_server_context(), {});
  TlsPeer tls(*served.peer, TlsPeer::Role::client);
  ASSERT_TRUE(loop.until([&] { return tls.handshake() && served.server.secured == 1; }));
  tls.send("hello");
  loop.settle();
  EXPECT_EQ(served.server.received, "");
  served.server.stream->resume();
  ASSERT_TRUE(loop.until([&] { return served.server.received == "hello"; }));
}

}  // namespace
}  // namespace forebay::net::test
