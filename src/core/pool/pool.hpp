#pragma once

#include <atomic>
#include <boost/intrusive/list.hpp>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/pool/cluster.hpp"
#include "core/pool/fair_queue.hpp"
#include "core/pool/quota.hpp"
#include "core/pool/ticket.hpp"
#include "core/refused.hpp"
#include "core/relay/parameter_set.hpp"
#include "core/relay/relay_state.hpp"
#include "core/statistics/pool_statistics.hpp"
#include "forebay/auth/user_secrets.hpp"
#include "forebay/base/endpoint.hpp"
#include "forebay/base/time.hpp"
#include "forebay/config/config.hpp"
#include "forebay/routing/cluster/balance.hpp"

namespace forebay::core {

class ServerLink;

/// A place in a pool's list of parked links. Guarded by the pool's mutex.
struct Parking {
  explicit Parking(ServerLink& the_link) noexcept : link(the_link) {}
  ServerLink& link;
  boost::intrusive::list_member_hook<> hook;
  WorkerId home;         ///< the worker that the link lives on
  Instant since{};       ///< when it was parked
  bool leaving = false;  ///< released for closing, which counts already
};

/// Which pool: as the client knows it, and the login towards the server.
struct PoolKey {
  std::string database;  ///< the client's name for it
  std::string user;      ///< the server's name for the role
  /// 0: the pool that clients are of. n: its links to the database's host n-1 alone, for reads.
  std::uint32_t reader = 0;
  /// The reader of what is no pool: of all that a database had and that nobody knows any more.
  static constexpr std::uint32_t kGone = ~std::uint32_t{0};
  auto operator<=>(const PoolKey&) const = default;
};

/// What a reload replaced, kept until every worker has been told: within the turn in which that
/// happens nobody looks at it any more.
using Replaced = std::vector<std::shared_ptr<const void>>;

/// Where the links of a pool lead. Immutable.
struct PoolTarget {
  std::vector<Endpoint> hosts;  ///< of one cluster, in order of preference
  std::string database;         ///< the server's name for it
  config::TlsMode tls_mode = config::TlsMode::prefer;
  std::shared_ptr<const TlsContext> tls;  ///< null for TlsMode::disable
  std::shared_ptr<Cluster> cluster;       ///< of these hosts; null where there is only one
  /// Of a reader, which has one host: the cluster that this is a host of, and which.
  std::shared_ptr<Cluster> read_cluster = nullptr;
  std::size_t read_host = 0;
  std::uint32_t read_weight = 1;  ///< of a reader: its share among the readers of its pool
  bool read_near = false;         ///< of a reader: in our own zone
  bool monitored = false;         ///< the hosts of `cluster` are asked, as soon as that can be done
  bool tenant_tables = false;     ///< which tables have the tenants' column is to be known
  /// Who asks the hosts for their roles; nobody: as the pool logs in.
  std::string monitor_user;
  std::optional<auth::Credential> monitor_credential;
  config::TlsSettings tls_settings = {};  ///< what `tls` was made of
  /// Links that were opened in another one are not used any more once they are free.
  std::uint32_t generation = 0;

