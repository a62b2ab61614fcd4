#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "core/relay/relay.hpp"
#include "support/words.hpp"

namespace forebay::core {

/// Takes everything, or nothing.
class SinkStream final : public Stream {
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
  void shut_down_sending() override {}
  void reset() override {}

  std::string bytes;
};

/// What both sides got from one turn.
struct Heard {
  std::string server;  ///< messages as text
  std::string client;
  Relay::ClientStop stop = Relay::ClientStop::need_bytes;
  ServerRelay::Verdict verdict = ServerRelay::Verdict::fine;
  std::size_t consumed = 0;
  std::string complaint;
};

/// Clients and links without an engine: who is linked to whom is the test's decision.
class RelayBench {
 public:
  struct Client {
    ClientRelayState state;
  };
  struct Link {
    LinkRelayState state;
  };

  RelayBench() : rules{sets, catalog, true, 200} {}

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
    return made;
  }

  Heard client_sends(Client& client, Link* link, Bytes bytes) {
    Conduit to_client;
    Conduit to_server;
    Relay relay(rules, client.state, {to_client, to_server});
    const auto progress = relay.from_client(bytes, link == nullptr ? nullptr : &link->state);
    Heard heard;
    heard.stop = progress.stop;
    heard.consumed = progress.consumed;
    heard.complaint = relay.violation();
    take(to_client, to_server, heard);
    return heard;
  }
  /// `says` is messages as text.
  Heard client_says(Client& client, Link* link, std::string_view says) {
    return client_sends(client, link, test::frontend(says));
  }

  Heard server_sends(Link& link, Client* client, Bytes bytes) {
    Conduit to_client;
    Conduit to_server;
    ServerRelay relay(rules, link.state, client == nullptr ? nullptr : &client->state, to_client,
                      counters);
    const auto progress = relay.from_server(bytes);
    Heard heard;
    heard.verdict = progress.verdict;
    heard.consumed = progress.consumed;
    heard.complaint = relay.reason();
    take(to_client, to_server, heard);
    return heard;
  }
  Heard server_says(Link& link, Client* client, std::string_view says) {
    return server_sends(link, client, test::backend(says));
  }

  Heard link_up(Client& client, Link& link) {
    Conduit to_client;
    Conduit to_server;
    Relay(rules, client.state, {to_client, to_server}).link_up(link.state);
    Heard heard;
    take(to_client, to_server, heard);
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
    heard.client = test::backend_text(client.bytes);
    heard.server = test::frontend_text(server.bytes);
  }

  std::uint64_t serials_ = 0;
  WelcomeRef welcome_ = std::make_shared<const Welcome>(
      Welcome{{{"server_version", "15.0"}, {"application_name", ""}, {"TimeZone", "UTC"}}});
};

}  // namespace forebay::core
