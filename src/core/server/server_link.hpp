#pragma once

#include <atomic>
#include <boost/intrusive/list.hpp>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "core/engine/buffer.hpp"
#include "core/engine/timer_wheel.hpp"
#include "core/pool/pool.hpp"
#include "core/refused.hpp"
#include "core/relay/relay_state.hpp"
#include "core/server/effects_question.hpp"
#include "core/server/link_login.hpp"
#include "core/server/link_watch.hpp"
#include "core/statistics/host_book.hpp"
#include "forebay/base/time.hpp"
#include "forebay/core/io.hpp"

namespace forebay::core {

class ClientSession;
class Conduit;
class Engine;
class StatementLimit;
struct ServerFacts;

/// What a client leaves on its link when it goes.
struct Residue {
  Pins pins = 0;
  bool everything = false;  ///< or nobody knows: DISCARD ALL
};

/// One server connection, from connect to close.
///
///     opening --> parked <--> linked --> recovering, resetting --> cooling --> parked
///        |          |  \--> checking --> linked       (idle for long)
///        |          |  \--> validating --> linked     (a client's start-up settings)
///        |          |  \--> asking --> parked         (the catalog, on its way there)
///        \          \--> away --> parked, linked      (to another worker, or summoned)
///         \------------------------------------------> closed   (from everywhere)
class ServerLink final : public StreamEvents {
 public:
  enum class Phase : std::uint8_t {
    opening,     ///< connecting and logging in; `opening()` knows how far
    parked,      ///< in the pool, nobody's
    checking,    ///< idle for long: asked whether it lives, for `client()`
    validating,  ///< tries the start-up settings of `client()`
    linked,      ///< with `client()`
    recovering,  ///< its client vanished: statements are ended, the transaction is rolled back
    resetting,   ///< its session ended: DISCARD ALL
    asking,      ///< asks the catalog for everybody: EffectsQuestion
    cooling,     ///< clean, but a cancel request is still under way
    away,        ///< taken by another worker, which will ask for it
    closed,
  };

  /// What is needed while the link is opened only.
  struct Opening {
    std::unique_ptr<LinkLogin> login;
    std::shared_ptr<const TlsContext> tls;  ///< as it was when the host was gone to; null: none
    std::size_t host = 0;                   ///< index into the pool's hosts
    std::size_t tried = 0;                  ///< hosts tried before this one
    bool accept_standby = false;            ///< after every host was asked for a primary
    bool reserved = true;                   ///< counted by the pool
    LinkLogin::Retry retried = LinkLogin::Retry::none;
    bool with_tls = true;
    std::uint32_t version = pg::kProtocol3_2;
    bool standby_seen = false;
    bool client_asked = false;     ///< relayed: the client was shown what this host asks
    std::optional<Refused> first;  ///< what the first host said that did not let us in
  };

  ServerLink(Engine& engine, std::shared_ptr<Pool> pool);
  ~ServerLink();

  [[nodiscard]] Phase phase() const noexcept { return phase_; }
  [[nodiscard]] Parking& parking() noexcept { return parking_; }
  [[nodiscard]] Pool& pool() noexcept { return *pool_; }
  [[nodiscard]] LinkRelayState& relay() noexcept { return relay_; }
  [[nodiscard]] Stream& stream() noexcept { return *stream_; }
  [[nodiscard]] ClientSession* client() noexcept { return client_; }
  [[nodiscard]] const Endpoint& host() const noexcept { return host_; }
  /// Below the limit of its host. Null when it is not counted there.
  [[nodiscard]] const std::shared_ptr<Quota>& place() const noexcept { return place_; }
  /// It needs that no more; gives what it was below.
  std::shared_ptr<Quota> leave_place() noexcept;
  /// Its client has left it, and has a place below a limit of its tenant's links until it is free.
  void keep_tenant_place(std::shared_ptr<StatementLimit> limit) noexcept {
    tenant_place_ = std::move(limit);
  }
  std::shared_ptr<StatementLimit> leave_tenant_place() noexcept {
    return std::exchange(tenant_place_, nullptr);
  }
  [[nodiscard]] std::uint32_t process_id() const noexcept { return relay_.process_id; }
  /// Everything that was to be sent was taken.
  [[nodiscard]] bool sent_all() const noexcept { return unsent_.empty(); }

  // ---- from the engine

  /// Is to be released, but asks the catalog first if it is time: true then.
  bool ask_effects();