  /// The cluster whose host `hosts[host]` is; null for none.
  [[nodiscard]] const std::shared_ptr<Cluster>& member_of() const noexcept {
    return cluster != nullptr ? cluster : read_cluster;
  }
  [[nodiscard]] std::size_t member(std::size_t host) const noexcept {
    return cluster != nullptr ? host : read_host;
  }
};

/// All links of one (database, user): accounts for them and decides who gets which. No I/O; one
/// mutex, held for some tens of nanoseconds; used by every worker.
///
/// Waiters are served in order (tenants by turns; `FairQueue` says who may overtake whom), and
/// nobody waits while a link is idle.
/// A link is in one of these places: *opening* (`acquire` and `plan` told somebody to open it),
/// *parked* here, or *out* with a client. Everything counted by `total` is one of the three.
class Pool : public std::enable_shared_from_this<Pool> {
 public:
  struct Setup {
    PoolKey key;
    PoolTarget target;
    config::PoolSettings settings;
    std::uint32_t max_connecting = 8;
    config::milliseconds unavailable_timeout{10'000};
    std::vector<std::shared_ptr<Quota>> quotas;
    std::vector<std::shared_ptr<Quota>> host_quotas = {};  ///< of each host; or empty
    std::size_t workers = 1;
    std::uint64_t serial = 0;  ///< unique in the process, not 0; a reader has that of its primary
    /// With split_reads: a pool for each host, to read from.
    std::vector<std::shared_ptr<Pool>> readers;
    std::shared_ptr<CatalogEpoch> catalog = std::make_shared<CatalogEpoch>();
    std::shared_ptr<PoolStatistics> statistics = nullptr;  ///< null: its own
    bool paused = false;
    /// What to log in with. Nothing: not known until a client has shown it.
    std::optional<auth::Credential> credential;
  };

  explicit Pool(Setup setup);
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;
  ~Pool();

  [[nodiscard]] const PoolKey& key() const noexcept { return key_; }
  [[nodiscard]] std::uint64_t serial() const noexcept { return serial_; }
  /// Shared with the other pools of the same database.
  [[nodiscard]] CatalogEpoch& catalog() const noexcept { return *catalog_; }
  [[nodiscard]] const std::shared_ptr<CatalogEpoch>& shared_catalog() const noexcept {
    return catalog_;
  }
  /// Statements wait until it is known which tables have the tenants' column.
  [[nodiscard]] bool awaits_tables() const noexcept {
    return terms().target.tenant_tables && !catalog_->tables.fresh(catalog_->now()) &&
           !catalog_->tables.failing();
  }
  /// Whether some client has ever asked for currval or lastval.
  [[nodiscard]] std::atomic<bool>& sequences_asked() noexcept { return sequences_asked_; }
  [[nodiscard]] PoolStatistics& statistics() const noexcept { return *statistics_; }
  // These may be replaced by a reload; what they give holds until the end of the turn.
  [[nodiscard]] const PoolTarget& target() const noexcept { return terms().target; }
  [[nodiscard]] const config::PoolSettings& settings() const noexcept { return terms().settings; }
  /// By host; empty where reads are not split. What fails in a reader, the primary does.
  [[nodiscard]] const std::vector<std::shared_ptr<Pool>>& readers() const noexcept {
    return terms().readers;
  }
  /// All of one configuration: what two of the above give may be of two.
  struct Reading {
    const PoolTarget& target;
    const config::PoolSettings& settings;
    const std::vector<std::shared_ptr<Pool>>& readers;
  };
  [[nodiscard]] Reading reading() const noexcept {
    const Terms& now = terms();
    return {now.target, now.settings, now.readers};
  }
  [[nodiscard]] bool is_reader() const noexcept { return key_.reader > 0; }
  [[nodiscard]] const std::vector<std::shared_ptr<Quota>>& quotas() const noexcept {
    return terms().quotas;
  }

  /// What limits links to a host of the target; null for nothing.
  [[nodiscard]] std::shared_ptr<Quota> host_quota(std::size_t host) const {
    const auto& all = terms().host_quotas;
    return host < all.size() ? all[host] : nullptr;
  }
  /// A link that was to be opened for its waiters found no place there.
  void starved_by(Quota& quota);

  // ---- reload

  /// From now on everything but key, serial and catalog is as in `setup`. Links that lead elsewhere
  /// are for their workers to close.
  void replace(Setup setup, Replaced& replaced);
  /// No entry of the configuration stands for this pool any more: who is in it may finish.
  void give_up(Replaced& replaced);

  // ---- who gets which

