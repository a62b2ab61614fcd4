#include <optional>
#include <string>

#include "core/relay/relay.hpp"

// "cached plan must not change result type": a table has changed since its statement was prepared.
// Where the client cannot tell, its statement is prepared anew, and run once more.

namespace forebay::core {
namespace {

using pg::Frontend;

/// What was said since the link is the client's, when it is one batch to its end.
struct StaleBatch {
  bool query = false;     ///< it is a Query
  std::string statement;  ///< else: the statement that its first message names
  /// The client is told what the rows are before it gets any.
  bool tells = false;

  static std::optional<StaleBatch> read(Bytes said);

 private:
  bool take(const pg::Message& message);

  std::string portal_;
  bool begun_ = false;
  bool executed_ = false;
  bool ended_ = false;
  bool used_unnamed_ = false;
};

std::optional<StaleBatch> StaleBatch::read(Bytes said) {
  StaleBatch batch;
  pg::Framer framer(pg::Sender::client);
  while (!said.empty()) {
    const pg::Framer::Item item = framer.next(said, kInspectionMax);
    // What stands behind its end is run already.
    if (batch.ended_ || item.kind != pg::Framer::Kind::message) return std::nullopt;
    said.remove_prefix(item.bytes.size());
    if (!batch.take(item.message)) return std::nullopt;
  }
  if (!batch.ended_) return std::nullopt;
  return batch;
}

bool StaleBatch::take(const pg::Message& message) {
  const bool first = !begun_;
  switch (static_cast<Frontend>(message.type)) {
    case Frontend::Query:
      begun_ = ended_ = query = tells = true;
      return first;
    case Frontend::Bind: {
      const auto bind = pg::frontend::Bind::parse(message.body);
      if (!bind) return false;
      if (first) {
        statement = bind->statement;
        portal_ = bind->portal;
      }
      used_unnamed_ = used_unnamed_ || bind->statement.empty();
      break;
    }
    case Frontend::Describe: {
      const auto describe = pg::frontend::Describe::parse(message.body);
      if (!describe) return false;
      const bool portal = describe->target == pg::frontend::Target::portal;
      if (first) statement = describe->name;
      tells = tells || (portal ? !executed_ && describe->name == portal_ : first);
      used_unnamed_ = used_unnamed_ || (!portal && describe->name.empty());
      if (first && portal) return false;
      break;
    }
    case Frontend::Execute:
      executed_ = true;
      break;
    case Frontend::Parse: {
      // The unnamed statement that was used before it is not known any more.
      const auto parse = pg::frontend::Parse::parse(message.body);
      if (!parse || (parse->statement.empty() && used_unnamed_)) return false;
      break;
    }
    case Frontend::Close:
    case Frontend::Flush:
      break;
    case Frontend::Sync:
      ended_ = true;
      break;
    default:
      return false;
  }
  begun_ = true;
  return true;
}

}  // namespace

// Nothing of the answer has been passed on, and the transaction that failed was only the batch's:
// so it may be said again. Who asked what rows a statement gives would take the new ones for what
// they are not, or waits for the error to ask again: it is the client's, as PostgreSQL's own.
bool ServerRelay::run_again(const SpecialReply* special) {
  using pg::backend::TransactionStatus;
  if (client_ == nullptr || !rules_.share_statements || !link_.unanswered ||
      link_.rerun != LinkRelayState::Rerun::no || link_.status != TransactionStatus::idle ||
      link_.overrun != nullptr || client_->attempt != Attempt::none) {
    return false;
  }
  const auto batch = StaleBatch::read(link_.said);
  if (!batch) return false;
  if (batch->query) {
    if (special == nullptr || special->work == nullptr || !special->work->names_statements()) {
      return false;
    }
  } else if (batch->statement.empty()) {
    if (!batch->tells) return false;
    link_.unnamed_owner = LinkRelayState::kUnknownOwner;
  } else {
    auto* named =
        client_->statements == nullptr ? nullptr : client_->statements->find(batch->statement);
    if (named == nullptr || named->statement->unkept()) return false;
    if (named->shape <= kNoRows) {
      named->epoch = link_.epoch();
      named->shape = kUntold;
    } else if (special != nullptr && special->changed_result) {
      return false;
    }
  }
  link_.rerun = LinkRelayState::Rerun::due;
  return true;
}

}  // namespace forebay::core
