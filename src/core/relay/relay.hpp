#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/engine/conduit.hpp"
#include "core/engine/counters.hpp"
#include "core/relay/expected_replies.hpp"
#include "core/relay/relay_state.hpp"
#include "core/relay/setting_said.hpp"
#include "core/relay/statement_text.hpp"
#include "forebay/protocol/postgres/framer.hpp"
#include "forebay/protocol/postgres/frontend.hpp"

namespace forebay::core {

struct BatchAhead;
class PreparedAhead;
class TextEdits;
class TextNames;

/// Decides, message by message, what a client and the server link it is linked to exchange. Holds
/// nothing itself: made for one turn over what the two sides remember and what the turn sends.
///
/// What goes on untouched is passed as runs of the receive buffer. In transaction and statement
/// mode named prepared statements are shared: their names are replaced, and what a link lacks is
/// put ahead in the same write. In session mode nothing is replaced.
class Relay {
 public:
  /// Where the turn's bytes go.
  struct Output {
    Conduit& to_client;
    Conduit& to_server;
  };

  Relay(const RelayRules& rules, ClientRelayState& client, Output output)
      : rules_(rules), client_(client), out_(output) {}

  enum class ClientStop : std::uint8_t {
    need_bytes,  ///< all that is whole was handled
    need_link,   ///< the message at the front needs a server, and there is no link
    full,        ///< so much is in flight that the client has to wait
    terminate,   ///< the client said Terminate
    violation,   ///< the client does not speak the protocol: `violation()` says how
  };
  struct ClientProgress {
    std::size_t consumed = 0;
    ClientStop stop = ClientStop::need_bytes;
  };
  /// Handles bytes from the client, which is not linked when `link` is null.
  ClientProgress from_client(Bytes bytes, LinkRelayState* link);
  [[nodiscard]] const std::string& violation() const noexcept { return violation_; }
  [[nodiscard]] const Objections& objections() const noexcept { return objections_; }
  /// The database in which nobody may be while what is sent now is carried out; empty for none.
  [[nodiscard]] const std::string& vacated() const noexcept { return vacated_; }

  /// What the client says next, up to where its server may change.
  struct Batch {
    std::size_t size = 0;  ///< 0: not known to be a read, or not all of it is there
    Route route = {};
    Duration max_lag = {};  ///< that a rule allows its replica; 0: none says so
  };
  /// The batch at the front of what the client, who is not linked, has said. A read only when all
  /// of it is there.
  [[nodiscard]] Batch look_ahead(Bytes bytes) const;
  /// The begin, or the end, of a transaction at the front of what a client without a link has said;
  /// with `setting`, also SET LOCAL of that, which has been obeyed. Gives of how many bytes it is,
  /// and was answered; 0: a server has to.
  std::size_t answer_control(Bytes bytes, Bytes setting = {});
  /// What that says of the setting, where it executes it, and does not only prepare it.
  [[nodiscard]] std::optional<std::string> said_ahead(Bytes bytes, Bytes setting) const;
  /// A Query that begins a transaction and says by its second statement whose it is.
  struct BeginSaid {
    std::string value;
    std::size_t rest;  ///< where its third statement begins; 0: there is none
  };
  [[nodiscard]] std::optional<BeginSaid> begin_said(Bytes text, Bytes setting) const;
  /// Answers the first two; all of it, if there is no more.
  std::size_t answer_begin_said(Bytes bytes, Bytes setting);
  /// The transaction that was begun here cannot go on, and is for the client to end. `told`: it has
  /// been told why.
  void fail_begun(const Refused& why, bool told, PoolCounters* counters);
  /// That batch is sent again, to another server: what it prepared on the first does not count.
  void forget_prepared(Bytes batch);

