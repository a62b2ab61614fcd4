#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "core/relay/name_change.hpp"
#include "core/relay/session_work.hpp"
#include "core/statistics/bound_values.hpp"
#include "core/statistics/statement_entry.hpp"
#include "forebay/protocol/postgres/backend.hpp"
#include "forebay/protocol/postgres/message_table.hpp"

namespace forebay::core {

/// What was asked of a server. `copy_end` is no request: it marks where in the order the client
/// ended a copy-in (CopyDone or CopyFail).
enum class Request : std::uint8_t {
  query,
  parse,
  bind,
  describe_statement,
  describe_portal,
  execute,
  close,
  sync,
  function_call,
  copy_end,
};

/// A reply to these ends with ReadyForQuery, also after an error.
constexpr bool ends_with_ready(Request request) noexcept {
  return request == Request::query || request == Request::function_call || request == Request::sync;
}

/// These run something of the client's.
constexpr bool is_statement(Request request) noexcept {
  return request == Request::query || request == Request::execute ||
         request == Request::function_call;
}

/// What to do with the reply.
enum class Disposition : std::uint8_t {
  forward,  ///< to the client: it asked
  discard,  ///< nobody sees it: we asked
  abandon,  ///< nobody sees it: whoever asked is gone
  precede,  ///< we asked, ahead of the client's own message: success is nobody's, an error is the
            ///< client's, because the server then skips the client's message
  supply,   ///< the server was not asked; we answer for it when its turn comes
};

/// What a message does to the unnamed statement, where a NameChange would be too dear.
enum class UnnamedChange : std::uint8_t {
  none,
  parsed,   ///< the client made a new one
  dropped,  ///< the client's is gone
  ours,     ///< the server's is another one; the client's is what it was
};

/// What few requests have, and those have all of: what the text does to the session, and which of
/// its results the client did not ask for.
struct SpecialReply {
  SessionWorkRef work;
  std::uint16_t completed = 0;        ///< statements of the client's text
  std::uint16_t answered = 0;         ///< statements of the text that was sent, which may be more
  std::vector<std::uint16_t> hidden;  ///< those that are ours, of the text that was sent
  bool inventory = false;             ///< ours: the number of rows says what the link holds
  bool may_fail = false;              ///< ours: an error is nobody's
  bool withhold_ready = false;        ///< what follows puts right what the client should not see
  bool starts_again = false;          ///< ... and this ends it: the client's start-up settings hold
  bool sets_settings = false;         ///< ours: makes the statement that sets settings
  bool changed_result = false;        ///< fails: the rows are not what the client was told
  bool undecided_names = false;       ///< counts in LinkRelayState::all_gone
  bool lacks_unmade = false;          ///< fails where LinkRelayState::unmade says why
  /// Ours: makes this for a text that executes it; if that fails, the text does.
  StatementRef makes;
  /// What was sent fails, in the place of what the client said: it is told this instead.
  std::string refusal;
  std::string refused_as;  ///< the SQLSTATE; empty: kInsufficientPrivilege
  std::string refusal_hint;
  /// Where the text that was sent differs in length: characters of it, and how many more.
  std::vector<std::pair<std::uint32_t, std::int32_t>> shifts;

  [[nodiscard]] bool hides_now() const noexcept {
    return std::find(hidden.begin(), hidden.end(), answered) != hidden.end();
  }
};

/// One reply that is owed.
struct Expected {
  Request request = Request::query;
  Disposition disposition = Disposition::forward;
  UnnamedChange unnamed = UnnamedChange::none;
  Ends ends = Ends::nothing;
  std::uint32_t unnamed_version = 0;  ///< of the statement that was parsed or dropped
  std::uint32_t unnamed_change = 0;   ///< LinkRelayState::unnamed_change, as this message made it
  BoundValues::Ticket values = 0;     ///< of an Execute, where samples show them
  /// What the reply confirms, or what its absence takes back; often nothing.
  std::unique_ptr<NameChange> change = nullptr;
  std::unique_ptr<SpecialReply> special = nullptr;
  StatementSent sent = {};  ///< of a statement, where somebody measures
};

/// The replies that a server connection still owes, in order, each with what to do with it. The
/// heart of the pooler: nothing reaches a client outside this queue, and nothing about a link
/// changes because we sent something, only because a reply confirmed it.
///
/// The rules are those of the manual's "Message Flow": an error in the extended protocol voids what
/// was sent after it up to the next Sync; a Query's replies end with ReadyForQuery; COPY FROM
/// swallows each Sync until the copy ends.
///
/// Use: `push` when a message is sent to the server (or answered for it); `take` for every message
/// that the server sends; after each of them, emit `pop_supplied` until it gives nothing.
class ExpectedReplies {
 public:
  enum class Effect : std::uint8_t {
    part,          ///< one of several messages of the reply at the head
    done,          ///< the reply at the head is complete: see `done()`
    batch_failed,  ///< an error: what was expected up to the next Sync is in `voided`
    error,         ///< an error whose ReadyForQuery is still to come
    unexpected,    ///< nobody asked for this message: the connection cannot be trusted any more
  };

