#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/relay/listening.hpp"
#include "core/relay/parameter_set.hpp"
#include "core/relay/pin_reason.hpp"
#include "core/relay/session_work.hpp"
#include "forebay/base/bytes.hpp"
#include "forebay/protocol/postgres/backend.hpp"

namespace forebay::core {

struct ClientRelayState;
struct LinkRelayState;

/// What the open transaction found when it first changed the session, to go back to.
struct SessionUndo {
  struct Savepoint {
    std::string name;
    ParameterSetRef settings;
    Pins pins;
    std::size_t listens;  ///< of the changes below
    ParameterSetRef local;
    bool hidden_local;
    std::size_t roles;  ///< of those below
  };
  ParameterSetRef settings;
  Pins pins = 0;
  ParameterSetRef local;      ///< SET LOCAL, as far as texts may be parsed by it; null for nothing
  bool hidden_local = false;  ///< ... and more, that nobody knows
  std::vector<Savepoint> savepoints;
  std::vector<ListenChange> listens;  ///< take effect with the transaction
  std::vector<std::string> roles;     ///< whose names are others' from the commit on
  bool failed = false;                ///< a statement failed, and nothing was rolled back since
  bool resets_all = false;            ///< RESET ALL came, and no hidden setting since
};

/// Follows what a session does to itself, while a client is linked: settings and pins change when
/// the server says that the statement is complete, and go back with the transaction or savepoint,
/// as in PostgreSQL. Made for one call; holds nothing.
class SessionChanges {
 public:
  SessionChanges(ParameterSets& sets, ClientRelayState& client, LinkRelayState& link)
      : sets_(sets), client_(client), link_(link) {}

  /// A statement of the client's is complete. `work` is that of its text, null for none;
  /// `statement` says which of the text's statements it was.
  void completed(const SessionWork* work, std::uint16_t statement, Bytes tag);
  /// The client's statement failed; `work` is that of its text, null for none.
  void failed(const SessionWork* work);
  /// ReadyForQuery: the end of a transaction, or not.
  void ready(pg::backend::TransactionStatus status);
  /// The server gave a parameter a value; outside of a transaction that is the session's.
  void reported(Bytes name, Bytes value);
  /// What the client began with is in force again.
  void started_again();

 private:
  bool apply(const SessionWork& work, std::uint16_t statement, Bytes tag);
  void apply(const SessionStep& step);
  void apply_tag(Bytes tag);
  void signal(const SessionStep& step, Bytes tag);
  [[nodiscard]] bool is_itself() const;
  void change(ParameterSetRef settings);
  void keep_values(Bytes encoding);
  void set(Bytes name, Bytes value);
  void reset(Bytes name);
  void reset_all();
  void discard_all();
  void savepoint(const std::string& name);
  void pin(PinReason reason);
  void pin_setting(Bytes name);
  void set_local(const SessionStep& step);
  void hide_local();
  void end_local(Bytes name);
  SessionUndo& undo();
  void listen(const SessionStep& step);
  void committed();
  void rolled_back();
  void back_to(const ParameterSetRef& settings, Pins pins);
  void back_to_savepoint(const std::string& name);
  [[nodiscard]] std::size_t find_savepoint(const std::string& name) const;

  ParameterSets& sets_;
  ClientRelayState& client_;
  LinkRelayState& link_;
};

}  // namespace forebay::core
