#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "forebay/base/time.hpp"
#include "forebay/routing/cluster/host_order.hpp"
#include "forebay/routing/cluster/patroni.hpp"

/// The hosts of one cluster: what each said of itself, and what follows for where statements may
/// go. Pure: moments are arguments, hosts are indices into the configured list.
namespace forebay::routing {

enum class Role : std::uint8_t { unknown, primary, replica };
[[nodiscard]] std::string_view to_string(Role role) noexcept;

/// A position in the log.
using Lsn = std::uint64_t;
/// As PostgreSQL writes it: "0/16B3748". Nothing where it is not one.
[[nodiscard]] std::optional<Lsn> parse_lsn(std::string_view text) noexcept;
[[nodiscard]] std::string lsn_to_string(Lsn lsn);
/// An insert position behind a page that has just been filled skips the next page's header, which
/// no replica reaches before more is written. Gives the position that they do reach.
[[nodiscard]] Lsn normalized(Lsn insert_lsn, std::uint64_t segment_bytes) noexcept;

/// What a host said of itself.
struct HostSample {
  Instant asked{};  ///< when the question was sent: the answer is not older
  Role role = Role::unknown;
  std::uint64_t system_identifier = 0;
  std::uint64_t started = 0;  ///< when the server was, in microseconds; 0: not known
  std::uint32_t timeline = 0;
  Lsn lsn = 0;         ///< a primary's write position; what a replica has replayed
  Lsn insert_lsn = 0;  ///< of a primary: covers every commit acknowledged before `asked`
  Lsn received = 0;    ///< of a replica
  /// Of a replica: it receives from a timeline that it does not tell us, and `timeline` may be
  /// late.
  bool timeline_hidden = false;
  bool operator==(const HostSample&) const = default;
};

/// Why a host may not be read from, or written to.
enum class Why : std::uint8_t {
  nothing,          ///< it may
  no_sample,        ///< it has never answered
  down,             ///< the last question failed
  silent,           ///< its last answer is older than the lease
  refuses,          ///< it lives, but does not say what it is
  other_system,     ///< another system identifier: not of this cluster
  fenced,           ///< a primary on an older timeline
  two_primaries,    ///< another one on the same timeline
  other_leads,      ///< likewise, and that one is Patroni's leader
  mixed,            ///< hosts are of different clusters, as many of each
  same_server,      ///< another host of the list leads to the primary, too
  asking,           ///< others have not answered yet, nor failed: one may be on a newer timeline
  leaving,          ///< the primary, until a switchover ends it
  replica,          ///< replicas take no writes
  primary,          ///< not a replica; for reads on replicas only
  behind,           ///< a replica not known to follow the newest timeline
  no_load_balance,  ///< Patroni's tag
  drained,          ///< by an operator
  banned,           ///< likewise
};
[[nodiscard]] std::string_view to_string(Why why) noexcept;

/// What is thought of one host.
struct HostView {
  Role role = Role::unknown;
  bool up = false;                              ///< it answered when last asked
  bool fenced = false;                          ///< nothing that it says counts
  std::shared_ptr<const HostOrder> order = {};  ///< an operator's; null: none
  Why no_writes = Why::no_sample;               ///< `nothing`: it is the primary, and not leaving
  Why no_reads = Why::no_sample;  ///< `nothing`: a replica that may be read from, lag aside
  std::uint64_t system_identifier = 0;
  std::uint32_t timeline = 0;
  bool timeline_hidden = false;
  Lsn lsn = 0;
  Lsn received = 0;
  Instant sampled{};  ///< when what stands here was asked for
  /// Of a replica: every commit that the primary acknowledged before this moment can be seen here.
  /// `now` minus it is the lag's upper bound. Nothing: not known.
  std::optional<Instant> complete_until;
  /// Likewise: so many bytes of the log are not replayed here that the primary was known to have
  /// written when what stands here was judged.
  std::optional<Lsn> bytes_behind = {};
  /// It may be read from again since then; nothing while it always could be.
  std::optional<Instant> reads_again_since = {};
  std::string error = {};  ///< what the last failed question came to

