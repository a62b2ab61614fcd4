#pragma once

#include <array>
#include <boost/intrusive/list.hpp>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/client/client_start.hpp"
#include "core/engine/buffer.hpp"
#include "core/engine/client_limits.hpp"
#include "core/engine/journal.hpp"
#include "core/engine/runtime.hpp"
#include "core/engine/timer_wheel.hpp"
#include "core/lookup/secret_cache.hpp"
#include "core/pool/pool.hpp"
#include "core/pool/ticket.hpp"
#include "core/refused.hpp"
#include "core/relay/relay_state.hpp"
#include "forebay/auth/client_authentication.hpp"
#include "forebay/core/io.hpp"

namespace forebay::core {

class Engine;
class LinkLogin;
struct ClientFacts;
struct ReplicaUse;
class StatementLimit;
struct Throttle;
struct Residue;
enum class TimeLimit : std::uint8_t;
namespace mail {
struct Signalled;
}
struct SlowSample;
class ServerLink;

/// One client connection, from accept to close.
///
///     starting --> securing --> starting --> authenticating --> awaiting_server --> idle
///                                   |--> looking_up --> authenticating
///                                   \--> relayed_login --^         \<-> validating --^
///     idle <--> held, waiting --> linked --> idle
///     everything --> closing --> closed
class ClientSession final : public StreamEvents {
 public:
  enum class Phase : std::uint8_t {
    starting,         ///< start-up packets
    securing,         ///< TLS handshake
    looking_up,       ///< auth_query is asked for its secret
    authenticating,   ///< shows us who it is
    relayed_login,    ///< shows a server who it is, through us
    awaiting_server,  ///< let in; waits for a link that tells who the server is
    validating,       ///< a link tries its start-up settings
    idle,             ///< has no link
    waiting,          ///< has said something that needs a link
    held,             ///< the same, but has to wait for a limit of statements first, or for
                      ///< a replica to have what it must show
    linked,
    console,  ///< let in to the console, which takes it over in this turn
    closing,  ///< the last bytes are on their way
    closed,
  };

  ClientSession(Engine& engine, SessionKey key, std::unique_ptr<Stream> stream);
  ~ClientSession();

  [[nodiscard]] Phase phase() const noexcept { return phase_; }
  [[nodiscard]] SessionKey key() const noexcept { return key_; }
  [[nodiscard]] Ticket& ticket() noexcept { return ticket_; }
  [[nodiscard]] const std::shared_ptr<Pool>& pool() const noexcept { return pool_; }
  /// Whose links it takes at present: those of its pool, or of one of that's readers.
  [[nodiscard]] Pool& source() const noexcept;
  [[nodiscard]] ClientRelayState& relay() noexcept { return relay_; }
  [[nodiscard]] ServerLink* link() noexcept { return link_; }
  [[nodiscard]] config::PoolMode mode() const noexcept { return mode_; }
  /// The name that the client goes by; once it has a pool.
  [[nodiscard]] const std::string& user() const noexcept {
    return user_ != nullptr ? *user_ : pool_->key().user;
  }
  [[nodiscard]] const StartupFacts& startup() const noexcept { return login_->facts; }
  [[nodiscard]] const RelayRules& rules() const noexcept;
  /// It wants a link and would take one now.
  [[nodiscard]] bool wants_link() const noexcept {
    return phase_ == Phase::waiting || phase_ == Phase::awaiting_server;
  }
  /// A server is to let it in, or it replicates, for which it gets a link of its own.
  [[nodiscard]] bool awaits_login() const noexcept {
    return phase_ == Phase::relayed_login ||
           (phase_ == Phase::awaiting_server && login_->replicates());
  }
  /// It wants to send again what another link was lost with.
  [[nodiscard]] bool sends_again() const noexcept { return resent_ > 0; }
  [[nodiscard]] bool secure() const noexcept { return secure_; }
  /// It has said who it is, and has not left.
  [[nodiscard]] bool known() const noexcept {
    return pool_ != nullptr && phase_ != Phase::closing && phase_ != Phase::closed;
  }
  /// For the console; of a known client.
  [[nodiscard]] ClientFacts facts() const;

  // ---- from the engine