  struct Acquired {
    enum class Kind : std::uint8_t {
      here,       ///< `link` lives on the caller's worker and is out with the caller now
      elsewhere,  ///< `link` was taken off its worker `home`, which must be asked to send it
      wait,       ///< the ticket is in the queue
      hopeless,   ///< nobody can open a link and none exists: a client has to log in anew
    };
    Kind kind = Kind::wait;
    ServerLink* link = nullptr;
    WorkerId home;
    std::uint32_t open = 0;   ///< the caller must begin to open so many links
    bool no_primary = false;  ///< for wait: the hosts have none
    /// A limit that other pools share forbids to open: one of their parked links may go.
    std::shared_ptr<Quota> starved_by;
  };
  Acquired acquire(Ticket& ticket, Instant now);

  /// Leaves the queue. False when the ticket was served meanwhile: a link is on its way.
  bool withdraw(Ticket& ticket);
  /// Whether it is in the queue.
  [[nodiscard]] bool waits(const Ticket& ticket) const;

  struct Released {
    enum class Kind : std::uint8_t { parked, give, close } kind;
    SessionKey to;  ///< for give: the oldest waiter, now served
  };
  /// A link that is out, or just opened, is free on worker `here`. `worn` links are only closed.
  /// For close, `closed` must follow.
  Released release(ServerLink& link, WorkerId here, Instant now, bool worn);

  /// Takes a parked link out, to be closed: `closed` must follow. False when it was taken already:
  /// whoever took it will ask for it.
  bool retire(ServerLink& link);
  /// Since when that of its parked links is idle which is idle for longest, of those that `quota`
  /// counts; kNever for none.
  [[nodiscard]] Instant idle_since(const Quota& quota) const;
  /// Takes that link out, for the sake of another pool. Null when there is none.
  ServerLink* retire_idle(const Quota& quota, WorkerId& home);

  // ---- where the hosts are a cluster

  /// A link that is parked at `here` and was kept from waiters while there was no primary; null
  /// when there is none, or nobody waits. It is out: `release` must follow.
  ServerLink* take_for_waiter(WorkerId here, Instant now);
  /// Waiters for whom there has been no primary for so long: to be told.
  std::vector<SessionKey> overdue(Instant now, Duration hold);
  /// The hosts have no primary, and not for so long yet that nobody waits for one any more.
  [[nodiscard]] bool expects_primary(Instant now, Duration hold);
  /// Statements wait because the hosts have no primary, and not for any other reason.
  [[nodiscard]] bool holds(Instant now);
  /// Where links are opened: the primary where that is known, else where one was opened last.
  [[nodiscard]] std::size_t opening_host(Instant now);
  /// Where a link goes on that `host` did not serve; nothing: nowhere. While the cluster is watched
  /// that is the primary, if it is another host by now. `any_role`: a standby does as well.
  [[nodiscard]] std::optional<std::size_t> next_host(std::size_t host, bool any_role, Instant now);
  /// The monitor is to say who is the primary, and was not asked yet, or has no answer yet.
  [[nodiscard]] bool awaits_monitor();
  enum class Fit : std::uint8_t {
    good,
    no_primary,  ///< and the cluster is watched: statements go elsewhere
    barred,      ///< nothing counts that it says, or an operator wants nothing there
  };
  /// Whether a link to this host may be the pool's.
  [[nodiscard]] Fit fit(const Endpoint& host);
  /// There is another primary: what failed with the one before means nothing.
  void forget_failures(Instant now);
  /// Roles are known from the monitor, or about to be: a login need not find the primary, and must
  /// not settle for a standby.
  [[nodiscard]] bool watched();
  enum class ReaderShut : std::uint8_t {
    no,
    ordered,  ///< an operator has drained or banned its host
    down,     ///< that does not answer
  };
  /// Of a reader that is shut: who waits, to be told; and why.
  std::vector<SessionKey> leave_host(ReaderShut& why);
  /// A standby refused a write, and nobody watches: its name or address may lead to the primary by
  /// now, so that links to standbys are left; not more often than once a second.
  void standby_refused(Instant now);
  /// Those that were opened before. Any thread, no lock.
  [[nodiscard]] Instant standbys_until() const noexcept {
    return standbys_until_.load(std::memory_order_relaxed);
  }