  /// Begins to open it. `for_client` answers the server's requests itself (auth = "server"), or has
  /// the link for itself (`dedicated`, replication), with further start-up parameters.
  void open(ClientSession* for_client, bool relayed, bool dedicated, bool reserved);
  /// The client's answer to a Challenge: a whole message.
  void answer(Bytes message);
  /// The client showed its password, which is used from here on.
  void answer_with(auth::Credential credential);
  /// Its login client went away.
  void forget_client() noexcept { client_ = nullptr; }

  void park();
  void link(ClientSession& client);
  void check(ClientSession& client);
  void validate(ClientSession& client);
  /// Its client is gone. Ends in release or close.
  void orphan(const Residue& residue);
  /// Its client is gone in the middle of a message: whatever we say would be the rest of it.
  void break_off();
  /// A cancel request is on its way to it: nobody may have it until that is over.
  void cool();
  void go_away();
  /// It has come to this engine's worker, where it belongs to nobody yet.
  void arrive(Engine& engine);
  void close();

  /// Sends what `conduit` holds. False when something is left unsent.
  bool send(Conduit& conduit);
  void pause() { stream_->pause(); }
  void resume() { stream_->resume(); }

  /// After every event of its client's: is there a timeout that now ends sooner?
  void watch();
  /// What holds for what it runs, 0 for none; and whether that is its client's tenant's.
  [[nodiscard]] config::milliseconds statement_timeout() const noexcept;
  [[nodiscard]] bool limited_by_tenant() const noexcept;
  /// What it runs takes too long: it is cancelled, and the client told `reason`. `transaction`: it
  /// is the transaction that took too long.
  void cut_short(Refused reason, bool transaction);
  /// The client said this, and all of it went to the server.
  void note_said(Bytes bytes);
  /// All that the client said, where nothing of it has been answered; empty where that is not so.
  [[nodiscard]] Bytes unanswered() const noexcept {
    return relay_.unanswered ? Bytes(relay_.said) : Bytes();
  }
  /// The server ended the connection in the place of an answer: what it ran is rolled back.
  [[nodiscard]] bool undone() const noexcept { return undone_; }
  /// Since when it has its client.
  [[nodiscard]] Instant linked_since() const noexcept { return linked_since_; }
  void begin_cancel() noexcept { ++cancels_; }
  void end_cancel(bool certain);
  [[nodiscard]] std::uint32_t cancels() const noexcept { return cancels_; }
  [[nodiscard]] const std::string& cancel_key() const noexcept { return key_; }
  /// What its TLS keeps to; null: none.
  [[nodiscard]] const std::shared_ptr<const TlsContext>& tls() const noexcept { return tls_; }
  [[nodiscard]] bool dedicated() const noexcept { return dedicated_; }
  /// A reload may have taken away what it leads to.
  void reconsider() noexcept;
  [[nodiscard]] bool outdated() const noexcept { return outdated_; }
  /// Its database does not have its host any more: who is bound to it is let go.
  [[nodiscard]] bool removed() const noexcept { return removed_; }
  /// Its host has these addresses from now on.
  void host_moved(const std::vector<std::string>& addresses);
  /// Too old, or to be closed for another reason, when it is released.
  [[nodiscard]] bool worn(Instant now) const noexcept;
  /// Its host was given up since the link was opened: nothing that it says counts.
  [[nodiscard]] bool fenced() const noexcept {
    return gate_ != nullptr && gate_->fence.load(std::memory_order_acquire) != fence_seen_;
  }
  /// Its host is a standby that refused a write, where others may be had by now; or an operator
  /// wants nothing new there.
  [[nodiscard]] bool left_behind() const noexcept {
    if (gate_ != nullptr && gate_->shut.load(std::memory_order_acquire)) return true;
    return opened_at_ < pool_->standbys_until() && on_standby();
  }
  /// It is fenced: whoever has it is told that it is lost.
  void give_up();
  [[nodiscard]] Instant expires() const noexcept { return expires_; }
  /// When opening it began.
  [[nodiscard]] Instant opened() const noexcept { return opened_at_; }
  /// Pool::role_renamings() before it logged in.
  [[nodiscard]] std::uint32_t role_renamings() const noexcept { return role_renamings_; }
  /// For the console.
  [[nodiscard]] ServerFacts facts() const;

  void on_connected() override;
  void on_received(Bytes bytes) override;
  void on_writable() override;
  void on_secured() override;
  void on_end() override;
  void on_lost(const std::string& reason) override;

  boost::intrusive::list_member_hook<> engine_hook;