  /// Sends a link what it takes to have the client's settings, and the client what differs between
  /// this server and the one that it was told about. To be called when the two are linked.
  void link_up(LinkRelayState& link);
  /// The link is lost: answers what it owed, and keeps the client.
  void on_link_lost(LinkRelayState& link, const std::string& reason);
  /// The link is lost, and the client with it: the words for that.
  Refused what_is_lost(LinkRelayState& link, const std::string& reason);
  /// The link is lost before the server has begun to answer. True: `said`, which is all that it was
  /// asked by the client, is as if it had never been said, and may be sent to another. `undone`:
  /// the server has said that what it ran is rolled back.
  bool take_back(LinkRelayState& link, Bytes said, bool undone);
  /// What the batch at hand left behind is forgotten: it is said again.
  void forget_batch();
  /// The client is gone, and has said good-bye behind what `waits` and what its link still owes:
  /// `said`, if that is known to be all of it. Whether something of it will be there afterwards.
  [[nodiscard]] bool has_effect(Bytes waits, const LinkRelayState* link, Bytes said) const;
  /// The link is taken from the client and its transaction rolled back. Nothing is owed. `told`:
  /// the client has been told why.
  void give_up_transaction(LinkRelayState& link, const Refused& why, bool told);
  /// No server was asked for the statement with which this begins: it waited in vain, or was not
  /// let in. Counts it, with the error that is its answer.
  void measure_refused(Bytes said, PoolCounters& pool, Duration slow_after, Bytes sqlstate,
                       Duration waited) const;
  /// In which the client sends and gets texts; empty where nobody has said.
  [[nodiscard]] std::string encoding() const;
  /// The session is about to be what it was after its login, as another tenant's: tells the client
  /// of the parameters that are others then. `link`: its own; null where it has none.
  void tell_of_startup(const LinkRelayState* link);
  /// It is that, and has no link. What the protocol prepared stays.
  void forget_session();
  /// Asks what the link holds of the session; the answer unpins.
  void take_inventory(LinkRelayState& link);

 private:
  using Item = pg::Framer::Item;

  // What becomes of one message: whether the loop goes on.
  enum class Handled : std::uint8_t { yes, need_link, wait, terminate, violation };

  Handled on_message(const Item& item, LinkRelayState* link);
  Handled on_unlinked(const Item& item);
  void lose_link(LinkRelayState& link, std::vector<Expected> owed, const Refused& why, bool told);
  [[nodiscard]] std::string put_settings_back(const LinkRelayState& link);
  [[nodiscard]] bool repeatable(Bytes said, bool undone) const;
  [[nodiscard]] bool repeatable_text(Bytes text, bool undone) const;
  [[nodiscard]] bool only_reads(Bytes said) const;
  // While the client is in a transaction that was lost.
  Handled on_lost(const Item& item);
  void on_lost_query(Bytes text);
  Handled on_lost_parse(const Item& item);
  void on_lost_sync();
  void ready_lost(pg::backend::TransactionStatus status);
  void refuse_lost();
  [[nodiscard]] bool ends_lost(Bytes statement) const;
  Handled parse_unlinked(const Item& item);
  [[nodiscard]] bool must_wait(const pg::Message& message, const LinkRelayState& link) const;
  [[nodiscard]] bool undecided_name(Bytes name, const LinkRelayState& link) const;
  [[nodiscard]] bool undecided_parse(Bytes name, Bytes definition,
                                     const LinkRelayState& link) const;
  [[nodiscard]] bool undecided_use(Bytes name, const LinkRelayState& link) const;
  [[nodiscard]] bool awaits_names(const SessionWorkRef& work, const LinkRelayState& link) const;

  Handled on_linked(const Item& item, LinkRelayState& link);
  Handled on_extended(const Item& item, LinkRelayState& link);
  UnnamedChange drop_unnamed(LinkRelayState& link);

  // Texts that do something to the session.
  struct Understood {
    SessionWorkRef work = nullptr;
    Ends ends = Ends::perhaps;
    SequenceUse uses = kTakes;
    bool forgets_names = false;  ///< DEALLOCATE ALL and the like
    std::optional<tenant::Violation> objection = std::nullopt;
    StatementEntryRef entry = nullptr;
    Route route = {};
    RulesMatched rules = {};
  };
  /// `types` is what a Parse declares; nothing for a Query.
  [[nodiscard]] Understood understand(Bytes text, const Reading& reading,
                                      std::optional<Bytes> types) const;

