#include <utility>

#include "core/client/client_session.hpp"
#include "core/engine/engine.hpp"
#include "core/relay/relay.hpp"
#include "core/server/server_link.hpp"

// The audit log: whose a statement was, and what is never answered.
namespace forebay::core {
namespace {

void tell_server(SlowSample& sample, const ServerLink& link) {
  sample.host = to_string(link.host());
  sample.server_process_id = link.process_id();
}

}  // namespace

void ClientSession::keep_audit(const ServerLink* link) {
  AuditTrail& audit = engine_.measures().audit;
  for (AuditRecord& record : audit.fresh()) {
    SlowSample& statement = record.statement;
    describe(statement);
    statement.database = pool_->key().database;
    statement.user = user();
    if (link != nullptr) tell_server(statement, *link);
    audit.add(std::move(record));
  }
  audit.fresh().clear();
}

void ClientSession::keep_samples(ServerLink* link) {
  std::vector<SlowSample>& fresh = engine_.measures().fresh;
  for (SlowSample& sample : fresh) {
    if (link != nullptr) tell_server(sample, *link);
    describe(sample);
    if (link != nullptr && engine_.measures().explains) {
      engine_.explainer().add(std::move(sample), *link, relay_.startup.get());
    } else {
      engine_.measures().slow.add(std::move(sample));
    }
  }
  fresh.clear();
}

// The statement at the front of the stash is answered with an error, after it waited so long.
void ClientSession::measure_refused(const Refused& reason, Duration waited) {
  const Relay relay(rules(), relay_, {engine_.to_client(), engine_.to_server()});
  relay.measure_refused(stash_.view(), pool_->statistics().of(engine_.id()),
                        pool_->settings().slow_query_threshold, reason.sqlstate, waited);
  if (!engine_.measures().fresh.empty()) keep_samples(nullptr);
}

// The client or its server connection goes: what it asked for may have been done or not.
void ClientSession::audit_unanswered(ServerLink& link) {
  AuditTrail& audit = engine_.measures().audit;
  if (!audit.active()) return;
  const auto look = [&](const StatementSent& sent) {
    if (sent.entry == nullptr || sent.entry->audited == 0) return;
    AuditRecord record{.events = sent.entry->audited, .unanswered = true};
    record.statement.ended = engine_.now();
    record.statement.shape = sent.entry->shape;
    record.statement.text = sent.entry->text;
    audit.fresh().push_back(std::move(record));
  };
  const StatementMeter& meter = link.relay().meter;
  if (meter.open().exists) look(meter.open().sent);
  link.relay().expected.each([&](const Expected& expected) { look(expected.sent); });
  keep_audit(&link);
}

void ClientSession::describe(SlowSample& sample) const {
  const PeerFacts peer = stream_->peer();
  sample.client = peer.unix_socket ? peer.address : peer.address + ":" + std::to_string(peer.port);
  const std::string* name =
      relay_.settings == nullptr ? nullptr : relay_.settings->find(std::string(kApplicationName));
  if (name != nullptr) sample.application_name = name->substr(0, 63);
  if (relay_.tenant != nullptr) sample.tenant = relay_.tenant->value;
}

}  // namespace forebay::core
