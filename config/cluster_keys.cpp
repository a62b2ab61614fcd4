#include "config/keys.hpp"
#include "config/types.hpp"

// Keys for databases with several hosts.
namespace forebay::config {

Keys<Config> cluster_keys() {
  constexpr std::string_view kSection = "pool";
  using C = Config;
  return {
      key(kSection, "monitor_interval", Effect::at_once, &C::monitor_interval, Time{},
          "Where a database has several hosts: how often each is asked for its role, position and "
          "health; 0 for never: logins find the primary."),
      key(kSection, "primary_lease", Effect::at_once, &C::primary_lease, Time{},
          "A primary that has not answered for longer gets no statements, and its connections are "
          "closed. Must be shorter than the time after which another server is promoted."),
      key(kSection, "failover_hold", Effect::at_once, &C::failover_hold, Time{},
          "How long statements and logins wait while the hosts of a database have no primary, "
          "whatever query_wait_timeout is. At the start they wait until each was asked, for "
          "primary_lease at most, if that is longer."),
      key(kSection, "failover_hold_statements", Effect::at_once, &C::failover_hold_statements,
          Count{0, 1'000'000},
          "So many wait for a primary at most, in all; what comes then is refused. 0 for no "
          "limit."),
      key(kSection, "failover_hold_bytes", Effect::at_once, &C::failover_hold_bytes, ByteRate{},
          "What they take in memory at most, such as \"64MiB\". 0 for no limit."),
      key(kSection, "slow_start", Effect::at_once, &C::slow_start, Time{},
          "With split_reads: within this time the share of a replica that could not be read from "
          "grows to what it was, so that it can fill its caches; 0 for at once."),
      key(kSection, "zone", Effect::at_once, &C::zone, Text{"eu-central-1a"},
          "With split_reads: where Forebay runs, by the names of a database's zones. While a "
          "replica there may be read from and has a server connection free, no other one is; \"\" "
          "for no difference."),
  };
}

Keys<Database> read_share_keys() {
  using D = Database;
  return {
      key("", "weights", Effect::at_once, &D::weights, Counts{{0, 1000}},
          "With split_reads: the share of each of `hosts`, in their order, in the reads "
          "that replicas get, such as [1, 1, 2]; 0 for one that is read from only when "
          "no other can be. Empty: all alike."),
      key("", "zones", Effect::at_once, &D::zones, Texts{"[\"a\", \"b\"]"},
          "With split_reads: where each of `hosts` is, in their order. Those in Forebay's own "
          "zone are read from as long as one of them can be and has a server connection free. "
          "Empty: all alike."),
  };
}

Keys<PatroniSettings> patroni_keys() {
  using P = PatroniSettings;
  return {
      key("", "patroni", Effect::at_once, &P::rest,
          HttpUrls{8008, "[\"http://10.0.0.1:8008\", \"http://10.0.0.2:8008\"]"},
          "With several hosts that Patroni manages: its REST API on each of them. What it says "
          "makes Forebay ask the hosts at once, and decides between two primaries on one timeline; "
          "what else a host is it has to say itself. Once is enough for all databases with these "
          "hosts."),
      key("", "patroni_ca_file", Effect::at_once, &P::rest_ca_file, Text{"/etc/forebay/ca.pem"},
          "Authorities that sign the certificates of https:// in patroni; \"\" for the system's."),
      key("", "etcd", Effect::at_once, &P::etcd,
          HttpUrls{2379, "[\"http://10.0.0.1:2379\", \"http://10.0.0.2:2379\"]"},
          "The same from the etcd (version 3.4 or newer) in which Patroni keeps its keys: they are "
          "watched, so that a change is known at once."),
      key("", "etcd_ca_file", Effect::at_once, &P::etcd_ca_file, Text{"/etc/forebay/ca.pem"},
          "Authorities that sign the certificates of https:// in etcd; \"\" for the system's."),
      key("", "etcd_namespace", Effect::at_once, &P::etcd_namespace, Text{"/service"},
          "Patroni's namespace in etcd."),
      key("", "etcd_scope", Effect::at_once, &P::etcd_scope, Text{"main"},
          "Patroni's scope, the name of the cluster."),
  };
}

}  // namespace forebay::config
