#include "support/rig.hpp"

#include <algorithm>

#include "forebay/base/assert.hpp"
#include "support/words.hpp"
#include "support/world.hpp"

namespace forebay::test {
namespace {

constexpr std::string_view kWelcome =
    R"(AuthenticationOk ; ParameterStatus "server_version" "15.0" ;)"
    R"( ParameterStatus "client_encoding" "UTF8" ; BackendKeyData 7 "key!" ; ReadyForQuery I)";

}  // namespace

RigStream::~RigStream() {
  std::erase(io_.servers, this);
}

std::size_t RigStream::send(std::span<const Bytes> pieces) {
  const std::size_t before = sent.size();
  for (const Bytes piece : pieces) sent += piece;
  ++sends;
  return sent.size() - before;
}

std::unique_ptr<core::Stream> RigIo::connect(const Endpoint&, core::StreamEvents& owner) {
  auto stream = std::make_unique<RigStream>(*this, &owner);
  servers.push_back(stream.get());
  return stream;
}

void RigIo::attach(core::Stream& stream, core::StreamEvents& owner) {
  set_owner(stream, owner);
}

void RigIo::set_owner(core::Stream& stream, core::StreamEvents& owner) {
  static_cast<RigStream&>(stream).owner = &owner;
}

void RigIo::entropy(std::span<char> into) {
  std::fill(into.begin(), into.end(), 'e');
}

Rig::Rig(config::Config config, std::size_t clients)
    : shared_(std::make_unique<core::Shared>(1, journal_)) {
  shared_->courier = &courier_;
  engine_ = std::make_unique<core::Engine>(
      core::Engine::Setup{core::WorkerId(0), io_, *shared_, make_runtime(std::move(config))});
  const std::string startup = encode_startup(split(R"(Startup 3.0 user="u" database="app")")[0]);
  for (std::size_t i = 0; i < clients; ++i) {
    auto stream = std::make_unique<RigStream>(io_, nullptr);
    clients_.push_back(stream.get());
    engine_->begin_turn(now_);
    engine_->on_accepted(std::move(stream), core::ListenerId(0));
    engine_->end_turn();
    client_says(i, startup);
    let_servers_in();
  }
  for (RigStream* client : clients_) {
    FB_ASSERT(client->sent.ends_with(backend("ReadyForQuery I")));
    client->sent.clear();
  }
}

Rig::~Rig() {
  engine_.reset();
}

void Rig::let_servers_in() {
  static const std::string welcome = backend(kWelcome);
  for (std::size_t i = 0; i < io_.servers.size(); ++i) {
    RigStream& server = *io_.servers[i];
    if (server.sends > 0) continue;
    engine_->begin_turn(now_);
    server.owner->on_connected();
    engine_->end_turn();
    FB_ASSERT(server.sends == 1);
    server.sent.clear();
    server_says(server, welcome);
  }
}

void Rig::turn(core::StreamEvents& owner, Bytes bytes) {
  engine_->begin_turn(now_);
  owner.on_received(bytes);
  engine_->end_turn();
}

void Rig::client_says(std::size_t client, Bytes request) {
  turn(*clients_[client]->owner, request);
}

void Rig::server_says(RigStream& server, Bytes reply) {
  turn(*server.owner, reply);
}

void Rig::deliver(core::Mail letter) {
  engine_->begin_turn(now_);
  engine_->deliver(std::move(letter));
  engine_->end_turn();
}

std::size_t Rig::exchange(std::size_t client, Bytes request, Bytes reply) {
  RigStream& end = *clients_[client];
  end.sent.clear();
  const std::size_t said = end.sends;
  client_says(client, request);
  const auto asked = std::find_if(io_.servers.begin(), io_.servers.end(),
                                  [](const RigStream* server) { return !server->sent.empty(); });
  FB_ASSERT(asked != io_.servers.end());
  RigStream* const server = *asked;
  const std::size_t asks = std::exchange(server->sends, 1);
  server->sent.clear();
  server_says(*server, reply);
  // It may be closed after that.
  const bool there = std::ranges::find(io_.servers, server) != io_.servers.end();
  return end.sends - said + (asks - 1) + (there ? server->sends - 1 : 0);
}

}  // namespace forebay::test