  // ---- what operators ask for

  /// No link is given or opened until `resume`; whoever wants one waits. Free links are closed,
  /// unless only a client's login could open them again.
  void pause();
  struct Served {
    ServerLink* link;  ///< parked on `home`, taken out for `session`
    WorkerId home;
    SessionKey session;
  };
  /// Goes on. Those that a parked link serves at once; `plan` opens links for the others.
  std::vector<Served> resume();
  [[nodiscard]] bool paused() const;
  /// Nobody is to be in the database, not even we: it is paused, or was vacated a moment ago.
  [[nodiscard]] bool to_be_empty(Instant now) const;
  /// Links that were opened before `now` are to be closed when they are free.
  void reconnect(Instant now);
  /// The same, for the sake of somebody who wants nobody to be in the database: it is not filled
  /// up to the minimum again for a while.
  void vacate(Instant now);
  /// Until then that is to happen as soon as no client is in the database. Any thread, no lock.
  void want_empty(Instant until) noexcept {
    wanted_empty_until_.store(until, std::memory_order_relaxed);
  }
  [[nodiscard]] bool wanted_empty(Instant now) const noexcept {
    return now < wanted_empty_until_.load(std::memory_order_relaxed);
  }
  struct Retired {
    ServerLink* link;  ///< was parked on `home`, and is out, to be closed there
    WorkerId home;
  };
  /// The role's name is another role's by now, or nobody's: no link from before serves anybody who
  /// is to come, and what is known of its logins does not hold.
  std::vector<Retired> role_renamed();
  /// How often that has happened. Any thread, no lock.
  [[nodiscard]] std::uint32_t role_renamings() const noexcept {
    return role_renamings_.load(std::memory_order_relaxed);
  }
  /// `link` is to be closed when it is free.
  [[nodiscard]] bool unwanted(const ServerLink& link) const;

  // ---- how many there are

  /// How many links are to be opened now, for waiters and (`refill`) for the minimum; already
  /// counted as opening.
  /// `starved_by` as in Acquired.
  std::uint32_t plan(Instant now, bool refill, std::shared_ptr<Quota>* starved_by = nullptr);
  /// Counts one link that is opened for the sake of a login (auth = "server"). False at the limit.
  bool reserve_login();
  /// Counts one connection for a question of our own, as one that is out; `closed` must follow.
  /// False where that would be the last that a client could have, or somebody waits.
  bool reserve_spare();
  /// An opening link is ready: it counts as out, `release` follows.
  void opened(Instant now);
  /// An opening link failed. `lasting`: trying again would not help (no such database, wrong
  /// password). Gives the waiters that must be told, with the reason; none while there is hope.
  std::vector<SessionKey> open_failed(Instant now, const Refused& reason, bool lasting,
                                      double jitter);
  /// A client could not prove who it is, which says nothing about the server. Gives the waiters
  /// that must be told: nobody else opens anything.
  std::vector<SessionKey> login_failed(const Refused& reason);
  /// An opening link is not wanted any more.
  void open_abandoned();
  /// A link that was out, retired or released for closing is gone. Gives the waiters that must be
  /// told, because nobody but a new login can open another one. `leaving`: Parking::leaving.
  std::vector<SessionKey> closed(bool leaving = false);

  /// Links that are out or being opened, and who waits: how busy it is. Any thread, no lock.
  [[nodiscard]] std::uint32_t in_flight() const noexcept {
    return in_flight_.load(std::memory_order_relaxed);
  }
  /// Of a reader: how long its host takes. Any thread, no lock.
  [[nodiscard]] routing::Latency& latency() noexcept { return latency_; }
  [[nodiscard]] const routing::Latency& latency() const noexcept { return latency_; }
  /// Of a reader: its host was beyond a limit of lag when it was last looked at. Any thread, no
  /// lock.
  [[nodiscard]] bool late() const noexcept { return late_.load(std::memory_order_relaxed); }
  void note_late(bool late) noexcept { late_.store(late, std::memory_order_relaxed); }
  /// Until when it is of no use, after a login that failed. Any thread, no lock.
  [[nodiscard]] Instant shunned_until() const noexcept {
    return shunned_until_.load(std::memory_order_relaxed);
  }

