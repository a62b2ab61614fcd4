#include "support/memory_net.hpp"

#include <algorithm>
#include <utility>

#include "forebay/base/assert.hpp"

namespace forebay::test {
namespace {

Channel& channel_of(core::Stream& stream) {
  return static_cast<MemoryStream&>(stream).channel();
}

}  // namespace

// ---------------------------------------------------------------- the engine's end

MemoryStream::MemoryStream(std::shared_ptr<Channel> channel) : channel_(std::move(channel)) {
  channel_->stream = this;
}

MemoryStream::~MemoryStream() {
  channel_->stream = nullptr;
  channel_->ended = true;
  channel_->owner = nullptr;
  channel_->io = nullptr;
}

std::size_t MemoryStream::send(std::span<const Bytes> pieces) {
  Channel& channel = *channel_;
  std::size_t offered = 0;
  for (const Bytes piece : pieces) offered += piece.size();
  if (offered == 0) return 0;
  if (channel.broken || channel.lost_told || channel.was_reset) return offered;
  FB_ASSERT(channel.io != nullptr);   // a detached stream is not used
  FB_ASSERT(channel.connected);       // nothing is sent before on_connected
  FB_ASSERT(!channel.handshaking);    // ... and during a handshake
  FB_ASSERT(!channel.ended);          // ... and after shut_down_sending
  FB_ASSERT(!channel.short_of_room);  // the rest waits for on_writable
  std::size_t room = channel.window - std::min(channel.window, channel.outbound.size());
  std::size_t taken = 0;
  for (const Bytes piece : pieces) {
    const Bytes part = piece.substr(0, room);
    channel.outbound += part;
    taken += part.size();
    room -= part.size();
  }
  channel.sent += taken;
  channel.short_of_room = taken < offered;
  return taken;
}

void MemoryStream::start_tls_server(std::shared_ptr<const core::TlsContext>, Bytes) {
  FB_ASSERT(channel_->inbound.empty());  // else it arrived unprotected
  channel_->handshaking = true;
  channel_->tls_wanted = true;
}

void MemoryStream::start_tls_client(std::shared_ptr<const core::TlsContext>, const std::string&,
                                    bool direct) {
  channel_->handshaking = true;
  channel_->tls_wanted = true;
  channel_->tls_direct = direct;
  if (!channel_->inbound.empty()) channel_->broken = "bytes before the handshake";
}

const core::TlsFacts* MemoryStream::tls() const {
  return channel_->tls && !channel_->handshaking ? &*channel_->tls : nullptr;
}

void MemoryStream::reset() {
  channel_->was_reset = true;
  channel_->ended = true;
  channel_->outbound.clear();
}

// ---------------------------------------------------------------- the far end

// Tests tell such addresses apart by their last bytes alone.
void MemoryStream::set_peer(const std::array<std::uint8_t, 16>& address, std::uint16_t port) {
  channel_->peer = {"proxied." + std::to_string(address[14]) + "." + std::to_string(address[15]),
                    port};
}

std::string FarEnd::read(std::size_t most) {
  std::string bytes = channel_->outbound.substr(0, most);
  channel_->outbound.erase(0, most);
  return bytes;
}

void FarEnd::reset(const std::string& reason) {
  channel_->inbound.clear();
  channel_->outbound.clear();
  channel_->window = SIZE_MAX;
  channel_->broken = reason;
}

void FarEnd::close() {
  channel_->far_ended = true;
  channel_->outbound.clear();
  channel_->window = SIZE_MAX;
}

void FarEnd::secure(core::TlsFacts facts) {
  FB_ASSERT(channel_->tls_wanted);
  channel_->tls = std::move(facts);
}

// ---------------------------------------------------------------- a worker's part

MemoryIo::~MemoryIo() {
  FB_ASSERT(open() == 0);
}

std::unique_ptr<core::Stream> MemoryIo::connect(const Endpoint& endpoint,
                                                core::StreamEvents& owner) {
  auto channel = std::make_shared<Channel>();
  channel->io = this;
  channel->owner = &owner;
  channel->endpoint = endpoint;
  channel->window = net_.window;
  channel->connecting = net_.reception ? net_.reception(endpoint) : Reception::refuse;
  net_.channels.push_back(channel);
  return std::make_unique<MemoryStream>(channel);
}

void MemoryIo::detach(core::Stream& stream) {
  Channel& channel = channel_of(stream);
  FB_ASSERT(channel.io == this && channel.connected);
  channel.io = nullptr;
  channel.owner = nullptr;
}

void MemoryIo::attach(core::Stream& stream, core::StreamEvents& owner) {
  Channel& channel = channel_of(stream);
  FB_ASSERT(channel.io == nullptr);
  channel.io = this;
  channel.owner = &owner;
}

void MemoryIo::set_owner(core::Stream& stream, core::StreamEvents& owner) {
  Channel& channel = channel_of(stream);
  FB_ASSERT(channel.io == this);
  channel.owner = &owner;
}

void MemoryIo::entropy(std::span<char> into) {
  for (char& byte : into) byte = static_cast<char>(net_.random());
}

std::pair<std::unique_ptr<core::Stream>, FarEnd> MemoryIo::accept(const core::PeerFacts& peer) {
  auto channel = std::make_shared<Channel>();
  channel->io = this;
  channel->connected = true;
  channel->window = net_.window;
  channel->peer = peer;
  net_.channels.push_back(channel);
  return {std::make_unique<MemoryStream>(channel), FarEnd(channel)};
}

std::size_t MemoryIo::open() const {
  return static_cast<std::size_t>(std::count_if(
      net_.channels.begin(), net_.channels.end(),
      [this](const auto& channel) { return channel->stream != nullptr && channel->io == this; }));
}

std::vector<MemoryIo::Ready> MemoryIo::ready() const {
  std::erase_if(net_.channels, [](const auto& channel) { return channel->stream == nullptr; });
  std::vector<Ready> all;
  for (const auto& channel : net_.channels) {
    const Channel& c = *channel;
    if (c.io != this || c.owner == nullptr || c.lost_told || c.was_reset) continue;
    if (c.connecting && *c.connecting != Reception::hang) all.push_back({channel, Event::connect});
    if (c.broken) all.push_back({channel, Event::lost});
    if (!c.connected) continue;
    if (c.handshaking) {
      if (c.tls) all.push_back({channel, Event::secured});
      if (c.far_ended && !c.tls) all.push_back({channel, Event::lost});
      continue;
    }
    if (c.short_of_room && c.outbound.size() < c.window) all.push_back({channel, Event::writable});
    if (c.paused) continue;
    if (!c.inbound.empty()) all.push_back({channel, Event::received});
    if (c.inbound.empty() && c.far_ended && !c.end_told) all.push_back({channel, Event::end});
  }
  return all;
}

void MemoryIo::deliver(const Ready& ready, std::size_t most) {
  Channel& c = *ready.channel;  // stays, whatever the owner does
  FB_ASSERT(c.io == this && c.owner != nullptr && !c.lost_told);
  switch (ready.event) {
    case Event::connect:
      c.connected = *std::exchange(c.connecting, std::nullopt) == Reception::accept;
      if (c.connected) {
        if (net_.on_accept) net_.on_accept(c.endpoint, FarEnd(ready.channel));
        c.owner->on_connected();
      } else {
        c.lost_told = true;
        c.owner->on_lost("connection refused");
      }
      return;
    case Event::secured:
      c.handshaking = false;
      c.owner->on_secured();
      return;
    case Event::received: {
      FB_ASSERT(!c.paused);
      // Bytes of their own: whoever keeps the view is found out.
      const std::string bytes = c.inbound.substr(0, most);
      c.inbound.erase(0, most);
      const std::unique_ptr<char[]> exact(new char[bytes.size()]);
      bytes.copy(exact.get(), bytes.size());
      c.owner->on_received({exact.get(), bytes.size()});
      return;
    }
    case Event::writable:
      c.short_of_room = false;
      c.owner->on_writable();
      return;
    case Event::end:
      FB_ASSERT(!c.paused);
      c.end_told = true;
      c.owner->on_end();
      return;
    case Event::lost:
      c.lost_told = true;
      c.owner->on_lost(c.broken.value_or("the handshake failed"));
      return;
  }
}

}  // namespace forebay::test