  /// The stream is ours from here on.
  void begin(ListenerId listener);
  /// A link that it waited for is here, clean and belonging to nobody.
  void take_link(ServerLink& link);
  /// The link that it waited for will not come, but another may.
  void wait_again();
  /// Its role's name is no longer the role's that it has logged in as.
  [[nodiscard]] bool role_is_gone() const noexcept {
    return pool_->role_renamings() != role_renamings_;
  }
  /// What becomes of it then, where it has no link and wants one. False: it has ended.
  bool follow_role();
  /// What it waits for is a primary.
  void wait_is_hold() noexcept {
    if (hold_ == Hold::no) hold_ = Hold::due;
  }
  /// No server can be had.
  void wait_failed(const Refused& reason);
  /// A place of `limit` is its own. False: it does not wait for one.
  bool admit(const StatementLimit& limit);
  /// The turn in which it began to wait for a replica is over.
  void turn_over();
  /// More is known of what replicas have.
  void replicas_seen();
  /// Whether it asked for something that is not answered.
  [[nodiscard]] bool at_work() const noexcept;
  [[nodiscard]] bool is_cancel_key(Bytes key) const;
  /// Somebody showed its cancel key. True when `requester` was kept.
  bool cancel(std::unique_ptr<Stream>& requester);
  /// It has called such functions itself.
  void carry_out_signals(const std::vector<ServerSignal>& signals);
  /// Another client has called a function that ends it, or cancels what it runs: done if that one
  /// may.
  void signalled(const mail::Signalled& order);
  /// To be let go as soon as no transaction is open.
  void drain();
  /// While the engine is suspended it reads nothing but the rest of a message. False while there
  /// is something to answer.
  bool follow_suspension();
  /// A reload may have taken its database, its user or its role away.
  void reconsider();
  [[nodiscard]] bool is_of(std::string_view tenant) const noexcept {
    return relay_.tenant != nullptr && relay_.tenant->value == tenant;
  }
  /// An operator has ordered something of its tenant, or it is over.
  void follow_orders();
  /// FATAL, and the connection ends when the client has read it; or a reset, when it has half a
  /// message of its server's.
  void fatal(const Refused& reason);
  /// Ends now, without a word.
  void close(std::string_view why);

  // ---- from its link

  /// A link was made for it, or is being tried for it.
  void expect_link(ServerLink& link) noexcept { link_ = &link; }
  /// What the server said for the client, in so many bytes, stands in the engine's conduit: sends
  /// it.
  void server_spoke(std::size_t bytes);
  /// Whose a slow statement was.
  void describe(SlowSample& sample) const;
  /// The same of what the audit log has to say of this event; `link` may be null.
  void keep_audit(const ServerLink* link);
  /// The same for slow statements; null: no server was asked.
  void keep_samples(ServerLink* link);
  /// Everything that the server said was handled: is the transaction over?
  void server_done();
  /// The link takes bytes again.
  void link_writable();
  /// The link is gone. `said`: the server has told the client so. `in_message`: the client has
  /// got half a message.
  void link_lost(ServerLink& link, const std::string& reason, bool said, bool in_message);
  /// It has taken longer than a timeout allows.
  void over_time(TimeLimit limit);
  /// Nothing is read from it, nor from its server, for the sake of max_bytes_per_second.
  [[nodiscard]] bool paced() const noexcept;
  /// Nothing waits for the client to read.
  [[nodiscard]] bool takes_all() const noexcept { return unsent_.empty(); }
  /// The hub listens to what was asked for, or does not.
  void hub_answered(bool listens);
  void notified(const std::shared_ptr<const Notification>& notification);
  /// The hub may have missed something.
  void listening_restored();
  /// The link tried its start-up settings; it belongs to nobody now.
  void settings_tried(ServerLink& link);

  // Logins by way of a server.
  /// The server asks; `message` is a whole Authentication message for the client.
  void challenged(Bytes message, const LinkLogin& login);
  void let_in_by_server(const LinkLogin& login);
  /// The server knows the client; what the link learned is in the pool.
  void login_done();
  /// No server can be asked who it is. `again`: that may change.
  void login_refused(const Refused& reason, bool again);
  /// A link for this client alone is ready.
  void login_link_ready(ServerLink& link);

  /// What auth_query said of its user; `refused` says something: it could not be asked.
  void looked_up(std::shared_ptr<const auth::UserSecrets> secrets, const Refused& refused);