  /// Why nothing can be opened at present; nothing when that is not known to be so.
  [[nodiscard]] std::optional<Refused> unavailable(Instant now) const;

  /// The server, not the pool, has no room for the next link: it said so when last asked.
  [[nodiscard]] bool server_full() const;

  // ---- what was learned

  /// Something is known to ask the hosts with.
  [[nodiscard]] bool has_login() const;
  [[nodiscard]] std::optional<auth::Credential> credential() const;
  /// From a client's login; what the configuration says stays.
  void learn_credential(auth::Credential credential);
  /// The keys of a SCRAM login: remembered, or derived now (1.5 ms) and remembered.
  auth::ScramKeys scram_keys(const auth::Password& password, const auth::KeyRequest& request);
  /// What servers say about themselves at login; null before the first.
  [[nodiscard]] WelcomeRef welcome() const;
  /// Gives the shared object for equal content, and remembers it for clients to come. A reader's
  /// servers are taken for what its primary is, as far as clients are concerned.
  WelcomeRef learn_welcome(Welcome welcome);
  /// Of a connection whose client gave the server start values of its own: nobody else's.
  [[nodiscard]] static WelcomeRef alone(Welcome welcome);

  /// What a client that starts with these settings is told, beyond the welcome, once a server has
  /// accepted them.
  using Reported = std::vector<std::pair<std::string, std::string>>;
  [[nodiscard]] std::optional<Reported> accepted(const ParameterSetRef& settings) const;
  void learn_accepted(ParameterSetRef settings, Reported reported);

  /// With auth = "server": until when clients are known to need no password.
  [[nodiscard]] Instant trusted_until() const;
  void learn_trusted(Instant until);

  /// Which host answered last: where to begin.
  [[nodiscard]] std::size_t preferred_host() const;
  void prefer_host(std::size_t index);
  /// A host is a standby, or not there: logins begin with another for a while. False when no host
  /// is left to begin with: this one is as good as any.
  bool avoid_host(std::size_t index, Instant now);

  struct Counts {
    std::uint32_t total = 0;
    std::uint32_t opening = 0;
    std::uint32_t parked = 0;
    std::uint32_t waiting = 0;
    std::uint32_t clients = 0;
    bool reopens = false;  ///< no client is needed to open a link
    Instant oldest_wait = kNever;
  };
  [[nodiscard]] Counts counts() const;

  /// How many links there are beyond what a lowered limit allows that counts `link`.
  [[nodiscard]] std::uint32_t excess(const ServerLink& link) const;
  /// Says whose reader it is. Before anybody uses it.
  void read_for(const std::shared_ptr<Pool>& primary) { primary_ = primary; }

  void client_came();
  void client_went();

 private:
  using ParkedList = boost::intrusive::list<
      Parking,
      boost::intrusive::member_hook<Parking, boost::intrusive::list_member_hook<>, &Parking::hook>>;

  /// What the configuration says. Immutable.
  struct Terms {
    PoolTarget target;
    config::PoolSettings settings;
    std::uint32_t max_connecting;
    config::milliseconds unavailable_timeout;
    std::vector<std::shared_ptr<Quota>> quotas;
    std::vector<std::shared_ptr<Quota>> host_quotas;
    std::vector<std::shared_ptr<Pool>> readers;
  };
  static std::shared_ptr<const Terms> terms_of(Setup& setup);
  [[nodiscard]] const Terms& terms() const noexcept {
    return *current_.load(std::memory_order_acquire);
  }

