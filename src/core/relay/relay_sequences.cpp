#include <algorithm>

#include "core/relay/relay.hpp"
#include "forebay/protocol/postgres/sqlstate.hpp"
#include "forebay/protocol/postgres/writer.hpp"

// currval and lastval: a client that asks is told its own numbers, or that they are not known.

namespace forebay::core {
namespace {

using StepKind = SessionStep::Kind;

constexpr std::string_view kUnknown = "currval and lastval are not yet defined in this session";
constexpr std::string_view kSequenceGone =
    "currval and lastval are not defined in this session any more: since it took its last number, "
    "its server connection was with other clients";
constexpr const char* kSequenceHint =
    "Ask in the transaction that takes the number, or use INSERT ... RETURNING. With pool_mode = "
    "\"session\" a session keeps its server connection.";

}  // namespace

bool Relay::asks_sequences(const SessionWork& work, unsigned depth) const {
  return depth > kExecutedMax || std::ranges::any_of(work.steps, [&](const SessionStep& step) {
           if (step.kind == StepKind::hold) return step.reason == PinReason::sequence;
           if (step.kind != StepKind::execute || !step.runs) return false;
           const SessionWorkRef inner =
               step.inner != nullptr ? step.inner : work_of_name(step.name);
           return inner != nullptr && asks_sequences(*inner, depth + 1);
         });
}

// Where the server may speak of another client's numbers, it is not asked.
bool Relay::refuses_to_ask(const Item& item, LinkRelayState& link, Request request,
                           const SessionWorkRef& work, SequenceUse use) {
  if (work == nullptr || !asks_sequences(*work)) return false;
  LinkSequences& sequences = link.sequences;
  if (sequences.asked != nullptr) sequences.asked->store(true, std::memory_order_relaxed);
  ClientSequences& mine = client_.sequences;
  mine.vain = 0;
  // Before any client had asked, others' numbers were left here. The client's own is the last one,
  // if it has just taken one.
  const bool last = sequences.user == client_.serial && sequences.version == mine.version &&
                    mine.version != 0 && (mine.taken || client_.pins != 0);
  if (sequences.speak_of(mine, client_.serial) || last || (use & kTakesFirst) != 0) return false;
  sequences.cleaned = true;
  refuse(item, link, request, std::string(mine.version == 0 ? kUnknown : kSequenceGone),
         pg::sqlstate::kObjectNotInPrerequisiteState, kSequenceHint);
  return true;
}

// Numbers of other clients go before this one comes.
void Relay::clean_sequences(LinkRelayState& link) {
  client_.sequences.taken = false;
  if (!link.sequences.to_be_cleaned(client_.sequences, client_.serial)) return;
  link.sequences.clear();
  pg::write_query(out_.to_server.insert(), "DISCARD SEQUENCES");
  link.change_unnamed(0, 0);
  push(link, {.request = Request::query,
              .disposition = Disposition::discard,
              .unnamed = UnnamedChange::ours,
              .unnamed_change = link.unnamed_change});
}

}  // namespace forebay::core
