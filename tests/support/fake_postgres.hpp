#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "forebay/auth/client_authentication.hpp"
#include "forebay/base/bytes.hpp"
#include "support/words.hpp"

/// A small model of a PostgreSQL server: bytes in, bytes out, no socket, no clock. It follows the
/// manual's "Message Flow" and PostgreSQL 15's habits (which error comes first, when output is
/// flushed, what COPY swallows), for a few statements:
///
///     begin, commit, rollback          transactions, with what a failed one refuses
///     savepoint X, rollback to X       of settings, too
///     select ...                       one row: the text itself, its $1, $2... replaced
///     rows N TAG                       rows TAG-1 to TAG-N
///     insert ...                       no rows
///     error [SQLSTATE]                 fails
///     syntax ...                       fails when it is parsed
///     set NAME = 'VALUE', show NAME, reset NAME, reset all, set_config
///     prepare NAME as TEXT, execute NAME, deallocate NAME, deallocate all
///     create temp table NAME ..., drop table NAME, discard temp, discard plans
///     select pg_advisory_lock(KEY), pg_advisory_unlock(KEY), of keys that nobody else locks
///     discard all
///     copy in, copy out                the data that came in is counted in its tag
///     notice TEXT, notify TEXT         asynchronous messages in the middle
///     listen NAME, unlisten NAME or *  as PostgreSQL's
///     notify NAME, 'TEXT'              reaches whoever listens, when it has committed
///     sleep ...                        runs until woken or cancelled, then as select
///     fatal                            the server ends the connection
namespace forebay::test {

class FakeBackend;

struct FakeServerOptions {
  bool tls = false;                         ///< SSLRequest is answered with S
  std::uint32_t newest = pg::kProtocol3_2;  ///< minor version that is spoken at most
  std::string password;                     ///< empty: trust
  std::string version = "15.0";
  std::string recovery = "off";  ///< in_hot_standby
};

/// The server as a whole.
class FakePostgres {
 public:
  explicit FakePostgres(FakeServerOptions options = {}) : options_(std::move(options)) {}

  std::unique_ptr<FakeBackend> connect();
  [[nodiscard]] const FakeServerOptions& options() const noexcept { return options_; }
  void cancel(std::uint32_t process_id, Bytes key);
  /// Cancel requests that found a running statement.
  [[nodiscard]] std::size_t cancelled() const noexcept { return cancelled_; }

 private:
  friend class FakeBackend;
  FakeServerOptions options_;
  std::map<std::uint32_t, FakeBackend*> backends_;
  std::uint32_t next_process_ = 1000;
  std::size_t cancelled_ = 0;
};

/// One server process.
class FakeBackend {
 public:
  FakeBackend(FakePostgres& server, std::uint32_t process_id);
  ~FakeBackend();
  FakeBackend(const FakeBackend&) = delete;
  FakeBackend& operator=(const FakeBackend&) = delete;

  void receive(Bytes bytes) { in_ += bytes; }
  /// Handles the next message; false when there is no whole one, or a statement runs.
  bool step();
  /// `step` until it gives false.
  void run();
  /// What has left the server.
  std::string take_output() { return std::exchange(flushed_, {}); }

  /// A statement runs that goes on until it is woken.
  [[nodiscard]] bool sleeping() const noexcept { return sleeping_.has_value(); }
  void wake();
  /// The process is gone: what is in take_output is all.
  [[nodiscard]] bool over() const noexcept { return over_; }
  /// Said S to SSLRequest; the handshake is to follow.
  [[nodiscard]] bool wants_tls() const noexcept { return wants_tls_; }
  void secured() noexcept { wants_tls_ = false, secure_ = true; }
  /// The connection was a CancelRequest.
  [[nodiscard]] bool was_cancel() const noexcept { return was_cancel_; }

  [[nodiscard]] std::uint32_t process_id() const noexcept { return process_id_; }
  [[nodiscard]] bool logged_in() const noexcept { return logged_in_; }
  /// No transaction is open and nothing waits.
  [[nodiscard]] bool idle() const noexcept;
  /// Whether the server holds state of a client's that nobody else may see.
  [[nodiscard]] std::string setting(const std::string& name) const;
  /// Every statement that was executed.
  [[nodiscard]] const std::vector<std::string>& executed() const noexcept { return executed_; }

