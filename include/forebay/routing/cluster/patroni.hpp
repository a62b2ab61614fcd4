#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "forebay/base/endpoint.hpp"
#include "forebay/base/result.hpp"
#include "forebay/base/time.hpp"

/// What Patroni says of a cluster, by its REST API or by its keys in etcd. A hint, never the truth
/// about a host: that is what the host's PostgreSQL says.
namespace forebay::routing {

struct PatroniMember {
  std::string name;
  Endpoint address;   ///< of its PostgreSQL; no host: it does not say
  std::string role;   ///< "leader", "replica", "sync_standby" ...
  std::string state;  ///< "running", "streaming", "stopped" ...
  std::uint32_t timeline = 0;
  bool leads = false;     ///< it has the leader's lock, and not in a standby cluster
  bool no_reads = false;  ///< tag noloadbalance
  bool operator==(const PatroniMember&) const = default;
};

/// That another member is to lead, as somebody asked Patroni for (`patronictl switchover`).
struct PatroniSwitchover {
  std::string from;  ///< the member that leads now; empty: whoever does
  std::string to;    ///< empty: anybody
  std::optional<std::chrono::system_clock::time_point> at;  ///< nothing: now
  bool operator==(const PatroniSwitchover&) const = default;
};

struct PatroniCluster {
  std::vector<PatroniMember> members;
  bool paused = false;  ///< maintenance mode: it keeps its hands off
  std::optional<PatroniSwitchover> switchover;
  bool operator==(const PatroniCluster&) const = default;
};

/// The answer to GET /cluster, of Patroni 2, 3 and 4. The error says what is wrong with it.
[[nodiscard]] Result<PatroniCluster> parse_patroni_cluster(std::string_view json);

/// ISO 8601 with a time zone, as Patroni writes moments: "2026-11-28T03:00:00.5+01:00".
[[nodiscard]] std::optional<std::chrono::system_clock::time_point> parse_moment(
    std::string_view text);

/// What is said of one of our hosts.
struct PatroniHost {
  bool known = false;  ///< something is
  std::string name;
  std::string role;
  std::string state;
  std::uint32_t timeline = 0;
  bool no_reads = false;
  bool operator==(const PatroniHost&) const = default;
};
/// In one line, for people: "node0: leader, running, timeline 2".
[[nodiscard]] std::string to_string(const PatroniHost& host);

/// What is said of all of them. Immutable once it is known to others.
struct PatroniWord {
  std::vector<PatroniHost> hosts;     ///< as configured
  std::optional<std::size_t> leader;  ///< nothing: nobody, or none of ours
  bool paused = false;
  /// A switchover will end what is open there; nothing: none was asked for.
  std::optional<std::size_t> leaving;
  Instant leaving_from{};  ///< not before
  Instant asked{};         ///< it is not older
  Instant until{};         ///< it decides nothing from then on

  /// Whom to believe of two primaries on one timeline.
  [[nodiscard]] std::optional<std::size_t> arbiter(Instant now) const noexcept {
    return now < until && !paused ? leader : std::nullopt;
  }
  [[nodiscard]] bool leaves(std::size_t host, Instant now) const noexcept {
    return now < until && leaving == host && now >= leaving_from;
  }
};

/// Whether a configured host is what a member calls its address.
using SameHost = std::function<bool(const Endpoint& host, const Endpoint& member)>;
/// The members that are hosts of ours; `strangers` are those that are none.
[[nodiscard]] PatroniWord patroni_word(const PatroniCluster& cluster,
                                       const std::vector<Endpoint>& hosts, const SameHost& same,
                                       std::vector<std::string>* strangers = nullptr);
/// What is news in one line each; empty where nothing is that makes it worth to ask the hosts.
[[nodiscard]] std::vector<std::string> patroni_news(const PatroniWord* before,
                                                    const PatroniWord& after);

}  // namespace forebay::routing
