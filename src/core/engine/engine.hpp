#pragma once

#include <boost/intrusive/list.hpp>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/client/client_session.hpp"
#include "core/console/console.hpp"
#include "core/engine/buffer.hpp"
#include "core/engine/cancel_attempt.hpp"
#include "core/engine/conduit.hpp"
#include "core/engine/counters.hpp"
#include "core/engine/journal.hpp"
#include "core/engine/mail.hpp"
#include "core/engine/process_ids.hpp"
#include "core/engine/runtime.hpp"
#include "core/engine/shared.hpp"
#include "core/engine/timer_wheel.hpp"
#include "core/explain/explainer.hpp"
#include "core/listen/listen_hub.hpp"
#include "core/lookup/lookups.hpp"
#include "core/monitor/monitor.hpp"
#include "core/pool/reader_choice.hpp"
#include "core/server/server_link.hpp"
#include "forebay/core/io.hpp"

namespace forebay::core {

/// What one worker knows: its sessions, the links that live here, buffers and timers. Feeds events
/// in and does what sessions and links want done. Everything here is called by the worker's thread.
class Engine final : public Driven {
 public:
  struct Setup {
    WorkerId id;
    Io& io;
    Shared& shared;
    std::shared_ptr<const Runtime> runtime;
  };

  explicit Engine(Setup setup);
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;
  ~Engine();

  void begin_turn(Instant now) override;
  void end_turn() override;
  [[nodiscard]] Instant next_deadline() const override;
  void on_accepted(std::unique_ptr<Stream> stream, ListenerId listener) override;
  void on_accept_paused(const std::string& reason) override;
  void on_accept_resumed() override;

  /// Mail from another worker, or from the process's life cycle.
  void deliver(Mail mail);

  // ---- for sessions and links

  [[nodiscard]] WorkerId id() const noexcept { return id_; }
  [[nodiscard]] Instant now() const noexcept { return now_; }
  [[nodiscard]] Io& io() noexcept { return io_; }
  [[nodiscard]] Shared& shared() noexcept { return shared_; }
  [[nodiscard]] const Runtime& runtime() const noexcept { return *runtime_; }
  [[nodiscard]] const config::Config& config() const noexcept { return runtime_->config; }
  [[nodiscard]] BufferPool& buffers() noexcept { return buffers_; }
  [[nodiscard]] TimerWheel& timers() noexcept { return timers_; }
  [[nodiscard]] Counters& counters() noexcept { return counters_; }
  [[nodiscard]] Measures& measures() noexcept { return measures_; }
  [[nodiscard]] Explainer& explainer() {
    if (explainer_ == nullptr) explainer_ = std::make_unique<Explainer>(*this);
    return *explainer_;
  }
  [[nodiscard]] bool draining() const noexcept { return draining_; }
  /// Nothing is read from clients (SUSPEND in the console).
  [[nodiscard]] bool suspended() const noexcept { return suspended_; }
  void note(const Fact& fact) { shared_.journal.note(fact); }

  /// What this event sends; flushed before the event is over.
  [[nodiscard]] Conduit& to_client() noexcept { return to_client_; }
  [[nodiscard]] Conduit& to_server() noexcept { return to_server_; }
  /// Rules for pools that share their links between transactions, and for those that do not.
  [[nodiscard]] const RelayRules& rules(config::PoolMode mode) const noexcept {
    switch (mode) {
      case config::PoolMode::session:
        return session_rules_;
      case config::PoolMode::statement:
        return statement_rules_;
      default:
        return sharing_rules_;
    }
  }