  void on_received(Bytes bytes) override;
  void on_writable() override;
  void on_secured() override;
  void on_end() override;
  void on_lost(const std::string& reason) override;

  boost::intrusive::list_member_hook<> engine_hook;

 private:
  // What is needed until the client has logged in, and gone after that.
  struct Login {
    ClientStart start;
    StartupFacts facts;
    std::optional<auth::ClientAuthentication> authentication;
    std::shared_ptr<const auth::UserSecrets> secrets;  ///< of its user
    std::optional<LookupKey> lookup;                   ///< where they come from, if looked up
    ListenerId listener;
    bool header_due = false;      ///< of the PROXY protocol
    Turnstile authenticating;     ///< against max_authenticating_clients
    ParameterSetRef checked;      ///< the settings that a server has to accept
    bool asked_password = false;  ///< in the server's place
    bool challenged = false;      ///< by the server, which has no answer yet
    bool console = false;         ///< counted by Shared::console_clients
    bool superuser = false;       ///< console: of the server that let it in
    bool replaced = false;        ///< a server connection that would not take its settings
    std::vector<std::pair<std::string, std::string>> console_settings;
    [[nodiscard]] bool replicates() const noexcept {
      return facts.replication != Replication::none;
    }
  };

  /// Whether it counts in Shared::failover_hold: not, or from the end of the event on, or it does,
  /// or there is no room for it.
  enum class Hold : std::uint8_t { no, due, counted, too_many, too_large };

  void enter(Phase phase) noexcept;

  // Login.
  [[nodiscard]] bool behind_balancer() const;
  std::size_t header_received(Bytes bytes);
  std::size_t start_received(Bytes bytes);
  void on_startup(StartupFacts facts);
  void add_host();
  bool find_pool();
  void choose_cluster();
  bool admitted_from_here();
  bool admitted();
  bool admitted_at_this_rate();
  bool admitted_to_authenticate();
  bool admitted_by_name();
  bool take_place(ClientLimits::Place place, std::uint32_t max);
  void leave_places();
  [[nodiscard]] config::AuthMethod method() const;
  void authenticate();
  void look_up();
  void ask_who(std::shared_ptr<const auth::UserSecrets> secrets);
  void relay_login();
  std::size_t authentication_received(Bytes bytes);
  void answer_server(Bytes whole, Bytes body);
  void on_authentication(auth::ClientAuthentication::Outcome outcome);
  void let_in();
  [[nodiscard]] bool may_enter_without_password() const;
  void ask_password();
  void meet_server();
  void await_server();
  void arm_login_wait();
  bool take_tenant();
  [[nodiscard]] std::vector<std::string> certified() const;
  [[nodiscard]] std::optional<Refused> ban_of(const std::string& tenant, const char* sqlstate);
  [[nodiscard]] Refused pause_of_tenant();
  void begin_again();
  [[nodiscard]] Bytes as_tenant(Bytes bytes);
  [[nodiscard]] bool closes_nothing_there(const pg::Message& message) const;
  /// What becomes of what may be answered before it is said whose the transaction is.
  enum class Here : std::uint8_t {
    no,
    answered,
    waits,
    begun,  ///< the rest of the message goes on
  };
  [[nodiscard]] Here answer_here(Bytes bytes, const pg::Message& message);
  [[nodiscard]] bool is_at_rest() const;
  [[nodiscard]] bool lets_go_to_begin();
  bool take_answered(Bytes& bytes, std::size_t& consumed);
  [[nodiscard]] Bytes text_said(const pg::Message& message) const;
  bool become_tenant(const std::optional<Bytes>& named);
  bool change_tenant(const std::string& value);
  void refuse_as(const std::string& tenant, Refused reason);
  void own_setting();
  [[nodiscard]] bool reads_on() const noexcept;
  [[nodiscard]] std::unique_ptr<SessionTenant> tenant_session(
      std::string value, std::shared_ptr<const tenant::Policy> policy, std::string database);
  [[nodiscard]] std::optional<Bytes> named_tenant(const pg::Message& message) const;
  void renew_claim(std::uint32_t process_id);
  void meet(ServerLink& link);
  void met(ServerLink& link, const Pool::Reported& reported);
  [[nodiscard]] WelcomeRef welcome_of(const LinkRelayState& link,
                                      const Pool::Reported& reported) const;
  void take_server_id(std::uint32_t process_id);
  void leave_server_id();
  void complete_date_style(const Welcome& welcome, const Pool::Reported& reported);
  void greet(const Welcome& welcome, const Pool::Reported& reported);

