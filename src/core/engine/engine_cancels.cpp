// Cancel requests: whose they are, and how they get there.
#include <algorithm>

#include "core/engine/engine.hpp"
#include "forebay/base/assert.hpp"
#include "forebay/protocol/postgres/writer.hpp"

namespace forebay::core {
namespace {

/// So many requests of others are on their way to other processes at most, for each worker: one
/// that two nodes send each other, each taking it for the other's, ends here.
constexpr std::ptrdiff_t kForwardedMax = 64;

}  // namespace

std::uint32_t Engine::process_id(SessionKey key) const noexcept {
  return process_ids_.of(key);
}

void Engine::on_cancel_request(std::uint32_t process_id, std::string key,
                               std::unique_ptr<Stream> requester) {
  io_.detach(*requester);
  if (process_id < ProcessIds::kServersEnd) {
    const auto session = shared_.server_ids.find(process_id, key);
    if (!session) return hand_back_cancel(process_id, key, std::move(requester));
    process_id = process_ids_.of(*session);
  }
  if (const auto peer = process_ids_.peer(process_id); peer != process_ids_.own_peer()) {
    const std::vector<Endpoint>& peers = config().peers;
    if (peer == 0 || peer > peers.size()) {
      return hand_back_cancel(process_id, key, std::move(requester));
    }
    forward_cancel(peers[peer - 1], process_id, key, std::move(requester));
    return;
  }
  const std::uint32_t worker = process_ids_.worker(process_id);
  mail::Cancel request{process_id, std::move(key), std::move(requester)};
  if (worker == id_.value()) {
    receive(request);
  } else if (worker < shared_.workers) {
    shared_.courier->send(WorkerId(static_cast<std::uint16_t>(worker)), std::move(request));
  } else {
    hand_back_cancel(process_id, request.key, std::move(request.requester));
  }
}

void Engine::hand_back_cancel(std::uint32_t process_id, const std::string& key,
                              std::unique_ptr<Stream> requester) {
  for (const Endpoint& older : shared_.predecessors) {
    forward_cancel(older, process_id, key, std::move(requester));
  }
}

void Engine::forward_cancel(const Endpoint& process, std::uint32_t process_id,
                            const std::string& key, std::unique_ptr<Stream> requester) {
  const auto forwarded =
      std::ranges::count_if(cancels_, [](const auto& attempt) { return attempt->forwards(); });
  if (forwarded >= kForwardedMax) return;
  counters_.cancels_forwarded.add();
  std::string request;
  pg::write_cancel_request(request, process_id, key);
  cancels_.push_back(
      std::make_unique<CancelAttempt>(*this, process, std::move(request), std::move(requester)));
  cancels_.back()->begin();
}

void Engine::cancel(ServerLink& link, std::unique_ptr<Stream> requester) {
  // The first ones will do: more would only keep the server busy.
  constexpr std::uint32_t kCancelsMax = 3;
  if (link.cancels() >= kCancelsMax) return;
  link.begin_cancel();
  counters_.cancels.add();
  cancels_.push_back(std::make_unique<CancelAttempt>(*this, link, std::move(requester)));
  cancels_.back()->begin();
}

void Engine::cancel_ended(CancelAttempt& attempt) {
  const auto found = std::find_if(cancels_.begin(), cancels_.end(),
                                  [&](const auto& known) { return known.get() == &attempt; });
  FB_ASSERT(found != cancels_.end());
  dead_cancels_.push_back(std::move(*found));
  cancels_.erase(found);
}

void Engine::receive(mail::Cancel& cancel) {
  const std::uint32_t slot = ProcessIds::slot(cancel.process_id);
  ClientSession* session = slot < slots_.size() ? slots_[slot].session : nullptr;
  if (session == nullptr || process_id(session->key()) != cancel.process_id ||
      !session->is_cancel_key(cancel.key)) {
    hand_back_cancel(cancel.process_id, cancel.key, std::move(cancel.requester));
    return;
  }
  // What it is about was sent before it, but may not have been read yet: one turn of the loop finds
  // it readable, and reads it behind the mail.
  constexpr std::uint8_t kTurns = 2;
  if (!session->at_work() && cancel.turns < kTurns) {
    ++cancel.turns;
    shared_.courier->send(id_, std::move(cancel));
    return;
  }
  session->cancel(cancel.requester);
}

void Engine::signal(const mail::Signalled& order) {
  const std::uint32_t worker = process_ids_.worker(order.process_id);
  if (process_ids_.peer(order.process_id) != process_ids_.own_peer()) return;
  if (worker < shared_.workers) {
    shared_.courier->send(WorkerId(static_cast<std::uint16_t>(worker)), order);
  }
}

void Engine::receive(mail::Signalled& order) {
  const std::uint32_t slot = ProcessIds::slot(order.process_id);
  ClientSession* session = slot < slots_.size() ? slots_[slot].session : nullptr;
  if (session == nullptr || process_id(session->key()) != order.process_id) return;
  session->signalled(order);
}

}  // namespace forebay::core