  // lazy_begin.
  struct Control {
    Bytes tag;  ///< of its CommandComplete; empty: it is for a server
    sql::TransactionModes modes;
    Understood understood;
    std::optional<SettingSaid> said = std::nullopt;
    [[nodiscard]] bool gives_row() const noexcept { return said && said->call; }
  };
  [[nodiscard]] Control control_of(Bytes text, Bytes setting) const;
  [[nodiscard]] Control control_of_definition(Bytes definition, Bytes setting) const;
  [[nodiscard]] std::optional<SettingSaid> setting_said_by(Bytes text, Bytes setting) const;
  struct ControlAhead {
    std::size_t size = 0;  ///< 0: it is for a server
    bool query = false;
    bool asks = false;       ///< what the statement is
    bool described = false;  ///< as a portal
    bool binary = false;     ///< its row
    bool executes = false;
    std::optional<pg::frontend::Parse> parsed;
    Control control;
    Bytes types;                            ///< of the parameters, declared
    pg::Framer framer{pg::Sender::client};  ///< behind it
  };
  [[nodiscard]] ControlAhead control_ahead(Bytes bytes, Bytes setting) const;
  void look_at_extended(Bytes bytes, Bytes setting, ControlAhead& ahead) const;
  void describe_control(const ControlAhead& ahead, bool binary);
  void carry_out(const Control& control);
  [[nodiscard]] Bytes definition_of_prepared(Bytes name) const;
  [[nodiscard]] bool may_remember(const pg::frontend::Parse& parse) const;
  void name_unlinked(Bytes name, StatementRef statement, Understood&& understood);
  void remember_control(const pg::frontend::Parse& parse, Control& control);
  void send_begin(LinkRelayState& link);
  [[nodiscard]] bool begun_read_only() const;
  [[nodiscard]] pg::backend::TransactionStatus status_here() const noexcept;

  // The policy for tenants.
  [[nodiscard]] const std::shared_ptr<const tenant::Policy>& policy() const;
  [[nodiscard]] tenant::Violation unread() const;
  [[nodiscard]] std::optional<tenant::Violation> judge(Bytes text, const Reading& reading,
                                                       const sql::Facts& facts,
                                                       std::optional<Bytes> types) const;
  [[nodiscard]] std::optional<tenant::Violation> judge_comment(
      const std::optional<Bytes>& named) const;
  [[nodiscard]] std::optional<tenant::Violation> judge_names(const sql::Facts& facts,
                                                             bool prepares) const;
  bool refuses_unseen(const Item& item, LinkRelayState& link, Request request);
  [[nodiscard]] std::optional<tenant::Violation> judge_executed(
      const sql::Facts& facts, sql::StandardStrings standard) const;
  void learn(const Understood& understood, const sql::Facts& facts, const config::Rule* rule) const;
  [[nodiscard]] std::optional<tenant::Violation> judge_bind(
      const Item& item, const std::optional<pg::frontend::Bind>& bind, LinkRelayState& link);
  bool refused(const std::optional<tenant::Violation>& objection);
  void audit_refusal(const tenant::Violation& objection);
  [[nodiscard]] StatementEntryRef entry_of(const sql::Facts& facts) const;
  [[nodiscard]] StatementEntryRef unknown_entry() const;
  [[nodiscard]] KnownEffects effects() const;
  void follow_anew(ClientStatements::Named& named, LinkRelayState& link);
  void refuse(const Item& item, LinkRelayState& link, Request request, std::string why,
              Bytes sqlstate = {}, std::string hint = {});
  bool refuses(const Item& item, LinkRelayState& link, Request request, Bytes text,
               Understood& understood);