  [[nodiscard]] bool may_write() const noexcept { return no_writes == Why::nothing; }
  [[nodiscard]] bool may_read() const noexcept { return no_reads == Why::nothing; }
  [[nodiscard]] bool ordered(Standing standing) const noexcept {
    return order != nullptr && order->standing == standing;
  }
  /// The lag's upper bound. Duration::max() where it is not known.
  [[nodiscard]] Duration lag(Instant now) const noexcept {
    return complete_until ? now - *complete_until : Duration::max();
  }
};

/// For people: as to_string(why) says, and what the operator said.
[[nodiscard]] std::string explain(const HostView& host, Why why, Instant now);

/// What is thought of the cluster. Immutable once it is published.
struct ClusterView {
  /// Hosts are asked, and enough is known to say who is the primary, or that nobody is. False:
  /// logins find it, and no replica is read from.
  bool watched = false;
  /// Somebody has yet to answer, or to fail, since the hosts began to be asked: nobody is taken for
  /// the primary before. `watched` is false.
  bool asking = true;
  std::vector<HostView> hosts;
  std::optional<std::size_t> primary;   ///< the one that takes writes
  std::uint64_t system_identifier = 0;  ///< of the cluster; 0: not known
  Instant writable_until{};             ///< its lease: no writes from then on without a new view
  Instant unwritable_since = kNever;    ///< since when nothing takes writes; kNever: `primary` does
  bool two_primaries = false;
  bool mixed = false;  ///< hosts are of different clusters, as many of each: nobody is the primary
  /// Patroni was asked for a switchover away from the primary, which will end what is open there:
  /// nothing new is begun, for Topology::kLeaving at most. It is not writable.
  bool leaving = false;
  std::uint32_t timeline = 0;  ///< the newest that a host was seen on and is not set back from
  Lsn insert_lsn = 0;          ///< the primary's, normalized: a token for what is done by ...
  Instant insert_asked{};      ///< ... then

  /// Where writes may go at present.
  [[nodiscard]] std::optional<std::size_t> writable(Instant now) const noexcept {
    return now < writable_until ? primary : std::nullopt;
  }
};

/// How far the primary was, when. From it a replica's lag in time is bounded from above.
class LsnHistory {
 public:
  /// The primary's position at a moment not before `asked`.
  void add(Instant asked, Lsn lsn);
  /// The last moment whose position has been replayed: what was committed before it is visible.
  [[nodiscard]] std::optional<Instant> complete_until(Lsn replayed) const noexcept;
  /// Where it was last; nothing: not known.
  [[nodiscard]] std::optional<Lsn> newest() const noexcept {
    return entries_.empty() ? std::nullopt : std::optional(entries_.back().lsn);
  }
  void clear() noexcept { entries_.clear(); }

 private:
  static constexpr std::size_t kMost = 1024;
  struct Entry {
    Instant last;  ///< it was seen at this position
    Lsn lsn;
  };
  std::vector<Entry> entries_;  ///< ascending
};

/// Judges what the hosts say. Keeps what does not go back by itself: the newest timeline seen, and
/// which cluster this is.
class Topology {
 public:
  Topology(std::size_t hosts, Duration lease) : facts_(hosts), lease_(lease) {}

  /// The hosts begin to be asked, or do so again after nobody has for a while: who failed to answer
  /// then may be there now.
  void begin();
  /// A host that is in another list, too.
  struct Known {
    std::size_t host = 0;
    const Topology* of = nullptr;
    std::size_t there = 0;  ///< its place in that one
  };
  /// What others know of these hosts, where that is newer: before `begin`.
  void inherit(std::span<const Known> all);
  /// Whoever has this name another time is another server.
  void forget(std::size_t host);
  void answered(std::size_t host, const HostSample& sample);
  void failed(std::size_t host, std::string error);
  /// It refused to say anything, but lives: what it said before stands for kRefusedLeases more.
  void spoke(std::size_t host, Instant at, std::string error);
  /// An operator's; null: none any more.
  void order(std::size_t host, std::shared_ptr<const HostOrder> order) {
    facts_[host].order = std::move(order);
  }
  void set_lease(Duration lease) noexcept { lease_ = lease; }
  /// For so long statements wait for a primary; half of it, at most, for one that is leaving.
  void set_hold(Duration hold) noexcept { hold_ = hold; }
  /// What Patroni said last; null: nothing.
  void hear(std::shared_ptr<const PatroniWord> word) noexcept { word_ = std::move(word); }