  // All of these need the mutex.
  [[nodiscard]] std::uint32_t excess_locked(const ServerLink& link) const;
  [[nodiscard]] std::uint32_t size_now(Instant now) const noexcept;
  Released leave(ServerLink& link);
  void set_terms(std::shared_ptr<const Terms> terms, Replaced& replaced);
  void forget_servers(const PoolTarget& before, const PoolTarget& after);
  std::uint32_t plan_locked(Instant now, bool refill, std::shared_ptr<Quota>* starved_by);
  bool reserve_quotas(bool for_waiter, std::shared_ptr<Quota>* starved_by);
  [[nodiscard]] Quota::Needy needy(Instant since) const;
  void starve(const std::shared_ptr<Quota>& quota, std::shared_ptr<Quota>* starved_by);
  [[nodiscard]] bool claimed(const ServerLink& link, bool has_waiter, Instant now) const;
  [[nodiscard]] Parking* longest_idle(const Quota& quota) const;
  [[nodiscard]] std::size_t opening_host_locked(Instant now);
  [[nodiscard]] bool barred(std::size_t host);
  [[nodiscard]] ReaderShut reader_shut();
  std::vector<SessionKey> dismiss_waiters();
  void release_quotas();
  void note_in_flight() noexcept;
  ParkedList* choose(WorkerId here);
  bool has_primary(Instant now);
  [[nodiscard]] bool has_login_locked() const noexcept {
    return terms_->target.monitor_credential.has_value() || credential_.has_value();
  }
  [[nodiscard]] bool awaits(const Cluster::View& view) const;
  [[nodiscard]] bool in_charge(const Cluster::View& view) const;
  bool serves(Instant now) { return !awaits_tables() && has_primary(now); }
  void forget_failures_locked(Instant now) noexcept;
  [[nodiscard]] bool unavailable_for_long(Instant now) const noexcept;
  [[nodiscard]] bool unwanted_locked(const ServerLink& link) const;
  [[nodiscard]] bool can_open() const noexcept { return credential_.has_value(); }
  [[nodiscard]] std::uint32_t established() const noexcept { return total_ - opening_; }

  const PoolKey key_;
  const std::uint64_t serial_;
  const std::shared_ptr<CatalogEpoch> catalog_;
  const std::shared_ptr<PoolStatistics> statistics_;
  std::weak_ptr<Pool> primary_;  ///< of a reader
  std::atomic<std::uint32_t> in_flight_{0};
  routing::Latency latency_;
  std::atomic<bool> late_{false};
  std::atomic<bool> sequences_asked_{false};
  std::atomic<std::uint32_t> role_renamings_{0};
  std::atomic<Instant> shunned_until_{Instant{}};
  std::atomic<Instant> wanted_empty_until_{Instant{}};
  std::atomic<Instant> standbys_until_{Instant::min()};

  mutable std::mutex mutex_;
  std::shared_ptr<const Terms> terms_;
  std::atomic<const Terms*> current_;  ///< terms_, for those who do not hold the mutex
  std::vector<ParkedList> parked_;     ///< for each worker, used last first
  FairQueue waiters_;
  std::uint32_t total_ = 0;
  std::uint32_t leaving_ = 0;  ///< of which: released for closing
  std::uint32_t opening_ = 0;
  std::uint32_t clients_ = 0;

  std::uint32_t failures_ = 0;  ///< in a row
  Instant next_open_{};
  Instant unavailable_since_ = kNever;
  Refused last_refusal_;
  bool last_lasting_ = false;

  std::optional<auth::Credential> credential_;
  bool learned_ = false;  ///< credential_ comes from a client's login
  WelcomeRef welcome_;
  std::unordered_map<const ParameterSet*, std::pair<ParameterSetRef, Reported>> accepted_;
  auth::ScramKeyCache keys_;
  bool paused_ = false;
  Instant opened_since_{};  ///< links from before are closed
  Instant refill_from_{};   ///< not to the minimum before
  Instant trusted_until_{};
  ClusterReader hosts_;
  std::size_t preferred_host_ = 0;
  std::vector<Instant> avoided_until_;  ///< for each host
};

}  // namespace forebay::core