  // The console's clients.
  [[nodiscard]] bool wants_console() const;
  void begin_console();
  void enter_console(bool superuser);
  void move_to_console();

  // In use.
  std::size_t receive(Bytes bytes);
  std::size_t relay_received(Bytes bytes);
  void follow_policy();
  void be_tenant(std::string value, std::shared_ptr<const tenant::Policy> policy,
                 std::string database, SessionTenant::Says says);
  void note_objections(const Objections& objections);
  void audit_unanswered(ServerLink& link);
  void continue_input();
  [[nodiscard]] bool logged_further(Phase before) const noexcept;

  // Rules for single statements.
  void follow_rules();
  void note_rules();

  // lazy_begin.
  /// Its transaction is one of which no server knows, not even the one that it keeps.
  [[nodiscard]] bool begun_here() const noexcept {
    return relay_.begin.open != 0 && relay_.attempt == Attempt::none;
  }
  void settle_begun();
  void give_up_begun(const Refused& reason, bool told);

  // Reads on replicas.
  void begin_splitting();
  void take_target();
  [[nodiscard]] bool follows_effects() const noexcept;
  bool choose_server(Bytes bytes, bool again);
  [[nodiscard]] std::optional<routing::Lsn> min_lsn() const;
  void go_on_waiting();
  [[nodiscard]] bool awaits_replica() const noexcept;
  void await_replica(const std::shared_ptr<Cluster>& cluster, Instant came);
  void send_attempt(Bytes bytes);
  bool hold_answer();
  [[nodiscard]] bool attempt_answered() const;
  bool finish_attempt();
  void end_attempt();
  void try_primary();
  bool survive_replica(ServerLink& link, const std::string& reason);
  bool wait_for_primary();

  // While there is no primary.
  [[nodiscard]] bool without_primary();
  [[nodiscard]] Duration patience();
  [[nodiscard]] bool held_for_primary(Instant since);
  [[nodiscard]] bool login_held_for_primary();
  bool login_goes_on();
  void keep_hold();
  void leave_hold();
  [[nodiscard]] Refused no_room_to_hold() const;
  [[nodiscard]] Refused no_primary_to_log_in(const char* key, Duration limit) const;

  void leave_reader();
  void note_sent(std::size_t bytes);
  void note_unlinked();
  void note_bound();

  // Limits of statements; only with a throttle_.
  void follow_limits();
  void follow_other_limits();
  [[nodiscard]] bool link_wanted() const;
  [[nodiscard]] Bytes may_go_on(Bytes bytes);
  bool enter_limits();
  void hold(Instant opens);
  void refuse_next(const StatementLimit& limit, bool rate);
  void refuse_next(Refused reason);
  [[nodiscard]] std::shared_ptr<StatementLimit> links_of_tenant(
      const config::TenantLimits* ordered) const;
  void follow_links(Throttle* before);
  bool enter_links();
  void take_link_place();
  void leave_link_place(ServerLink* heir);
  [[nodiscard]] Refused no_link_place(std::string_view key, config::milliseconds waited) const;
  void hold_over();
  void end_hold();
  void reject_held(const Refused& reason);
  void measure_refused(const Refused& reason, Duration waited);
  void leave_limits();
  void pace(std::size_t bytes);
  static void on_pace(void* self);
  void go_on();
  void listen_again();
  [[nodiscard]] Instant debt() const;
  [[nodiscard]] Refused indebtedness() const;
  void free_link(ServerLink& link);

  // LISTEN through the shared connection.
  void ask_hub();
  void ask_hub_when_due();
  /// What the client says next waits for the hub.
  [[nodiscard]] bool asks_hub() const noexcept {
    return relay_.listening != nullptr && relay_.listening->asked;
  }
  void leave_hub(std::vector<std::string> channels);
  void leave_listening();
  [[nodiscard]] bool may_be_told() const;
  [[nodiscard]] std::shared_ptr<const Notification> as_heard(
      const std::shared_ptr<const Notification>& notification) const;
  void tell_notifications();
  bool holds_ready();
  void settle_listening();

