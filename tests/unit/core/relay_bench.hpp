#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "core/relay/relay.hpp"
#include "support/words.hpp"

namespace forebay::core {

/// Takes everything.
class SinkStream : public Stream {
 public:
  std::size_t send(std::span<const Bytes> pieces) override {
    std::size_t taken = 0;
    for (const Bytes piece : pieces) {
      bytes += piece;
      taken += piece.size();
    }
    return taken;
  }
  void pause() override {}
  void resume() override {}
  void start_tls_server(std::shared_ptr<const TlsContext>, Bytes) override {}
  void start_tls_client(std::shared_ptr<const TlsContext>, const std::string&, bool) override {}
  [[nodiscard]] const TlsFacts* tls() const override { return nullptr; }
  [[nodiscard]] PeerFacts peer() const override { return {}; }
  void set_peer(const std::array<std::uint8_t, 16>&, std::uint16_t) override {}
  void shut_down_sending() override {}
  void reset() override {}

  std::string bytes;
};

/// What both sides got from one turn.
struct Heard {
  std::string server;  ///< messages as text
  std::string client;
  std::string server_bytes;
  std::string client_bytes;
  Relay::ClientStop stop = Relay::ClientStop::need_bytes;
  ServerRelay::Verdict verdict = ServerRelay::Verdict::fine;
  std::size_t consumed = 0;
  std::string complaint;
};

/// Clients and links without an engine: who is linked to whom is the test's decision.
class RelayBench {
 public:
  /// Bytes come in pieces of this size, as from a network.
  static constexpr std::size_t kPiece = 48 * 1024;

  struct Client {
    ClientRelayState state;
    std::string waiting;
  };
  struct Link {
    LinkRelayState state;
    std::string waiting;
  };

  RelayBench() : rules{.parameter_sets = sets, .catalog = catalog} {}

  ParameterSets sets;
  StatementCatalog catalog;
  RelayRules rules;
  Counters counters;

  std::unique_ptr<Client> client() {
    auto made = std::make_unique<Client>();
    made->state.serial = ++serials_;
    made->state.settings = sets.empty();
    made->state.welcome = welcome_;
    return made;
  }
  std::unique_ptr<Link> link() {
    auto made = std::make_unique<Link>();
    made->state.settings = sets.empty();
    made->state.welcome = welcome_;
    made->state.reported = *welcome_;
    return made;
  }

  /// What is not consumed waits for the next call, as in the engine.
  Heard client_sends(Client& client, Link* link, Bytes bytes) {
    Heard heard;
    do {
      client.waiting += bytes.substr(0, kPiece);
      bytes.remove_prefix(std::min(kPiece, bytes.size()));
      Conduit to_client;
      Conduit to_server;
      Relay relay(rules, client.state, {to_client, to_server});
      const auto progress =
          relay.from_client(client.waiting, link == nullptr ? nullptr : &link->state);
      heard.stop = progress.stop;
      heard.complaint = relay.violation();
      heard.consumed += progress.consumed;
      take(to_client, to_server, heard);
      client.waiting.erase(0, progress.consumed);
    } while (!bytes.empty());
    show(heard);
    return heard;
  }
  /// What waited may go on.
  Heard client_goes_on(Client& client, Link* link) { return client_sends(client, link, {}); }
  /// `says` is messages as text.
  Heard client_says(Client& client, Link* link, std::string_view says) {
    return client_sends(client, link, test::frontend(says));
  }

  Heard server_sends(Link& link, Client* client, Bytes bytes) {
    Heard heard;
    do {
      link.waiting += bytes.substr(0, kPiece);
      bytes.remove_prefix(std::min(kPiece, bytes.size()));
      Conduit to_client;
      Conduit to_server;
      ServerRelay relay(rules, link.state, client == nullptr ? nullptr : &client->state, to_client,
                        counters);
      const auto progress = relay.from_server(link.waiting);
      if (progress.verdict != ServerRelay::Verdict::fine) heard.verdict = progress.verdict;
      heard.complaint = relay.reason();
      heard.consumed += progress.consumed;
      take(to_client, to_server, heard);
      link.waiting.erase(0, progress.consumed);
    } while (!bytes.empty() && heard.verdict != ServerRelay::Verdict::violation);
    show(heard);
    return heard;
  }
  Heard server_says(Link& link, Client* client, std::string_view says) {
    return server_sends(link, client, test::backend(says));
  }

  /// What the relay does that neither side has asked for.
  Heard by_itself(Client& client, Link& link, void (Relay::*what)(LinkRelayState&)) {
    Conduit to_client;
    Conduit to_server;
    (Relay(rules, client.state, {to_client, to_server}).*what)(link.state);
    Heard heard;
    take(to_client, to_server, heard);
    show(heard);
    return heard;
  }
  Heard link_up(Client& client, Link& link) { return by_itself(client, link, &Relay::link_up); }

  Heard take_inventory(Client& client, Link& link) {
    return by_itself(client, link, &Relay::take_inventory);
  }

  Heard lose(Client& client, Link& link) {
    Conduit to_client;
    Conduit to_server;
    Relay(rules, client.state, {to_client, to_server}).on_link_lost(link.state, "gone");
    Heard heard;
    take(to_client, to_server, heard);
    show(heard);
    return heard;
  }

  /// Prepares a statement, answered at once.
  void prepare(Client& client, Link& link, const std::string& name, const std::string& text) {
    client_says(client, &link, "Parse " + test::quote(name) + " " + test::quote(text) + " ; Sync");
    server_says(link, &client, "ParseComplete ; ReadyForQuery I");
    ASSERT_TRUE(link.state.at_rest());
  }

 private:
  static void take(Conduit& to_client, Conduit& to_server, Heard& heard) {
    SinkStream client;
    SinkStream server;
    Stash none;
    BufferPool pool;
    to_client.flush(client, none, pool);
    to_server.flush(server, none, pool);
    heard.client += client.bytes;
    heard.server += server.bytes;
  }
  static void show(Heard& heard) {
    heard.client_bytes = std::exchange(heard.client, test::backend_text(heard.client));
    heard.server_bytes = std::exchange(heard.server, test::frontend_text(heard.server));
  }

  std::uint64_t serials_ = 0;
  WelcomeRef welcome_ = std::make_shared<const Welcome>(
      Welcome{{{"server_version", "15.0"}, {"application_name", ""}, {"TimeZone", "UTC"}}});
};

}  // namespace forebay::core