  [[nodiscard]] ClusterView judge(Instant now);

  static constexpr int kRefusedLeases = 5;
  /// So long the cluster goes on elsewhere before a timeline that only stuck replicas know is
  /// forgotten; and so long most hosts are of another cluster, and none of ours, before it is ours.
  static constexpr int kAbandonedLeases = 5;
  /// Before it stops the server, Patroni has it write a checkpoint: minutes, where much is to be
  /// written. Until then transactions are better begun, and broken, than kept waiting. So long do
  /// they wait for one primary to leave, however often somebody asks for that ...
  static constexpr std::chrono::seconds kLeaving{10};
  /// ... until nobody has for so long.
  static constexpr std::chrono::seconds kLeavingForgotten{60};

 private:
  struct Facts {
    [[nodiscard]] bool ordered(Standing standing) const noexcept {
      return order != nullptr && order->standing == standing;
    }
    std::optional<HostSample> sample;
    bool heard = true;           ///< it has answered or failed since `begin`
    std::uint32_t timeline = 0;  ///< the newest that it was on and has not been set back from
    Instant confirmed{};         ///< the role, for the lease
    bool up = false;
    std::shared_ptr<const HostOrder> order;
    bool refuses = false;            ///< to answer the last question
    Instant refused_since = kNever;  ///< the first of these questions since it answered one
    std::string error;
    bool was_ours = false;        ///< it has answered as a host of this cluster
    bool was_unreadable = false;  ///< known, and not to be read from
    std::optional<Instant> reads_again_since;
  };

  [[nodiscard]] bool fresh(const Facts& facts, Instant now) const noexcept;
  [[nodiscard]] Why common_fault(const Facts& facts, Instant now) const noexcept;
  void judge_host(const Facts& facts, Instant now, HostView& view) const;
  [[nodiscard]] bool asking() const noexcept;
  void note_position(const HostSample& sample);
  void decide_system();
  void recount_system();
  [[nodiscard]] bool most_are_of(std::uint64_t system) const noexcept;
  [[nodiscard]] bool is_outvoted_by(std::uint64_t system) const noexcept;
  void become(std::uint64_t system);
  void inherit_system(std::span<const Known* const> from);
  [[nodiscard]] bool same_server(std::size_t one, std::size_t two) const noexcept;
  [[nodiscard]] bool shown_by_another(std::size_t host, const ClusterView& view) const noexcept;
  [[nodiscard]] bool tells(const Facts& facts, Instant now) const noexcept;
  void note_timeline(Facts& facts, const HostSample& sample);
  [[nodiscard]] std::uint32_t newest() const noexcept;
  void look_for_abandoned(Instant now);
  [[nodiscard]] bool has_another_name(const Facts& facts) const noexcept;
  void look_for_another_system(Instant now);
  [[nodiscard]] bool outdone(std::size_t host, std::optional<std::size_t> leader) const noexcept;
  void judge_primaries(Instant now, ClusterView& view);
  [[nodiscard]] bool leaves(std::size_t primary, Instant now);
  static void note_return(Facts& facts, Instant now, HostView& view);

  std::vector<Facts> facts_;
  Duration lease_;
  std::uint64_t system_identifier_ = 0;
  bool settled_ = false;             ///< more than half of all hosts have said that it is this one
  bool mixed_ = false;               ///< it is 0, since as many hosts have another
  Instant replaced_since_ = kNever;  ///< that all who answer are of another cluster
  std::uint32_t timeline_ = 0;
  std::uint32_t abandoned_ = 0;      ///< counts no more, nor do those before it, without a primary
  Instant outvoted_since_ = kNever;  ///< that one is about to be
  std::shared_ptr<const PatroniWord> word_;
  std::optional<std::size_t> winner_;  ///< of two primaries on one timeline, by Patroni's word
  LsnHistory history_;
  std::uint32_t history_timeline_ = 0;
  Instant unwritable_since_ = kNever;
  Duration hold_ = 2 * kLeaving;
  // The last primary that was asked to leave; when that was said last, and what it has cost.
  std::size_t leaving_ = 0;
  Instant leaving_seen_ = kNever;
  Duration leaving_spent_{};
  bool leaving_held_ = false;  ///< then
};

}  // namespace forebay::routing