  [[nodiscard]] std::optional<std::string> claimed_tenant() const;
  [[nodiscard]] std::string place_of_login() const;
  [[nodiscard]] bool is_misplaced() const;
  void follow_place();
  bool move();
  bool may_move();
  /// Between transactions: as whom and where it was. False: it has ended.
  bool goes_on() { return (!role_is_gone() || follow_role()) && (!moves_ || move()); }
  void end_misplaced();
  void arm_wait();
  void notify_of_wait();
  bool may_ask_for_link(Bytes bytes, bool again);
  void count_said(std::size_t bytes);
  void link_up(ServerLink& link);
  bool after_transaction();
  void give_link_back();
  bool may_ask_next();
  void ask_over();
  void count_pins(Pins pins);
  void reject(const Refused& reason);
  void refuse_statement(const Refused& reason, Duration waited = {},
                        std::unique_ptr<const SessionTenant> as = nullptr);
  void stop_waiting();
  void login_wait_over();
  void update_reading();
  [[nodiscard]] bool suspendable() const noexcept;
  void settle();
  void settle_idle();
  [[nodiscard]] bool holds_back() const;
  void leave();
  [[nodiscard]] bool leaves_work();
  [[nodiscard]] bool says_goodbye() const;
  [[nodiscard]] bool bound_to_removed() const;
  void leave_removed();
  [[nodiscard]] Refused host_removed() const;
  void send_both();
  void send_own();
  void follow_copy();
  void probe();
  void close_after_sending();
  void finish();
  [[nodiscard]] Refused reason_of(TimeLimit limit, std::string_view consequence) const;
  void give_up_transaction(TimeLimit limit, bool told);
  bool send_again(ServerLink& link, const std::string& reason);
  bool cancel_unanswered(ServerLink& link);
  void say_again(Bytes said);
  void put_in_front(Bytes said);
  void let_go_of_link();
  [[nodiscard]] Residue residue(const LinkRelayState& link) const;
  void note(Weight weight, std::string_view event, std::string text);
  void arm(config::milliseconds delay);
  static void on_timer(void* self);

  Engine& engine_;
  SessionKey key_;
  std::unique_ptr<Stream> stream_;
  std::shared_ptr<Pool> pool_;
  ClientRelayState relay_;
  Stash stash_;
  Stash unsent_;
  Instant connected_;
  Ticket ticket_;
  Instant waiting_since_{};
  Timer timer_{&ClientSession::on_timer, this};
  ServerLink* link_ = nullptr;
  std::unique_ptr<Login> login_;
  std::unique_ptr<const std::string> user_;                   ///< where the pool's is another
  std::unique_ptr<std::vector<ClientLimits::Place>> places_;  ///< null: no limit but the general
  std::unique_ptr<ReplicaUse> replicas_;                      ///< null where reads are not split
  std::unique_ptr<Throttle> throttle_;                        ///< null: no limit of statements
  std::array<char, 16> cancel_key_{};
  config::PoolMode mode_ = config::PoolMode::transaction;
  Phase phase_ = Phase::starting;
  Hold hold_ = Hold::no;
  std::uint32_t role_renamings_ = 0;  ///< of its pool, before it showed who it is
  Pins counted_pins_ = 0;             ///< those of which the counters know
  std::uint8_t resent_ = 0;   ///< what it waits with, or has a link for, was sent so often before
  bool network_ : 1 = false;  ///< not through a Unix-domain socket
  bool secure_ : 1 = false;
  bool long_cancel_key_ : 1 = false;
  bool moves_ : 1 = false;       ///< to another database, at the end of the transaction
  bool notified_ : 1 = false;    ///< that it waits: not to be told so again
  bool terminated_ : 1 = false;  ///< the client has said Terminate
  bool gone_ : 1 = false;        ///< ... and is gone, while what it said is carried out
  bool reading_ = true;
  bool ended_ = false;    ///< the client will send no more
  bool counted_ = false;  ///< against max_client_conn
  bool goodbye_ = false;  ///< to be let go at the end of the transaction
  bool may_ask_ = false;  ///< keeps its link for a moment, since it may ask for lastval
};

}  // namespace forebay::core