  struct Taken {
    Effect effect = Effect::unexpected;
    Disposition disposition = Disposition::forward;
  };

  /// Expects a reply. False when the server will not answer it: the batch has already failed, or
  /// (Sync) COPY FROM swallows it; `expected.change` is then left in place for the caller to undo.
  [[nodiscard]] bool push(Expected&& expected);

  /// The client ended the copy-in, by CopyDone or CopyFail.
  void push_copy_end();

  /// A message of the given type arrived (all types but the asynchronous NoticeResponse,
  /// NotificationResponse and ParameterStatus, which belong to nobody).
  Taken take(pg::Backend type);
  /// The reply that `take` has just found to be complete. Stays where it was, until `let_go`.
  [[nodiscard]] Expected& done() noexcept { return ring_[done_]; }
  /// Nobody needs it any more: what it refers to is let go, which may belong to one thread.
  void let_go() noexcept;

  /// What an error voided, oldest first: their changes must be undone, newest first. Valid until
  /// the next call of `take`.
  [[nodiscard]] std::vector<Expected>& voided() noexcept { return voided_; }

  /// The reply that we supply ourselves, if it stands at the head; takes it off.
  [[nodiscard]] bool supplied_at_head() const noexcept;
  Expected pop_supplied();

  /// No reply will come any more, the connection is lost: gives what was owed, oldest first.
  std::vector<Expected> give_up();

  /// From now on nobody sees any reply: the client is gone. Supplied ones are forgotten.
  void abandon_all();

  /// Shows each that is owed, oldest first.
  template <class Look>
  void each(Look look) const {
    for (std::size_t i = 0; i < count_; ++i) look(at(i));
  }
  [[nodiscard]] bool empty() const noexcept { return count_ == 0; }
  [[nodiscard]] std::size_t size() const noexcept { return count_; }
  /// What to do with bytes that arrive now: the disposition of the reply at the head. `forward`
  /// when nothing is owed.
  [[nodiscard]] Disposition disposition() const noexcept {
    if (count_ == 0) return Disposition::forward;
    const Expected& expected = head();
    const bool hidden = expected.special != nullptr && expected.special->hides_now();
    return hidden && expected.disposition == Disposition::forward ? Disposition::discard
                                                                  : expected.disposition;
  }
  /// The same for an error, which is the client's even where it comes from what we put into its
  /// text.
  [[nodiscard]] Disposition error_disposition() const noexcept {
    return count_ == 0 ? Disposition::forward : head().disposition;
  }
  /// What is special about the reply at the head; null for nothing.
  [[nodiscard]] SpecialReply* special() noexcept {
    return count_ == 0 ? nullptr : head().special.get();
  }
  /// What the reply at the head is about; null for nothing.
  [[nodiscard]] const NameChange* change() const noexcept {
    return count_ == 0 ? nullptr : head().change.get();
  }
  /// Some request under way changes the session.
  [[nodiscard]] bool changes_session() const noexcept;
  /// Some request under way may end the server process that is to answer it.
  [[nodiscard]] bool may_end_server() const noexcept;
  /// The request whose reply is at the head. There is one.
  [[nodiscard]] Request head_request() const noexcept { return head().request; }
  /// What the client calls the statement that the request at the head speaks of, where noted.
  [[nodiscard]] std::string name_at_head() const {
    return head().change == nullptr ? std::string() : head().change->name;
  }