  /// Asks for a link: gives one that may be used at once, or null, and the session waits: it is
  /// told by take_link, wait_again or wait_failed.
  ServerLink* acquire(ClientSession& session);
  /// The pool of the replica that is to serve a read which must see that. Null: the primary is to.
  /// `behind`: there are replicas that it could read from if they were known to have it.
  std::shared_ptr<Pool> choose_reader(Pool& primary, Visible visible, bool& behind);
  /// The session is told when this turn is over (turn_over), and when more is known of the
  /// cluster's replicas (replicas_seen), which are asked then. It does not wait any longer than
  /// `until`. `again`: it was not told yet since it called last.
  void await_replicas(const std::shared_ptr<Cluster>& cluster, SessionKey session, bool again,
                      Instant until);
  /// Replicas refuse statements of that shape, though they look like reads.
  void refuse_read(std::uint64_t pool, Route route) { reader_.refused.add(pool, route); }
  [[nodiscard]] bool refuses_read(std::uint64_t pool, Route route) const {
    return reader_.refused.holds(pool, route);
  }
  /// What is known of a text; holds until the next one is asked for.
  const sql::Facts& facts(Bytes text, sql::Shape& shape) {
    return reader_.cache.facts(text, sql::StandardStrings::on, shape);
  }
  /// What rules want logged of the turn at hand.
  [[nodiscard]] std::vector<std::string>& rule_log() noexcept { return reader_.rule_log; }
  /// Opens a link for the login of a session (auth = "server") or for it alone (`dedicated`).
  void open_for(ClientSession& session, bool relayed, bool dedicated);
  /// No server could be asked who it is: that is tried again soon.
  void retry_login(ClientSession& session);
  /// A link that was opened for a relayed login has logged in, or failed.
  void leave_login(const std::shared_ptr<Pool>& pool);
  /// A link is free, clean and belongs to nobody: parked, given to the oldest waiter, or closed.
  void release(ServerLink& link);
  /// A link has closed and is nobody's any more.
  void link_closed(ServerLink& link);
  /// A link that was open is gone: its pool counts one less, and whoever waits may open another.
  void count_out(Pool& pool, bool leaving);
  void tell(const std::vector<SessionKey>& sessions, const Refused& reason);
  /// The monitor knows which tables have the tenants' column, or that it cannot know.
  void tell_all_tables_known(const std::shared_ptr<CatalogEpoch>& catalog);
  /// The monitor has a new primary, or none, or has fenced a host.
  void tell_all_cluster_changed(const std::shared_ptr<Cluster>& cluster);
  /// The monitor knows more of what replicas have, or who waits for that has waited long enough.
  void tell_all_replicas_seen(const std::shared_ptr<Cluster>& cluster);
  /// Something speaks against the role or the health of a host of this pool.
  void suspect(const Pool& pool);
  /// A statement is being sent to this target's servers (`asked`) that wants nobody to be in
  /// `database`; or was, and a client has left that.
  void vacate(const PoolTarget& target, const std::string& database, bool asked);
  /// These names are other roles', or nobody's, on this target's servers: nothing that has logged
  /// in by them is for anybody who is to come.
  void roles_renamed(const PoolTarget& target, const std::vector<std::string>& roles);
  void session_closed(ClientSession& session);
  /// Asks the server to cancel what the link runs. `requester` may be null.
  void cancel(ServerLink& link, std::unique_ptr<Stream> requester);
  void cancel_ended(CancelAttempt& attempt);
  /// A cancel request that came in; true when the stream was taken.
  void on_cancel_request(std::uint32_t process_id, std::string key,
                         std::unique_ptr<Stream> requester);
  /// A client signals the session of this process id, if there is one.
  void signal(const mail::Signalled& order);
  /// Our own process id of a session, by which clients know it unless it has that of its server
  /// connection: positive, the same for its whole life, and for a while not that of another one
  /// after it.
  [[nodiscard]] std::uint32_t process_id(SessionKey key) const noexcept;
  void open_links(const std::shared_ptr<Pool>& pool, std::uint32_t count);
  /// A limit shared with other pools keeps `pool` from opening: makes one of them give up a link.
  void make_room(const Quota& quota, Pool& pool);
  /// A place below these limits is free: pools that wait for one may open.
  void feed_starved(Pool& pool);
  void feed_starved(Quota& quota);
  /// A place of this limit is free: who waits for it gets it.
  void leave_limit(const std::shared_ptr<StatementLimit>& limit);
  /// It may have more room than before.
  void admit_more(const std::shared_ptr<StatementLimit>& limit);
  [[nodiscard]] double random_fraction();

  // ---- what operators order of tenants

  /// Null: nothing. Holds until the next is asked for.
  [[nodiscard]] const TenantOrders* orders_of(std::string_view tenant) {
    return tenant_orders_.of(tenant);
  }
  [[nodiscard]] const config::TenantLimits* ordered_limits(std::string_view tenant) {
    const TenantOrders* orders = orders_of(tenant);
    return orders == nullptr || !orders->limit ? nullptr : &orders->limits;
  }
  /// False: for too many something is ordered. Sessions follow upon Order::Kind::tenant.
  bool change_orders(const std::string& tenant, const TenantOrderBook::Change& change);

  // ---- for the console

  void open_console(Consoles::Setup setup);
  void console_closed(Console& console);
  /// A pool goes on: its waiters are served.
  void resume(const std::shared_ptr<Pool>& pool);

  /// Shows every link that lives here.
  template <class Look>
  void each_link(Look look) {
    for (ServerLink& link : links_) look(link);
  }

 private:
  using SessionList = boost::intrusive::list<
      ClientSession,
      boost::intrusive::member_hook<ClientSession, boost::intrusive::list_member_hook<>,
                                    &ClientSession::engine_hook>>;
  using LinkList = boost::intrusive::list<
      ServerLink, boost::intrusive::member_hook<ServerLink, boost::intrusive::list_member_hook<>,
                                                &ServerLink::engine_hook>>;
  struct Slot {
    ClientSession* session = nullptr;
    std::uint32_t generation = 0;
  };
  /// Logins by way of a server, for one pool: so many at a time.
  struct LoginGate {
    std::uint32_t open = 0;
    std::deque<SessionKey> waiting;
    Instant shut_until{};  ///< nobody is asked before
    [[nodiscard]] bool idle() const noexcept { return open == 0 && waiting.empty(); }
  };