  // Rules for single statements; only with ClientRelayState::rules.
  [[nodiscard]] rules::Mask rules_unread() const;
  [[nodiscard]] rules::Mask rules_of(Bytes text, const Reading& how, const sql::Facts& facts,
                                     const sql::Shape& shape, unsigned depth = 0) const;
  [[nodiscard]] rules::Mask rules_of_text(Bytes text, unsigned depth = 0) const;
  [[nodiscard]] rules::Mask rules_of(ClientStatements::Named& named, unsigned depth = 0) const;
  [[nodiscard]] rules::Mask rules_of_bound(Bytes statement) const;
  [[nodiscard]] Bytes text_of_bound(Bytes statement) const;
  const config::Rule* rule_among(rules::Mask mask, Bytes text, bool noted) const;
  [[nodiscard]] bool runs_application(const std::vector<std::string>& names) const;
  void note_rule(const rules::RuleSet& set, std::size_t i, Bytes text) const;
  void audit_rule(const config::Rule& rule, const sql::Shape* shape) const;
  [[nodiscard]] bool takes_place(const config::Rule& rule, LinkRelayState& link) const;
  [[nodiscard]] Duration max_lag_of(Route route) const;
  bool refuses_by_rule(const Item& item, LinkRelayState& link, Request request, rules::Mask mask,
                       Bytes text);
  [[nodiscard]] Route judged(Bytes text, const sql::Facts& facts, const sql::Shape& shape,
                             const config::Rule* rule) const;

  // Statements that keep their link.
  [[nodiscard]] PinReason would_pin(const SessionWork& work, const LinkRelayState& link,
                                    unsigned depth = 0) const;
  bool refuses_state(const Item& item, LinkRelayState& link, Request request,
                     const SessionWorkRef& work);

  // currval and lastval.
  [[nodiscard]] bool asks_sequences(const SessionWork& work, unsigned depth = 0) const;
  bool refuses_to_ask(const Item& item, LinkRelayState& link, Request request,
                      const SessionWorkRef& work, SequenceUse use);
  void clean_sequences(LinkRelayState& link);
  void note_sequences(SequenceUse use, LinkRelayState& link) noexcept {
    if (use != 0) link.sequences.note(use, client_.sequences, client_.serial);
  }

