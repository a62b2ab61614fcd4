#include <utility>

#include "core/relay/relay.hpp"
#include "forebay/protocol/postgres/sqlstate.hpp"
#include "forebay/protocol/postgres/writer.hpp"

// Statements that keep their link beyond the transaction, where `on_session_state` has something
// against that.

namespace forebay::core {
namespace {

using StepKind = SessionStep::Kind;

constexpr Bytes kDiscardHint =
    "Set on_session_state = \"pin\", or pool_mode = \"session\", for this database or user.";

std::string_view cause(PinReason reason) {
  std::size_t number = 0;
  while (number + 1 < kPinCauses.size() && bit(reason) >> number != 1) ++number;
  return kPinCauses[number];
}

}  // namespace

// Whether something speaks against what the client says; it is refused then.
bool Relay::refuses(const Item& item, LinkRelayState& link, Request request, Bytes text,
                    Understood& understood) {
  if (refused(understood.objection)) {
    refuse(item, link, request, std::move(understood.objection->message));
    return true;
  }
  if (client_.rules != nullptr &&
      refuses_by_rule(item, link, request, understood.rules.mask, text)) {
    return true;
  }
  if (refused_on_replica(link, understood.work, understood.route)) {
    refuse_on_replica(item, link, request);
    return true;
  }
  if (refuses_names(item, link, request, text, understood.work)) return true;
  if (refuses_loss(item, link, request, understood.work)) return true;
  return link.state_rule != nullptr && refuses_state(item, link, request, understood.work);
}

bool Relay::refuses_state(const Item& item, LinkRelayState& link, Request request,
                          const SessionWorkRef& work) {
  if (link.state_rule->action != config::OnSessionState::error || work == nullptr) return false;
  const PinReason reason = would_pin(*work, link);
  if (reason == PinReason::none) return false;
  refuse(item, link, request,
         "statement refused by on_session_state = \"error\" (set in " + link.state_rule->where +
             "): it would keep its server connection for this session (" +
             std::string(cause(reason)) + ")",
         pg::sqlstate::kFeatureNotSupported, std::string(kDiscardHint));
  return true;
}

// What executing it pins, or may; what PREPARE prepares counts, too.
PinReason Relay::would_pin(const SessionWork& work, const LinkRelayState& link,
                           unsigned depth) const {
  if (depth > kExecutedMax) return PinReason::unknown;
  for (const SessionStep& step : work.steps) {
    if (step.reason != PinReason::none) return step.reason;
    if (step.kind == StepKind::listen && !shares(step, link)) return PinReason::listen;
    SessionWorkRef inner = step.inner;
    if (step.kind == StepKind::execute && step.runs && inner == nullptr) {
      inner = work_of_name(step.name);
    }
    const PinReason reason =
        inner == nullptr ? PinReason::none : would_pin(*inner, link, depth + 1);
    if (reason != PinReason::none) return reason;
  }
  return PinReason::none;
}

// The statement whose reply is at hand has changed them.
void ServerRelay::note_pins(Pins before) {
  const auto fresh = static_cast<Pins>(client_->pins & ~before & ~bit(PinReason::looking));
  if (fresh != 0) link_.meter.current.pin();
  if (link_.state_rule != nullptr) warn_of_pins(before);
}

// Also what only the server's answer shows, too late to be refused.
void ServerRelay::warn_of_pins(Pins before) {
  const auto fresh = static_cast<Pins>(client_->pins & ~before & ~bit(PinReason::looking));
  for (std::size_t i = 0; i < kPinCauses.size(); ++i) {
    if ((fresh >> i & 1) == 0) continue;
    const auto& [action, where] = *link_.state_rule;
    const std::string word = action == config::OnSessionState::warn ? "warn" : "error";
    pg::write_notice(
        to_client_.insert(),
        {"WARNING", pg::sqlstate::kWarning,
         "this session keeps its server connection from here on (" + std::string(kPinCauses[i]) +
             ")",
         "on_session_state is \"" + word + "\" (set in " + where + ").", kDiscardHint});
  }
}

}  // namespace forebay::core
