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
          "How long statements wait while the hosts of a database have no primary."),
      key(kSection, "slow_start", Effect::at_once, &C::slow_start, Time{},
          "With split_reads: within this time the share of a replica that could not be read from "
          "grows to what it was, so that it can fill its caches; 0 for at once."),
      key(kSection, "zone", Effect::at_once, &C::zone, Text{"eu-central-1a"},
          "With split_reads: where Forebay runs, by the names of a database's zones. While a "
          "replica there may be read from, no other one is; \"\" for no difference."),
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
          "zone are read from as long as one of them can be. Empty: all alike."),
  };
}

}  // namespace forebay::config
