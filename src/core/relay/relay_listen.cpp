#include <algorithm>
#include <set>
#include <utility>

#include "core/relay/relay.hpp"

// LISTEN and NOTIFY of sessions that listen through the shared connection (ListenHub).

namespace forebay::core {
namespace {

using StepKind = SessionStep::Kind;

constexpr Bytes kServerEncoding = "server_encoding";
constexpr std::string_view kUtf8 = "utf8";

std::string plain(std::string_view encoding) {
  std::string name;
  for (const char c : encoding) {
    if (c >= 'A' && c <= 'Z') {
      name += static_cast<char>(c | 0x20);
    } else if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) {
      name += c;
    }
  }
  return name == "unicode" ? std::string(kUtf8) : name;
}

bool ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return (c & 0x80) == 0; });
}

// As PostgreSQL takes it: nothing overlong, no surrogates.
bool valid_utf8(std::string_view text) {
  constexpr char32_t kFirst[] = {0, 0, 0x80, 0x800, 0x10000};
  while (!text.empty()) {
    const auto lead = static_cast<unsigned char>(text.front());
    const std::size_t size = lead < 0x80   ? 1
                             : lead < 0xC0 ? 0
                             : lead < 0xE0 ? 2
                             : lead < 0xF0 ? 3
                                           : 4;
    if (size == 0 || lead > 0xF4 || text.size() < size) return false;
    char32_t code = size == 1 ? lead : lead & (0x7FU >> size);
    for (std::size_t i = 1; i < size; ++i) {
      if ((text[i] & 0xC0) != 0x80) return false;
      code = code << 6 | (text[i] & 0x3FU);
    }
    if (code < kFirst[size] || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) return false;
    text.remove_prefix(size);
  }
  return true;
}

}  // namespace

bool same_encoding(std::string_view a, std::string_view b) {
  return plain(a) == plain(b);
}

// Whether it is certain which channel the server takes this name for: it folds and cuts names that
// are not ASCII as its own encoding has it.
bool Relay::shares(const SessionStep& step, const LinkRelayState& link) const {
  if (!link.shared_listen || (client_.listening != nullptr && client_.listening->refused)) {
    return false;
  }
  if (ascii(step.name)) return true;
  const std::string* server = link.welcome->find(kServerEncoding);
  return server != nullptr && same_encoding(*server, kUtf8) && same_encoding(encoding(), kUtf8) &&
         valid_utf8(step.name);
}

std::string Relay::encoding() const {
  const std::string* own = client_.settings->find(std::string(kClientEncoding));
  if (own == nullptr) own = client_.welcome->find(kClientEncoding);
  return own == nullptr ? std::string() : *own;
}

// Whether the message has to wait until the hub has answered: until it listens to what a LISTEN
// names; or, before a client that listens notifies by a link that another has notified by, until
// it has heard that, so that each is told of as its sender's.
bool Relay::awaits_hub(const SessionWorkRef& work, LinkRelayState& link) {
  if (work == nullptr || (!link.shared_listen && client_.listening == nullptr)) return false;
  auto& listening = client_.listening;
  std::vector<std::string> wanted;
  std::set<Bytes> seen;
  const std::size_t told = listening == nullptr ? 0 : listening->told.size();
  for (const SessionStep& step : work->steps) {
    if (step.kind != StepKind::listen || !shares(step, link)) continue;
    if (listening != nullptr && listening->is_told(step.name)) continue;
    if (told + wanted.size() >= Listening::kChannelsMax) break;
    if (seen.insert(step.name).second) wanted.push_back(step.name);
  }
  bool asks = !wanted.empty();
  if (!asks && listening != nullptr && !listening->refused && work->notifies() &&
      link.catalog != nullptr) {
    const std::uint32_t before = link.catalog->notifiers.client_of(link.process_id);
    asks = before != 0 && before != client_.process_id;
  }
  if (!asks) return false;
  if (listening == nullptr) listening = std::make_unique<Listening>();
  listening->wanted = std::move(wanted);
  listening->asks = true;
  return true;
}

// What of the session's own stands in a message that is sent.
void Relay::note_listening(const SessionWork& work, LinkRelayState& link) {
  if (client_.listening == nullptr) return;
  if (work.notifies()) client_.listening->notifies = true;
  link.listens = link.listens || work.has(StepKind::listen);
}

// The client is told by the hub; what its own link tells it was asked for by its LISTEN, too.
bool ServerRelay::told_by_hub(Bytes channel) const {
  return client_ != nullptr && client_->listening != nullptr &&
         client_->listening->is_told(channel);
}

// A transaction has ended. What it notified the client itself comes by another way, and is to be
// there first, as from PostgreSQL.
bool ServerRelay::holds_ready() {
  auto& listening = client_->listening;
  if (listening == nullptr || !std::exchange(listening->notified, false)) return false;
  listening->holds_ready = !listening->channels.empty();
  return listening->holds_ready;
}

}  // namespace forebay::core