  ClientSession* find(SessionKey key) noexcept;
  /// Sends a cancel request on to the process that its client is connected to.
  void forward_cancel(const Endpoint& process, std::uint32_t process_id, const std::string& key,
                      std::unique_ptr<Stream> requester);
  /// It is for nobody here.
  void hand_back_cancel(std::uint32_t process_id, const std::string& key,
                        std::unique_ptr<Stream> requester);
  void hand_over(ServerLink& link, ClientSession& session);
  ServerLink& adopt(std::unique_ptr<ServerLink> link);
  std::unique_ptr<ServerLink> send_away(ServerLink& link);

  void receive(mail::LinkGiven& given);
  void receive(mail::SummonLink& summon);
  void receive(mail::SummonFailed& failed);
  void receive(mail::CloseLink& close);
  void receive(mail::WaitFailed& failed);
  void receive(mail::Admitted& admitted);
  void receive(mail::Cancel& cancel);
  void receive(mail::Signalled& order);
  void receive(mail::ClusterChanged& changed);
  void receive(mail::AskHosts& ask);
  void receive(mail::AskTables& ask);
  void receive(mail::TablesKnown& known);
  void receive(mail::ReadsCame& came);
  void receive(mail::AwaitReplicas& await);
  void receive(mail::ReplicasSeen& seen);
  void receive(mail::LookUp& wanted);
  void receive(mail::LookedUp& told);
  void receive(mail::Ordered& ordered);
  void receive(mail::Reported& reported);
  void receive(mail::Answered& answered);
  void receive(mail::ListenAsked& asked);
  void receive(mail::ListenAnswered& answered);
  void receive(mail::ListenLeft& left);
  void receive(mail::Notified& notified);
  void receive(mail::ListeningRestored& restored);
  void receive(mail::Drain& drain);
  void receive(mail::Reload& reload);
  void receive(mail::HostMoved& moved);
  void receive(mail::Stop& stop);

  void report(WorkerReport& report);
  void free_links(const std::string& database);
  void kill(const std::string& database);
  bool kill_client(std::uint32_t id);
  void follow_orders(const std::string& tenant);
  void end_orders();
  std::size_t follow_suspension();
  Console* find_console(std::uint64_t number);

  void tick();
  void look_after_links();
  void serve_waiters(Pool& pool);
  void follow_host_orders(const std::vector<std::shared_ptr<Cluster>>& clusters);
  void end_host_orders();
  void leave_shut(Pool& reader);
  static void on_tick(void* self);
  void bury_lost(ServerLink& link);
  void start_login(const std::shared_ptr<Pool>& pool, LoginGate& gate);
  void look_soon();

  const WorkerId id_;
  Io& io_;
  Shared& shared_;
  std::shared_ptr<const Runtime> runtime_;
  StatementReader reader_;
  Measures& measures_;
  RelayRules sharing_rules_;
  RelayRules statement_rules_;
  RelayRules session_rules_;

  Instant now_{};
  BufferPool buffers_;
  TimerWheel timers_;
  Conduit to_client_;
  Conduit to_server_;
  Counters& counters_;

  ProcessIds process_ids_;
  std::vector<Slot> slots_;
  std::vector<std::uint32_t> free_slots_;
  /// Of new slots: what another process, or the one before, has told its clients says nothing here.
  std::uint32_t first_generation_ = 0;
  SessionList sessions_;
  LinkList links_;
  std::vector<std::unique_ptr<CancelAttempt>> cancels_;
  std::vector<std::unique_ptr<Console>> consoles_;
  std::map<std::shared_ptr<Pool>, LoginGate> gates_;

  // Gone, but perhaps still on the call stack: freed at the end of the turn.
  std::vector<std::unique_ptr<ClientSession>> dead_sessions_;
  std::vector<std::unique_ptr<ServerLink>> dead_links_;
  std::vector<std::unique_ptr<CancelAttempt>> dead_cancels_;
  std::vector<std::unique_ptr<Console>> dead_consoles_;

  std::unique_ptr<Monitor> monitor_;      ///< on the first worker only
  std::unique_ptr<Lookups> lookups_;      ///< there, too
  std::unique_ptr<ListenHubs> hubs_;      ///< there, too
  std::unique_ptr<Explainer> explainer_;  ///< null: no plan was wanted yet
  Timer tick_timer_{&Engine::on_tick, this};
  TenantOrdersReader tenant_orders_;
  Instant next_look_{};
  std::vector<std::shared_ptr<Pool>> pools_;
  std::uint64_t pools_version_ = 0;
  std::vector<mail::WaitFailed> hopeless_;  ///< to be told at the end of the turn
  /// Views of the clusters that are read from; clusters stay as long as the process.
  std::unordered_map<const Cluster*, ClusterReader> clusters_;
  /// Whose reads wait for replicas of a cluster; some of them may wait no more.
  struct AwaitingReads {
    std::vector<SessionKey> sessions;  ///< each once
    Instant until{};
    bool told = false;  ///< ReadsCame is on its way
  };
  std::unordered_map<const Cluster*, AwaitingReads> awaiting_reads_;
  std::uint32_t reader_turn_ = 0;  ///< where the choice of a replica begins
  bool waiting_ = false;           ///< some session of ours began to wait since the last tick
  bool draining_ = false;
  bool suspended_ = false;
  bool stopped_ = false;
};

}  // namespace forebay::core
