#include <gtest/gtest.h>
#include <malloc.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "support/certificates.hpp"
#include "support/loop.hpp"
#include "support/raw_peer.hpp"
#include "support/tls_peer.hpp"

/// What idle connections keep on the heap.
namespace forebay::net::test {
namespace {

/// In this test's other process: clients that connect, say one thing, and stay until the pipe that
/// they hold ends.
[[noreturn]] void be_clients(const Endpoint& endpoint, int count, bool tls, int until_end_of) {
  std::vector<RawPeer> peers;
  std::vector<TlsPeer> sessions;
  peers.reserve(static_cast<std::size_t>(count));
  for (int i = 0; i < count; ++i) {
    const RawPeer& peer = peers.emplace_back(endpoint);
    if (tls) {
      TlsPeer& session = sessions.emplace_back(peer, TlsPeer::Role::client, offer_postgresql);
      while (!session.handshake()) ::usleep(100);
      session.send("hello");
    } else {
      peer.send("hello");
    }
  }
  char byte;
  while (::read(until_end_of, &byte, 1) > 0) {
  }
  ::_exit(0);
}

/// The owner of a stream, as small as can be.
struct Idler final : core::StreamEvents {
  void on_received(Bytes bytes) override {
    stream->send({&bytes, 1});
    heard = true;
  }
  void on_writable() override {}
  void on_end() override {}
  void on_lost(const std::string&) override {}
  std::unique_ptr<core::Stream> stream;
  bool heard = false;
};

std::size_t heap_in_use() {
  const auto facts = ::mallinfo2();
  return facts.uordblks + facts.hblkhd;
}

/// Bytes of heap for each of so many connections that have been used and are idle now.
double heap_of_one(bool tls, int count) {
  Loop loop;
  const auto listener = listen_for(Family::v4);
  std::vector<std::unique_ptr<Idler>> idlers;
  idlers.reserve(static_cast<std::size_t>(count));
  loop.driven.when_accepted = [&](std::unique_ptr<core::Stream> stream, core::ListenerId) {
    Idler& idler = *idlers.emplace_back(std::make_unique<Idler>());
    loop.reactor->set_owner(*stream, idler);
    if (tls) stream->start_tls_server(plain_server_context(), {});
    idler.stream = std::move(stream);
  };
  int ends[2];
  EXPECT_EQ(::pipe(ends), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    ::close(ends[1]);
    be_clients(listener->endpoint(), count, tls, ends[0]);
  }
  ::close(ends[0]);
  const std::size_t before = heap_in_use();
  loop.reactor->listen(listener, core::ListenerId(0));
  EXPECT_TRUE(loop.until([&] {
    return idlers.size() == static_cast<std::size_t>(count) &&
           std::ranges::all_of(idlers, [](const auto& idler) { return idler->heard; });
  }));
  const std::size_t after = heap_in_use();
  idlers.clear();
  ::close(ends[1]);
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  return static_cast<double>(after - before) / count;
}

TEST(IdleConnection, HeapIsBounded) {
  void* const probe = std::malloc(1000);
  const bool measurable = heap_in_use() > 0;
  std::free(probe);
  if (!measurable) GTEST_SKIP() << "this build has another malloc";
  // Once for what is made only once.
  heap_of_one(true, 5);
  const double plain = heap_of_one(false, 500);
  const double tls = heap_of_one(true, 500);
  std::printf("heap of an idle connection: plain %.0f bytes, TLS %.0f bytes\n", plain, tls);
  RecordProperty("plain_bytes", static_cast<int>(plain));
  RecordProperty("tls_bytes", static_cast<int>(tls));
  EXPECT_LT(plain, 400);
  EXPECT_LT(tls, 14400);
}

}  // namespace
}  // namespace forebay::net::test