  /// A shutdown: FATAL 57P01, and the end.
  void shut_down();
  /// An asynchronous message: "NoticeResponse ...", "ParameterStatus ...", ...
  void say(std::string_view text);
  void cancel(Bytes key);
  /// As if the right key had come.
  void cancel() { cancel(key_); }
  [[nodiscard]] bool has_output() const noexcept { return !flushed_.empty(); }
  [[nodiscard]] bool in_transaction() const noexcept { return in_block_ || begun_; }
  /// Reads the data of a COPY FROM.
  [[nodiscard]] bool copying_in() const noexcept { return copied_.has_value(); }
  /// What is said so far, flushed or not.
  std::string take_everything() {
    flush();
    return take_output();
  }
  /// Temporary tables, advisory locks and channels that it has, for people; empty: none.
  [[nodiscard]] std::string belongings() const;
  [[nodiscard]] const std::string& default_of(const std::string& name) const {
    return defaults_.at(name);
  }

 private:
  struct Failure {
    std::string sqlstate;
    std::string message;
    bool fatal = false;
  };
  struct Statement {
    std::string text;
    std::vector<std::uint32_t> types;
  };
  using Parameters = std::vector<std::optional<std::string>>;
  struct Portal {
    std::string text;
    Parameters parameters;
    std::size_t next_row = 0;
  };
  using Settings = std::map<std::string, std::string>;

  // Login.
  bool start_up();
  void on_startup(const Words& packet);
  void let_in();

  // Messages.
  void handle(const Words& message);
  void dispatch(const Words& message);
  void on_query(const std::string& text);
  void on_parse(const Words& message);
  void on_bind(const Words& message);
  void on_describe(const Words& message);
  void on_execute(const Words& message);
  void on_close(const Words& message);
  void on_sync();
  bool on_copy(const Words& message);

  // Statements.
  void run_rest();
  void begin_statement(const std::string& text);
  bool execute(const std::string& text, const Parameters& parameters, bool simple);
  bool execute_transaction(const std::string& word, const Words& words);
  bool execute_setting(const std::string& word, const Words& words, const Parameters& parameters,
                       bool simple);
  bool execute_name(const std::string& word, const Words& words, const std::string& text,
                    bool simple);
  bool execute_object(const std::string& word, const Words& words, const std::string& text,
                      bool simple);
  bool execute_listen(const std::string& word, const Words& words);
  void send_notifications();
  bool execute_copy(const Words& words, bool simple);
  void put_row(const std::string& text, bool simple, const std::string& tag);
  void set(std::string name, const std::optional<std::string>& value);
  void check_allowed(const std::string& text) const;
  void end_transaction(bool commit);
  void end_implicit();

  void fail(const Failure& failure);
  void ready();
  void put(std::string_view text) { buffered_ += backend(text); }
  void flush() { flushed_ += std::exchange(buffered_, {}); }

  FakePostgres& server_;
  const std::uint32_t process_id_;
  std::string key_;
  std::string in_;
  std::string buffered_;
  std::string flushed_;
  std::string user_;
  std::optional<auth::ClientAuthentication> authentication_;

  std::map<std::string, Statement> statements_;
  std::optional<Statement> unnamed_;
  std::map<std::string, Portal> portals_;
  std::multiset<std::string> locks_;
  /// And what goes back with them: temporary tables by "table NAME", channels by "listen NAME", and
  /// notifications that wait for the commit by "notify NUMBER CHANNEL".
  Settings settings_;
  std::size_t notified_ = 0;  ///< so many so far
  std::string incoming_;      ///< notifications that wait for the next ReadyForQuery
  Settings defaults_;
  Settings before_;  ///< at the begin of the transaction, explicit or not
  Settings reported_;
  std::map<std::string, Settings> savepoints_;
  Settings last_savepoint_;
  bool in_block_ = false;
  bool failed_ = false;
  bool begun_ = false;  ///< before_ holds

  bool extended_ = false;  ///< the message at hand is of the extended protocol
  bool skipping_ = false;
  std::optional<std::string> sleeping_;  ///< the row that the running statement gives
  bool sleeping_simple_ = false;
  std::optional<std::size_t> copied_;  ///< in COPY FROM: bytes so far
  bool copy_simple_ = false;
  std::deque<std::string> rest_;  ///< further statements of a Query
  std::vector<std::string> executed_;
  bool logged_in_ = false;
  bool secure_ = false;
  bool wants_tls_ = false;
  bool was_cancel_ = false;
  bool over_ = false;
};

}  // namespace forebay::test