  /// Whether the request at the head has the server prepare a shared statement that it lacks.
  [[nodiscard]] bool prepares_at_head() const noexcept {
    const NameChange* const change = count_ == 0 ? nullptr : head().change.get();
    return change != nullptr &&
           (change->kind == NameChange::Kind::link_parse ||
            (change->kind == NameChange::Kind::client_parse && change->link_got_it));
  }

  /// The server reads CopyData from the client.
  [[nodiscard]] bool copying_in() const noexcept { return copying_in_; }
  /// The statement at the head has asked for CopyData, and has not come to its end: the client may
  /// have said the last of it.
  [[nodiscard]] bool copies_in() const noexcept { return copies_in_; }
  /// The batch that the next request belongs to: a Sync begins a new one, and an error voids
  /// requests up to the end of its batch only.
  [[nodiscard]] std::uint32_t batch() const noexcept { return batch_; }
  /// Whether an earlier batch that is not answered to its end closes this statement of the
  /// client's.
  [[nodiscard]] bool closes_in_earlier_batch(std::string_view name) const;
  /// What the client calls the statement that servers call so, if a Close under way has taken its
  /// name.
  [[nodiscard]] std::string closed_name(std::string_view server_name) const;
  /// Whether an earlier batch is not answered to its end.
  [[nodiscard]] bool owes_sync() const noexcept { return syncs_ > 0; }
  /// Whether that is one of the client's.
  [[nodiscard]] bool owes_earlier_batch() const noexcept;
  /// Whether something of the client's is complete, a batch or a Query, and not answered to its
  /// end.
  [[nodiscard]] bool owes_ready() const noexcept;
  /// Whether the last thing asked was the client's own, is complete, and is not answered to its
  /// end.
  [[nodiscard]] bool owes_client() const noexcept;
  /// Whether there is a statement in what the client asked next: a batch, or a Query.
  [[nodiscard]] bool owes_statement() const noexcept;
  /// Whether the last request that was pushed leaves a batch open: its Sync is still to come.
  [[nodiscard]] bool batch_open() const noexcept { return batch_open_; }
  /// Whether a batch failed whose Sync is still to come: the server skips everything until then.
  [[nodiscard]] bool skipping() const noexcept { return skipping_; }
  /// A COPY FROM ended by an error, which may have come before or after a message that the copy
  /// should have taken with it, above all a Sync (a trigger fails before any data is read): one
  /// ReadyForQuery more may come. Never to be pooled again.
  [[nodiscard]] bool doubtful() const noexcept { return doubtful_; }
  /// A ReadyForQuery that such a copy explains, with nothing expected: takes note of it.
  [[nodiscard]] bool take_ready_in_doubt() noexcept;

 private:
  [[nodiscard]] Expected& head() noexcept { return ring_[first_]; }
  [[nodiscard]] const Expected& head() const noexcept { return ring_[first_]; }
  [[nodiscard]] Expected& at(std::size_t index) noexcept {
    return ring_[(first_ + index) & (ring_.size() - 1)];
  }
  [[nodiscard]] const Expected& at(std::size_t index) const noexcept {
    return ring_[(first_ + index) & (ring_.size() - 1)];
  }
  Expected pop_head();
  Expected drop_head();
  void leave_head() noexcept;
  void skip_copy_ends() noexcept;
  void append(Expected&& expected);
  void begin_copy_in();
  void end_copy_in() noexcept;
  Taken fail();

  std::vector<Expected> ring_;  ///< its size is a power of two
  std::size_t first_ = 0;
  std::size_t count_ = 0;
  std::size_t done_ = 0;  ///< its place in the ring
  std::vector<Expected> voided_;
  /// Messages that the copy at the head has taken with it, if it still ran when they arrived.
  std::uint32_t taken_by_copy_ = 0;
  std::uint32_t batch_ = 0;
  std::uint32_t syncs_ = 0;   ///< in the ring
  std::uint32_t closes_ = 0;  ///< of the client's statements, in the ring
  bool skipping_ = false;
  bool batch_open_ = false;
  bool copying_in_ = false;
  bool copies_in_ = false;
  bool doubtful_ = false;
};

}  // namespace forebay::core