  [[nodiscard]] bool refused_on_replica(const LinkRelayState& link, const SessionWorkRef& work,
                                        Route route) const;
  [[nodiscard]] bool bound_to_replica(Bytes statement, const LinkRelayState& link) const;
  void refuse_on_replica(const Item& item, LinkRelayState& link, Request request);
  static bool asks_for_position(Bytes text) noexcept;
  static const Item& position_query();
  static const Bytes kPositionText;
  [[nodiscard]] Reading reading(const WelcomeRef& welcome) const;
  [[nodiscard]] Route route_of(Bytes text) const;
  [[nodiscard]] Route route_of(Bytes statement, Route unnamed, const PreparedAhead& ahead) const;
  [[nodiscard]] bool for_replica(Route route, const BatchAhead& ahead) const;
  [[nodiscard]] bool look_ahead(const pg::Message& message, BatchAhead& ahead) const;
  [[nodiscard]] bool is_one_statement(Bytes text) const;
  [[nodiscard]] Hint target() const;
  [[nodiscard]] bool begins_read_only(Route route, Hint target) const;
  [[nodiscard]] bool defaults_to(Bytes parameter, Bytes value) const;
  Handled on_query(const Item& item, LinkRelayState& link);
  void send_query(const Item& item, Bytes text, Understood& understood, LinkRelayState& link);
  void edit_query(const SessionWork& work, TextEdits& edits, Expected& expected,
                  LinkRelayState& link);
  [[nodiscard]] static sql::Span statement_span(const sql::Shape& shape, std::uint32_t& part,
                                                std::uint16_t i, std::uint16_t statements);
  void restore(const SessionStep& step, std::vector<std::string>& statements) const;
  [[nodiscard]] std::size_t restored_by(const SessionWork& work) const;
  void edit_name(SessionStep& step, const TextNames& names, TextEdits& edits, sql::Span span,
                 std::string& before, Expected& expected, LinkRelayState& link);
  void edit_list(TextEdits& edits, sql::Span span, LinkRelayState& link, bool in_batch);
  void have_listed(LinkRelayState& link, bool in_batch);
  [[nodiscard]] StatementRef find_statement(Bytes name) const;
  [[nodiscard]] SessionWorkRef work_of_name(Bytes name) const;
  void note_parsing(const SessionWork& work);
  void note_end();
  [[nodiscard]] bool hides_parsing() const;
  [[nodiscard]] std::string context_of(Bytes definition) const;
  static void note_name(Expected& expected, const std::string& name, const StatementRef& statement);
  [[nodiscard]] std::string edit_parse(Bytes text, SessionWorkRef& work, const sql::Shape& shape,
                                       LinkRelayState& link, unsigned depth = 0);
  [[nodiscard]] bool outdated(const SessionWork& work, const StatementRef& self) const;
  [[nodiscard]] std::string renewed(Bytes definition, SessionWorkRef& work,
                                    const StatementRef& self, LinkRelayState& link, unsigned depth);
  void renew(ClientStatements::Named& named, LinkRelayState& link, unsigned depth = 0);
  void renew_executed(const SessionWork& work, const StatementRef& self, LinkRelayState& link,
                      unsigned depth = 0);
  void renew_unnamed(LinkRelayState& link);
  void unseen_name(const SessionStep& step, LinkRelayState& link);
  void have_names(const SessionWork& work, LinkRelayState& link);
  static void note_names(const SessionWork& work, Expected& expected, LinkRelayState& link);
  void have_executed(const SessionWorkRef& work, LinkRelayState& link, bool in_batch);
  void drop_stale(const StatementRef& statement, LinkRelayState& link);
  void have_ready(const StatementRef& statement, LinkRelayState& link, bool in_batch);
  struct ParsingChanges {
    std::vector<ParameterChange> before;  ///< to have it parsed as it was
    std::vector<ParameterChange> behind;
  };
  [[nodiscard]] std::optional<ParsingChanges> as_parsed(const Statement& statement,
                                                        std::string& now) const;
  void parse_on_link(const StatementRef& statement, Disposition disposition, LinkRelayState& link,
                     const ParameterTypes& types);
  void prepare_on_link(const StatementRef& statement, Disposition disposition, LinkRelayState& link,
                       const ParameterTypes& types = {});
  void keep_types(ClientStatements::Named& named, LinkRelayState& link);
  void take_back_types(const StatementRef& statement, LinkRelayState& link);

  // Those that listen through the shared connection.
  [[nodiscard]] bool shares(const SessionStep& step, const LinkRelayState& link) const;
  bool awaits_hub(const SessionWorkRef& work, LinkRelayState& link);
  void note_listening(const SessionWork& work, LinkRelayState& link);

  // What a link is told of the session.
  void change_settings(const std::vector<ParameterChange>& changes, LinkRelayState& link,
                       Disposition disposition, bool own_batch = false);
  void set_session(std::vector<ParameterChange> changes, LinkRelayState& link);
  void forget_plans(const SessionWork& work, LinkRelayState& link);
  [[nodiscard]] bool makes_temporary(const SessionStep& step) const;
  void tell_of_server(LinkRelayState& link);
  void read_as_client(LinkRelayState& link) const;
  [[nodiscard]] Reading reading_now(LinkRelayState& link);
  void restore_startup(const SessionWork& work, LinkRelayState& link);
  void start_again(LinkRelayState& link);

