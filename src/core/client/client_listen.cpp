#include <algorithm>
#include <utility>

#include "core/client/client_session.hpp"
#include "core/engine/engine.hpp"
#include "core/relay/relay.hpp"
#include "core/server/server_link.hpp"
#include "forebay/base/assert.hpp"
#include "forebay/protocol/postgres/sqlstate.hpp"
#include "forebay/protocol/postgres/writer.hpp"

// What a session that listens through the shared connection has to do with that: see ListenHub.
namespace forebay::core {
namespace {

/// Notifications that a client cannot be told yet, or does not read: so many bytes of them.
constexpr std::size_t kWaitingMax = 1024 * 1024;

std::size_t size_of(const Notification& notification) {
  return sizeof(Notification) + notification.channel.size() + notification.payload.size();
}

}  // namespace

// What the client has notified before is not to be heard by what it says now: it is answered first,
// but for what a server answers no sooner than its batch ends.
void ClientSession::ask_hub_when_due() {
  if (relay_.listening == nullptr || !relay_.listening->asks) return;
  if (link_ != nullptr) {
    const ExpectedReplies& expected = link_->relay().expected;
    if (!expected.empty() && !expected.batch_open()) return;
  }
  ask_hub();
}

void ClientSession::ask_hub() {
  Listening& listening = *relay_.listening;
  listening.asks = false;
  listening.asked = true;
  engine_.shared().courier->send(
      WorkerId(0),
      mail::ListenAsked{
          pool_, key_, listening.wanted,
          Relay(rules(), relay_, {engine_.to_client(), engine_.to_server()}).encoding()});
}

void ClientSession::hub_answered(bool listens) {
  if (relay_.listening == nullptr || !relay_.listening->asked || phase_ == Phase::closing) return;
  Listening& listening = *relay_.listening;
  listening.asked = false;
  if (listens) {
    for (std::string& name : listening.wanted) listening.told.insert(std::move(name));
  } else {
    listening.refused = !listening.wanted.empty();
  }
  listening.wanted.clear();
  // All that anybody has sent by this link has been heard.
  if (link_ != nullptr && phase_ == Phase::linked && link_->relay().catalog != nullptr) {
    link_->relay().catalog->notifiers.forget(link_->relay().process_id);
  }
  if (std::exchange(listening.holds_ready, false)) {
    tell_notifications();
    pg::write_ready_for_query(engine_.to_client().insert(), pg::backend::TransactionStatus::idle);
    send_own();
    if (phase_ == Phase::linked) {
      server_done();
      return;
    }
  }
  continue_input();
  if (relay_.listening != nullptr) relay_.listening->refused = false;
  if (phase_ == Phase::linked) server_done();
  settle();
}

// ---------------------------------------------------------------- what it hears

void ClientSession::notified(const std::shared_ptr<const Notification>& notification) {
  if (relay_.listening == nullptr || phase_ == Phase::closing) return;
  Listening& listening = *relay_.listening;
  // What a LISTEN names that is under way, or in an open transaction, is told if that succeeds.
  if (!listening.is_told(notification->channel)) return;
  const auto heard = as_heard(notification);
  const std::size_t size = size_of(*heard);
  if (listening.waiting_bytes + unsent_.size() + size > kWaitingMax) {
    engine_.counters().notifications_dropped.add();
    ++listening.dropped;
    return;
  }
  listening.waiting.push_back(heard);
  listening.waiting_bytes += size;
  if (!may_be_told()) return;
  tell_notifications();
  send_own();
  update_reading();
}

// What it notifies itself it hears before that is answered. What comes at another time by a server
// connection that it notified by before, is another's.
std::shared_ptr<const Notification> ClientSession::as_heard(
    const std::shared_ptr<const Notification>& notification) const {
  if (notification->process_id != relay_.process_id || relay_.listening->notifies) {
    return notification;
  }
  auto another = std::make_shared<Notification>(*notification);
  another->process_id = another->server_process_id;
  return another;
}

void ClientSession::listening_restored() {
  if (relay_.listening == nullptr || phase_ == Phase::closing) return;
  relay_.listening->restored = true;
  if (!may_be_told()) return;
  tell_notifications();
  send_own();
  update_reading();
}

// Whether it is between messages, and in no transaction.
bool ClientSession::may_be_told() const {
  if (relay_.lost != nullptr || relay_.begin.open != 0 || relay_.listening->holds_ready)
    return false;
  switch (phase_) {
    case Phase::idle:
    case Phase::waiting:
      return relay_.attempt == Attempt::none;
    case Phase::linked:
      return link_->relay().at_rest() && relay_.attempt == Attempt::none;
    default:
      return false;
  }
}

void ClientSession::tell_notifications() {
  Listening& listening = *relay_.listening;
  if (listening.waiting.empty() && listening.dropped == 0 && !listening.restored) return;
  std::string& out = engine_.to_client().insert();
  listening.waiting_bytes = 0;
  for (const auto& notification : std::exchange(listening.waiting, {})) {
    if (!listening.hears(notification->channel)) continue;
    pg::write_notification(out, notification->process_id, notification->channel,
                           notification->payload);
    engine_.counters().notifications.add();
  }
  if (const std::uint32_t dropped = std::exchange(listening.dropped, 0)) {
    pg::write_notice(out, {"WARNING",
                           pg::sqlstate::kWarning,
                           std::to_string(dropped) +
                               " notifications were lost: more than 1 MiB of them waited for this "
                               "client",
                           {},
                           "End transactions sooner, and read what comes."});
  }
  if (std::exchange(listening.restored, false)) {
    pg::write_notice(out, {"WARNING",
                           pg::sqlstate::kWarning,
                           "notifications may have been lost: Forebay's listening connection was "
                           "lost, and is back",
                           {},
                           "Look at what the notifications are about."});
  }
}

// ---------------------------------------------------------------- transactions end

// ReadyForQuery is withheld: a notification of the client's own is on its way to it.
bool ClientSession::holds_ready() {
  if (relay_.listening == nullptr || !relay_.listening->holds_ready) return false;
  if (!relay_.listening->asked) ask_hub();
  return true;
}

// No transaction is open: what the client does not listen to, it is not to be told of any more.
void ClientSession::settle_listening() {
  Listening& listening = *relay_.listening;
  listening.notifies = false;
  if (relay_.undo != nullptr) return;
  if (listening.told.size() != listening.channels.size()) {  // it is told of all that it hears
    std::vector<std::string> left;
    std::erase_if(listening.told, [&](const std::string& name) {
      if (listening.hears(name)) return false;
      left.push_back(name);
      return true;
    });
    leave_hub(std::move(left));
  }
  tell_notifications();
  send_own();
  if (listening.told.empty() && !listening.asked && !listening.refused) relay_.listening.reset();
}

// It listens to nothing any more.
void ClientSession::leave_listening() {
  if (relay_.listening == nullptr) return;
  const Listening& listening = *relay_.listening;
  std::vector<std::string> channels(listening.told.begin(), listening.told.end());
  channels.insert(channels.end(), listening.wanted.begin(), listening.wanted.end());
  relay_.listening.reset();
  if (!channels.empty()) leave_hub(std::move(channels));
}

void ClientSession::leave_hub(std::vector<std::string> channels) {
  engine_.shared().courier->send(WorkerId(0), mail::ListenLeft{pool_, key_, std::move(channels)});
}

// ---------------------------------------------------------------- mail

void Engine::receive(mail::ListenAsked& asked) {
  if (hubs_ != nullptr) hubs_->ask(asked);
}

void Engine::receive(mail::ListenLeft& left) {
  if (hubs_ != nullptr) hubs_->leave(left);
}

void Engine::receive(mail::ListenAnswered& answered) {
  if (ClientSession* session = find(answered.session)) session->hub_answered(answered.listening);
}

void Engine::receive(mail::Notified& notified) {
  for (const SessionKey key : *notified.sessions) {
    if (ClientSession* session = find(key)) session->notified(notified.notification);
  }
}

void Engine::receive(mail::ListeningRestored& restored) {
  for (const SessionKey key : *restored.sessions) {
    if (ClientSession* session = find(key)) session->listening_restored();
  }
}

}  // namespace forebay::core