 private:
  void enter(Phase phase) noexcept;

  void follow_rule(config::PoolMode mode);
  void follow_effects(config::PoolMode mode) noexcept;
  void watch_fence(const PoolTarget& target, std::size_t host) noexcept;

  // Opening.
  void connect();
  bool take_place(std::shared_ptr<Quota> quota);
  bool count_in();
  void opening_received(Bytes bytes);
  bool handle(LinkLogin::Outcome outcome);
  void challenged(Bytes message);
  void on_ready();
  bool leave_standby();
  void in_use();
  void on_login_failed(LinkLogin::Failed failed);
  bool try_again(const LinkLogin::Failed& failed);
  bool try_next_host();
  void tell_first(LinkLogin::Failed& failed);
  [[nodiscard]] bool any_role() const noexcept { return client_ != nullptr && !dedicated_; }
  bool leave_unfit();
  void open_failed(Refused reason, bool lasting);
  [[nodiscard]] LinkLogin::Setup login_setup(const PoolTarget& target);
  void send_raw(std::string bytes);

  // In use.
  [[nodiscard]] bool has_catalog() const;
  void question_received(Bytes bytes);
  void drop_question();
  void fail_question(const std::string& why);
  void effects_unknown(const EffectsQuestion& question, const std::string& why);
  bool open_unasked(const std::string& why);
  std::size_t relay_received(Bytes bytes);
  void refused_write();
  void close_alike();
  [[nodiscard]] bool on_standby() const noexcept;
  [[nodiscard]] std::optional<std::size_t> take_goodbye(Bytes bytes);
  void after_relay();
  void tried(void (*tell)(ClientSession&, ServerLink&));
  void recovered();
  void recover_step();
  [[nodiscard]] bool query(Bytes text);
  bool put_query(Bytes text);
  void lost(const std::string& reason);
  void begin_watch();
  [[nodiscard]] LinkWatch::Facts watch_facts() const noexcept;
  [[nodiscard]] LinkWatch::Due due() noexcept;
  void watch_fired();
  static void on_timer(void* self);

  Engine* engine_;
  std::shared_ptr<Pool> pool_;
  std::unique_ptr<Stream> stream_;
  Parking parking_{*this};
  LinkRelayState relay_;
  Stash received_;
  Stash unsent_;
  Timer timer_{&ServerLink::on_timer, this};
  ClientSession* client_ = nullptr;
  std::unique_ptr<Opening> opening_;
  std::unique_ptr<EffectsQuestion> question_;  ///< opening, when logged in; asking
  std::shared_ptr<Quota> place_;
  std::shared_ptr<StatementLimit> tenant_place_;  ///< of who has left it, until it is free
  ParameterSetRef settings_before_;               ///< validating
  Endpoint host_;
  HostPlace host_place_;  ///< logged in
  Instant opened_at_{};
  Instant expires_ = kNever;
  LinkWatch watch_;
  Instant linked_since_{};
  Instant answer_until_ = kNever;           ///< the server, a cancel request
  config::milliseconds tenant_timeout_{0};  ///< linked: the client's tenant's; 0: none
  std::shared_ptr<const TlsContext> tls_;
  std::string key_;
  std::uint32_t cancels_ = 0;
  std::uint32_t role_renamings_ = 0;
  std::uint32_t generation_ = 0;  ///< of the target that it was opened for
  std::uint64_t drained_ = 0;     ///< bytes thrown away while recovering
  Phase phase_ = Phase::opening;
  bool dedicated_ = false;
  bool relayed_ = false;   ///< opening: the client answers the server's requests itself
  bool counted_ = false;   ///< by its pool, as open
  bool outdated_ = false;  ///< leads to where its pool does not lead any more
  bool removed_ = false;   ///< its host is not of its database any more
  bool moved_ = false;     ///< its host has another address now
  bool timed_ = false;     ///< linked: there are timeouts
  bool receiving_ = false;
  bool has_catalog_ = false;      ///< that can be asked
  bool follows_effects_ = false;  ///< follow_functions, where statements are followed
  bool cancelled_ = false;        ///< recovering: the statement's end was asked for
  Residue residue_;               ///< recovering: what is to be cleaned
  /// Of its host, in a cluster; and what it was when the link was opened.
  const Cluster::Gate* gate_ = nullptr;
  std::uint32_t fence_seen_ = 0;
  bool undone_ = false;
  bool ended_ = false;  ///< the server said that it will close the connection
};

}  // namespace forebay::core