  // Prepared statements.
  struct NewStatement {
    Bytes name;
    Bytes definition;
    bool whole = true;
    bool edited = false;  ///< `definition` is not what stands in the message
    std::uint32_t body_size = 0;
    SessionWorkRef work = nullptr;
    Ends ends = Ends::perhaps;
    SequenceUse uses = kTakes;
    StatementEntryRef entry = nullptr;
    Route route = {};
    RulesMatched rules = {};
  };
  Handled on_parse(const Item& item, LinkRelayState& link);
  static void know(NewStatement& made, Understood&& understood);
  void remember_work(const NewStatement& made);
  [[nodiscard]] static std::unique_ptr<SpecialReply> shifted(const NewStatement& made);
  void send_parse(const NewStatement& made, Bytes name);
  void parse_named(const NewStatement& made, LinkRelayState& link);
  void parse_duplicate(const NewStatement& made, const StatementRef& known, LinkRelayState& link);
  [[nodiscard]] bool refuses_parse(LinkRelayState& link, Bytes definition);
  [[nodiscard]] bool leaves_failed(Bytes text, LinkRelayState& link);
  void parse_unnamed(const NewStatement& made, LinkRelayState& link);
  void open_portal(const pg::frontend::Bind& bind, const pg::Message& message,
                   LinkRelayState& link);
  Handled on_execute(const Item& item, LinkRelayState& link);
  void on_sync(const Item& item, LinkRelayState& link);
  bool refuses_bound(const Item& item, Bytes name, const ClientStatements::Named* known,
                     LinkRelayState& link);
  Handled on_bind(const Item& item, LinkRelayState& link);
  Handled on_describe(const Item& item, LinkRelayState& link);
  void describe_portal(const Item& item, Bytes portal, LinkRelayState& link);
  void on_close(const Item& item, LinkRelayState& link);

  void drop_older(const StatementRef& statement, std::uint64_t epoch, LinkRelayState& link);
  void close_on_link(const StatementRef& statement, LinkRelayState& link);
  void need_statement(const StatementRef& statement, LinkRelayState& link,
                      const SessionWorkRef& work = {}, const ParameterTypes& types = {});
  void need_executed(const SessionWorkRef& work, LinkRelayState& link);
  /// Whether a statement of the client's can be used as the client knows it.
  enum class Usable : std::uint8_t { yes, unknown_yet, changed };
  Usable need_named(ClientStatements::Named& named, LinkRelayState& link);
  Usable need_as_told(ClientStatements::Named& named, LinkRelayState& link);
  void need_unnamed(LinkRelayState& link);
  void make_room(LinkRelayState& link);
  [[nodiscard]] bool parsed_alike(const Statement& statement) const;
  void follow_context(ClientStatements::Named& named, LinkRelayState& link);
  void forward(const Item& item, LinkRelayState& link, Expected&& expected);
  void drop(const Item& item);
  void supply(LinkRelayState& link, Request request, NameChange change);
  void push(LinkRelayState& link, Expected&& expected);
  void measure(LinkRelayState& link, Expected& expected);
  void measure_part(const pg::Message& message, StatementMeter& meter) const;
  [[nodiscard]] std::unique_ptr<StatementNote> note_of(Bytes text, Duration slow_after) const;
  [[nodiscard]] bool measure_loss(LinkRelayState& link, Bytes sqlstate);
  void measure_lost(LinkRelayState& link, Expected&& expected, Bytes sqlstate);
  [[nodiscard]] std::string foreign_name(Bytes name) const;

  // The setting of a tenant.
  [[nodiscard]] bool owns_setting() const;
  [[nodiscard]] static bool executes_unknown(const SessionWork& work);
  [[nodiscard]] bool loses_setting(Request request, const SessionWorkRef& work,
                                   LinkRelayState& link);
  bool refuses_loss(const Item& item, LinkRelayState& link, Request request,
                    const SessionWorkRef& work);
  void keep_setting(LinkRelayState& link);

  // Names of ours.
  void forward_named(const Item& item, LinkRelayState& link, Expected&& expected, Bytes name);
  [[nodiscard]] bool may_edit(const SessionWork& work, const sql::Shape& shape) const;
  [[nodiscard]] const SessionStep* bare_name(Request request, Bytes text, const SessionWork& work,
                                             LinkRelayState& link) const;
  bool refuses_names(const Item& item, LinkRelayState& link, Request request, Bytes text,
                     const SessionWorkRef& work);

  const RelayRules& rules_;
  ClientRelayState& client_;
  Output out_;
  std::string violation_;
  std::string vacated_;
  Objections objections_;
};

/// The other direction: what a server says, to its client or, when the client is gone or there was
/// none, to nobody.
class ServerRelay {
 public:
  /// `client` is null when nobody is linked.
  ServerRelay(const RelayRules& rules, LinkRelayState& link, ClientRelayState* client,
              Conduit& to_client, Counters& counters)
      : rules_(rules), link_(link), client_(client), to_client_(to_client), counters_(counters) {}

