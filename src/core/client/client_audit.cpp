#include <utility>

#include "core/client/client_session.hpp"
#include "core/engine/engine.hpp"
#include "core/server/server_link.hpp"

// The audit log: whose a statement was, and what is never answered.
namespace forebay::core {

void ClientSession::keep_audit(const ServerLink* link) {
  AuditTrail& audit = engine_.measures().audit;
  for (AuditRecord& record : audit.fresh()) {
    SlowSample& statement = record.statement;
    describe(statement);
    statement.database = pool_->key().database;
    statement.user = user();
    if (link != nullptr) statement.host = to_string(link->host());
    audit.add(std::move(record));
  }
  audit.fresh().clear();
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

}  // namespace forebay::core
