#include <gtest/gtest.h>
#include <openssl/x509.h>

#include "support/certificates.hpp"
#include "support/loop.hpp"
#include "support/raw_peer.hpp"
#include "support/tls_peer.hpp"

namespace forebay::net::test {
namespace {

class Tls : public testing::TestWithParam<Family> {};
INSTANTIATE_TEST_SUITE_P(Families, Tls, testing::Values(Family::v4, Family::unix_file),
                         [](const auto& family) { return name_of(family.param); });

std::string sha256_of(X509* certificate) {
  std::string hash(32, '\0');
  unsigned int size = 0;
  X509_digest(certificate, EVP_sha256(), reinterpret_cast<unsigned char*>(hash.data()), &size);
  return hash;
}

TEST_P(Tls, SecuresAndTellsTheFacts) {
  Loop loop;
  SecureCouple couple(loop, GetParam());
  for (const Owner* owner : {&couple.client, &couple.server}) {
    const core::TlsFacts* facts = owner->stream->tls();
    ASSERT_NE(facts, nullptr);
    EXPECT_EQ(facts->version, "TLSv1.3");
    EXPECT_EQ(facts->cipher, "TLS_AES_256_GCM_SHA384");
    EXPECT_EQ(facts->alpn, "postgresql");
    EXPECT_EQ(facts->peer_common_name, "") << "nothing was verified";
    EXPECT_EQ(facts->server_end_point, sha256_of(authority().server.x509()));
  }
  couple.client.send("question");
  ASSERT_TRUE(loop.until([&] { return couple.server.received == "question"; }));
  const Bytes pieces[] = {"", "an", "", "swer", ""};
  EXPECT_EQ(couple.server.stream->send(pieces), 6U);
  ASSERT_TRUE(loop.until([&] { return couple.client.received == "answer"; }));
  EXPECT_EQ(loop.reactor->counters().handshakes.value(), 2U);
}

TEST_P(Tls, NoFactsBeforeItIsSecured) {
  Loop loop;
  Couple couple(loop, GetParam());
  couple.server.stream->start_tls_server(plain_server_context(), {});
  EXPECT_EQ(couple.server.stream->tls(), nullptr);
}

TEST_P(Tls, Version12) {
  Loop loop;
  SecureServed served(loop, GetParam(), [](SSL_CTX* context) {
    SSL_CTX_set_max_proto_version(context, TLS1_2_VERSION);
  });
  EXPECT_EQ(served.server.stream->tls()->version, "TLSv1.2");
  EXPECT_EQ(served.server.stream->tls()->alpn, "");
  served.tls.send("question");
  ASSERT_TRUE(loop.until([&] { return served.server.received == "question"; }));
  served.server.send("answer");
  EXPECT_EQ(served.tls.receive_some(), "answer");
  served.server.stream.reset();
  EXPECT_EQ(served.tls.receive_some(), "");
  EXPECT_TRUE(served.tls.was_closed());
}

TEST_P(Tls, OneRecvAndOneSendAMessage) {
  constexpr int kRounds = 500;
  Loop loop;
  SecureCouple couple(loop, GetParam());
  int rounds = 0;
  couple.server.when_received = [&](Bytes bytes) {
    const Bytes pieces[] = {bytes.substr(0, 3), bytes.substr(3)};  // flattened into one record
    couple.server.stream->send(pieces);
  };
  couple.client.when_received = [&](Bytes bytes) {
    if (++rounds < kRounds) couple.client.stream->send({&bytes, 1});
  };
  const ReactorCounters& counters = loop.reactor->counters();
  const auto recv = counters.recv.value();
  const auto send = counters.send.value();
  const auto eagain = counters.recv_eagain.value();
  const auto control = counters.epoll_ctl.value();
  couple.client.send("SELECT 1");
  ASSERT_TRUE(loop.until([&] { return rounds == kRounds; }));
  EXPECT_EQ(counters.recv.value() - recv, 2U * kRounds);
  EXPECT_EQ(counters.send.value() - send, 2U * kRounds);
  EXPECT_EQ(counters.recv_eagain.value(), eagain);
  EXPECT_EQ(counters.epoll_ctl.value(), control);
}

TEST_P(Tls, LargeTransfersBothWaysAtOnce) {
  Loop loop;
  SecureCouple couple(loop, GetParam());
  const std::string there = numbered_text(6'000'000);
  const std::string back = numbered_text(7'000'000);
  Pump one(couple.client, there);
  Pump two(couple.server, back);
  ASSERT_TRUE(loop.until([&] {
    return couple.server.received.size() == there.size() &&
           couple.client.received.size() == back.size();
  }));
  EXPECT_TRUE(couple.server.received == there);
  EXPECT_TRUE(couple.client.received == back);
  EXPECT_GT(couple.server.largest, 16U * 1024) << "several records arrive together";
}

TEST_P(Tls, ASlowReaderBlocksTheSender) {
  Loop loop;
  SecureServed served(loop, GetParam());
  const std::string text = numbered_text(20'000'000);
  Pump pump(served.server, text);
  EXPECT_FALSE(pump.done());
  EXPECT_EQ(served.server.send("no room"), 0U);
  loop.settle();
  const std::size_t held = text.size() - pump.left();
  EXPECT_LT(held, text.size() / 2);
  std::string arrived;
  ASSERT_TRUE(loop.until([&] {
    arrived += served.tls.receive_some();
    return arrived.size() == text.size();
  })) << served.tls.failure();
  EXPECT_TRUE(arrived == text);
}

/// After a short send, the owner may cut the same bytes differently, and offer fewer.
TEST_P(Tls, OffersAgainInOtherPieces) {
  Loop loop;
  SecureServed served(loop, GetParam());
  const std::string text = numbered_text(8'000'000);
  std::size_t sent = 0;
  std::size_t step = 1;
  const auto go_on = [&] {
    while (sent < text.size()) {
      step = step * 7 % 50'021 + 1;
      const Bytes some = Bytes(text).substr(sent, step);
      const Bytes pieces[] = {some.substr(0, step / 3),
                              some.substr(std::min(step / 3, some.size()))};
      const std::size_t taken = served.server.stream->send(pieces);
      sent += taken;
      if (taken < some.size()) return;
    }
  };
  served.server.when_writable = go_on;
  go_on();
  std::string arrived;
  ASSERT_TRUE(loop.until([&] {
    arrived += served.tls.receive_some();
    return arrived.size() == text.size();
  })) << served.tls.failure();
  EXPECT_TRUE(arrived == text);
  EXPECT_GT(served.server.writable, 0);
}

TEST_P(Tls, PausesWithRecordsInHand) {
  Loop loop;
  SecureServed served(loop, GetParam());
  const std::string text = numbered_text(200'000);
  Bytes rest = text;
  bool paused = false;
  served.server.when_received = [&](Bytes) {
    EXPECT_FALSE(std::exchange(paused, true));
    served.server.stream->pause();
  };
  int arrivals = 0;
  ASSERT_TRUE(loop.until([&] {
    while (!rest.empty() && served.tls.send(rest.substr(0, 10'000))) {
      rest.remove_prefix(std::min<std::size_t>(rest.size(), 10'000));
    }
    loop.reactor->turn(loop.driven, Duration::zero());
    served.server.stream->resume();
    if (std::exchange(paused, false)) ++arrivals;
    return served.server.received.size() == text.size();
  }));
  EXPECT_TRUE(served.server.received == text);
  EXPECT_GT(arrivals, 3);
}

TEST_P(Tls, TheEndWaitsForAResume) {
  Loop loop;
  SecureServed served(loop, GetParam());
  served.server.when_received = [&](Bytes) { served.server.stream->pause(); };
  served.tls.send("last words");
  served.tls.close_notify();
  ASSERT_TRUE(loop.until([&] { return served.server.received == "last words"; }));
  loop.settle();
  EXPECT_EQ(served.server.ended, 0);
  served.server.stream->resume();
  ASSERT_TRUE(loop.until([&] { return served.server.ended == 1; }));
  EXPECT_EQ(served.server.send("farewell"), 8U) << "our half is still open";
  EXPECT_EQ(served.tls.receive_some(), "farewell");
}

TEST_P(Tls, WeEndOurHalf) {
  Loop loop;
  SecureServed served(loop, GetParam());
  served.server.send("bye");
  served.server.stream->shut_down_sending();
  EXPECT_EQ(served.tls.receive_some(), "bye");
  EXPECT_EQ(served.tls.receive_some(), "");
  EXPECT_TRUE(served.tls.was_closed());
  EXPECT_TRUE(served.peer->at_end());
  served.tls.send("not yet");
  ASSERT_TRUE(loop.until([&] { return served.server.received == "not yet"; }));
}

TEST_P(Tls, WeEndOurHalfWhileBlocked) {
  Loop loop;
  SecureServed served(loop, GetParam());
  const std::string text = numbered_text(20'000'000);
  const std::size_t taken = served.server.send(text);
  ASSERT_LT(taken, text.size());
  served.server.stream->shut_down_sending();
  std::string arrived;
  ASSERT_TRUE(loop.until([&] {
    arrived += served.tls.receive_some();
    return served.tls.was_closed();
  }));
  EXPECT_GE(arrived.size(), taken) << "what was taken arrives";
  EXPECT_TRUE(text.starts_with(arrived));
  EXPECT_EQ(served.server.writable, 0);
  ASSERT_TRUE(loop.until([&] { return served.peer->at_end(); }));
}

TEST_P(Tls, DestroyingSaysGoodbye) {
  Loop loop;
  SecureServed served(loop, GetParam());
  served.server.send("last");
  served.server.stream.reset();
  EXPECT_EQ(served.tls.receive_some(), "last");
  EXPECT_EQ(served.tls.receive_some(), "");
  EXPECT_TRUE(served.tls.was_closed());
}

TEST_P(Tls, ResetDoesNotSayGoodbye) {
  Loop loop;
  SecureServed served(loop, GetParam());
  served.server.send("half");
  served.server.stream->reset();
  served.tls.receive_some();
  EXPECT_EQ(served.tls.receive_some(), "");
  EXPECT_FALSE(served.tls.was_closed());
  EXPECT_NE(served.tls.failure(), "");
}

TEST_P(Tls, ACutIsALoss) {
  Loop loop;
  SecureServed served(loop, GetParam());
  served.tls.send("half a mess");
  served.peer->shut_down_sending();
  ASSERT_TRUE(loop.until([&] { return served.server.losses == 1; }));
  EXPECT_EQ(served.server.received, "half a mess");
  EXPECT_EQ(served.server.ended, 0);
  EXPECT_EQ(served.server.lost,
            "TLS: the connection ended without a close_notify; what came last may be cut");
}

TEST_P(Tls, ForgedBytesAreALoss) {
  Loop loop;
  SecureServed served(loop, GetParam());
  served.peer->send(std::string("\x17\x03\x03\x00\x20", 5) + std::string(32, 'x'));
  ASSERT_TRUE(loop.until([&] { return served.server.losses == 1; }));
  EXPECT_EQ(served.server.received, "");
  EXPECT_EQ(served.server.lost.substr(0, 5), "TLS: ") << served.server.lost;
}

TEST_P(Tls, SendToOneWhoWentIsToldLater) {
  Loop loop;
  SecureServed served(loop, GetParam());
  served.tls.send("last words");
  served.peer->close();
  served.server.stream->pause();
  for (int i = 0; i < 3; ++i) EXPECT_EQ(served.server.send("hello?"), 6U);
  EXPECT_EQ(served.server.losses, 0);
  ASSERT_TRUE(loop.until([&] {
    served.server.stream->resume();
    return served.server.losses == 1;
  }));
  EXPECT_EQ(served.server.send("after"), 5U);
}

TEST_P(Tls, FirstBytesTogetherWithTheEndOfTheHandshake) {
  Loop loop;
  Served served(loop, GetParam());
  served.server.stream->start_tls_server(plain_server_context(), {});
  TlsPeer tls(*served.peer, TlsPeer::Role::client);
  served.server.when_secured = [&] { EXPECT_EQ(served.server.received, ""); };
  ASSERT_TRUE(loop.until([&] { return tls.handshake(); }));
  tls.send("at once");
  ASSERT_TRUE(loop.until([&] { return served.server.received == "at once"; }));
  EXPECT_EQ(served.server.secured, 1);
}

TEST_P(Tls, KeysAreRenewed) {
  Loop loop;
  SecureServed served(loop, GetParam());
  for (int i = 0; i < 5; ++i) {
    ASSERT_EQ(SSL_key_update(served.tls.ssl(), SSL_KEY_UPDATE_REQUESTED), 1);
    served.tls.send("question");
    ASSERT_TRUE(loop.until([&] { return served.server.received == "question"; }));
    served.server.received.clear();
    served.server.send("answer");
    EXPECT_EQ(served.tls.receive_some(), "answer") << served.tls.failure();
  }
}

TEST_P(Tls, RenegotiationIsRefused) {
  Loop loop;
  SecureServed served(loop, GetParam(), [](SSL_CTX* context) {
    SSL_CTX_set_max_proto_version(context, TLS1_2_VERSION);
  });
  SSL_renegotiate(served.tls.ssl());
  served.tls.handshake();
  ASSERT_TRUE(loop.until([&] {
    served.tls.receive_some();
    return !served.tls.failure().empty();
  }));
  EXPECT_EQ(served.tls.failure(), "no renegotiation");
}

TEST_P(Tls, NoTicketsAreGiven) {
  static int tickets = 0;
  Loop loop;
  SecureServed served(loop, GetParam(), [](SSL_CTX* context) {
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT);
    SSL_CTX_sess_set_new_cb(context, [](SSL*, SSL_SESSION*) {
      ++tickets;
      return 0;
    });
  });
  served.server.send("x");
  EXPECT_EQ(served.tls.receive_some(), "x");
  EXPECT_EQ(tickets, 0);
}

TEST_P(Tls, ChangesItsReactorWithRecordsInHand) {
  Loop here;
  Loop there;
  SecureServed served(here, GetParam());
  served.server.when_received = [&](Bytes) { here.reactor->detach(*served.server.stream); };
  const std::string text = numbered_text(60'000);
  for (std::size_t i = 0; i < text.size(); i += 10'000) {
    ASSERT_TRUE(served.tls.send(Bytes(text).substr(i, 10'000)));
  }
  ASSERT_TRUE(here.until([&] { return !served.server.received.empty(); }));
  here.settle();
  ASSERT_LT(served.server.received.size(), text.size());
  served.server.when_received = nullptr;
  there.reactor->attach(*served.server.stream, served.server);
  ASSERT_TRUE(there.until([&] { return served.server.received.size() == text.size(); }));
  EXPECT_TRUE(served.server.received == text);
  served.server.send("answer");
  EXPECT_EQ(served.tls.receive_some(), "answer");
}

TEST_P(Tls, ChangesItsThreadUnderTraffic) {
  LoopThread one;
  LoopThread two;
  Loop third;
  Owner owner;
  Owner client;
  const auto listener = listen_for(GetParam());
  const std::array<LoopThread*, 2> loops{&one, &two};
  std::size_t at = 0;
  std::string unsent;
  int moves = 0;
  owner.when_writable = [&] { unsent.erase(0, owner.send(unsent)); };
  owner.when_received = [&](Bytes bytes) {
    unsent += bytes;
    owner.when_writable();
    loops[at]->reactor().detach(*owner.stream);
    at = 1 - at;
    ++moves;
    Reactor& next = loops[at]->reactor();
    next.post([&] { next.attach(*owner.stream, owner); });
  };
  one.run([&] {
    one.driven().when_accepted = [&](std::unique_ptr<core::Stream> stream, core::ListenerId) {
      one.reactor().set_owner(*stream, owner);
      owner.stream = std::move(stream);
      owner.stream->start_tls_server(plain_server_context(), {});
    };
    one.reactor().listen(listener, core::ListenerId(0));
  });
  client.stream = third.reactor->connect(listener->endpoint(), client);
  ASSERT_TRUE(third.until([&] { return client.connected == 1; }));
  client.stream->start_tls_client(plain_client_context(), "db.test", false);
  ASSERT_TRUE(third.until([&] { return client.secured == 1; })) << client.lost;
  const std::string text = numbered_text(3'000'000);
  Pump pump(client, text);
  ASSERT_TRUE(third.until([&] { return client.received.size() == text.size(); })) << client.lost;
  EXPECT_TRUE(client.received == text);
  client.stream->shut_down_sending();
  ASSERT_TRUE(one.until([&] {
    two.run([] {});
    return owner.ended == 1;
  }));
  EXPECT_GT(moves, 10);
  loops[at]->run([&] { owner.stream.reset(); });
}

TEST_P(Tls, DestroyedWhenSecuredAndWhenBytesArrive) {
  Loop loop;
  Served first(loop, GetParam());
  first.server.stream->start_tls_server(plain_server_context(), {});
  first.server.when_secured = [&] { first.server.stream.reset(); };
  TlsPeer tls(*first.peer, TlsPeer::Role::client);
  ASSERT_TRUE(loop.until([&] { return tls.handshake() && first.server.secured == 1; }));
  tls.receive_some();
  EXPECT_TRUE(tls.was_closed());

  SecureServed second(loop, GetParam());
  second.server.when_received = [&](Bytes bytes) {
    second.server.stream.reset();
    EXPECT_EQ(bytes, "go");
  };
  second.tls.send("go");
  ASSERT_TRUE(loop.until([&] { return second.server.received == "go"; }));
  second.tls.receive_some();
  EXPECT_TRUE(second.tls.was_closed());

  SecureServed third(loop, GetParam());
  third.server.when_lost = [&] { third.server.stream.reset(); };
  third.peer->send("garbage");
  third.peer->shut_down_sending();
  ASSERT_TRUE(loop.until([&] { return third.server.losses == 1; }));
}

TEST_P(Tls, DestroyedWhileBlocked) {
  Loop loop;
  SecureServed served(loop, GetParam());
  const std::string text = numbered_text(20'000'000);
  const std::size_t taken = served.server.send(text);
  served.server.stream.reset();
  std::string arrived;
  ASSERT_TRUE(loop.until([&] {
    arrived += served.tls.receive_some();
    return !served.tls.failure().empty();
  }));
  EXPECT_GE(arrived.size(), taken) << "what was taken arrives";
  EXPECT_FALSE(served.tls.was_closed()) << "but it is not the end";
}

}  // namespace
}  // namespace forebay::net::test