  enum class Verdict : std::uint8_t {
    fine,
    ending,     ///< the server said that it will close the connection
    own_end,    ///< the client has ended its own session: what comes is not for it
    violation,  ///< it said something that nobody asked for: see `reason()`
  };
  struct Progress {
    std::size_t consumed = 0;
    Verdict verdict = Verdict::fine;
  };
  Progress from_server(Bytes bytes);

  [[nodiscard]] const std::string& reason() const noexcept { return reason_; }

  /// Sends the client every reply whose turn has come and that we supply.
  static void emit_supplied(LinkRelayState& link, ClientRelayState& client, Conduit& to_client);
  /// Undoes what voided messages had changed.
  static void undo(std::vector<Expected>& voided, LinkRelayState& link, ClientRelayState* client);

 private:
  using Item = pg::Framer::Item;

  Verdict on_message(const Item& item);
  Verdict on_reply(const Item& item, pg::Backend type);
  Verdict on_error(const Item& item);
  void on_done(const Expected& expected);
  void on_described(const Item& item, const NameChange& change);
  /// What the client is told of an error.
  struct Told {
    Bytes sqlstate;
    bool ours = false;  ///< not what the server said
  };
  bool refuse_changed(Told& told);
  bool run_again(const SpecialReply* special);
  [[nodiscard]] bool measured() const noexcept;
  void measure(pg::Backend type, const ExpectedReplies::Taken& taken);
  void measure_error(const Told& told, const ExpectedReplies::Taken& taken);
  void close_statement();
  void on_statement_complete(const Item& item, Disposition disposition, SpecialReply* special);
  void on_suspended(Disposition disposition, const SpecialReply* special);
  [[nodiscard]] bool client_ends() const noexcept;
  void on_command(Bytes tag, const SpecialReply* special);
  [[nodiscard]] bool makes_temporary_by_path(Bytes tag, const SpecialReply* special) const;
  void on_names(const SessionWork& work, std::uint16_t statement);
  void on_made_room(const SpecialReply& special);
  void on_inventory(Bytes tag);
  void on_names_found(unsigned differences);
  void on_ready(const Item& item, Disposition disposition, SpecialReply* special);
  void tell_changes();
  using Shifts = std::vector<std::pair<std::uint32_t, std::int32_t>>;
  bool shift_position(Bytes body, const Shifts& shifts);
  [[nodiscard]] Shifts shifts_for(const SpecialReply& special, Bytes error) const;
  [[nodiscard]] Shifts shifts_of(const StatementRef& made, const std::string* name,
                                 std::int32_t front) const;
  [[nodiscard]] std::int32_t front_on_link(const StatementRef& made) const;
  [[nodiscard]] bool of_executed(const SessionStep& execute, Bytes error) const;
  void note_unmade(const Item& item, Bytes sqlstate, const SpecialReply* special);
  bool tell_unmade(const Item& item, const SpecialReply* special, Told& told);
  void catalog_changed();
  Verdict on_parameter_status(const Item& item);
  void on_notice(const Item& item);
  void on_notification(const Item& item);
  void pass(const Item& item, Disposition disposition);
  bool tell_overrun(Told& told);
  void pass_to_client(Bytes bytes, char type);
  void note_refusal(const pg::backend::Fields& fields);
  bool tell_replica_refuses(const pg::backend::Fields& fields, Told& told);
  bool rewrite_error(const Item& item, Bytes sqlstate);
  bool tell_refusal(const SpecialReply* special, Told& told);
  void note_pins(Pins before);
  void warn_of_pins(Pins before);
  [[nodiscard]] bool told_by_hub(Bytes channel) const;
  bool holds_ready();
  void on_parameters(const Item& item);
  Verdict violation(const Item& item);

  const RelayRules& rules_;
  LinkRelayState& link_;
  ClientRelayState* client_;
  Conduit& to_client_;
  Counters& counters_;
  std::string reason_;
};

}  // namespace forebay::core
