#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "forebay/base/result.hpp"
#include "forebay/routing/cluster/patroni.hpp"

/// Patroni's keys in etcd, by the JSON of etcd's version 3.
namespace forebay::routing {

/// "/service/main/": below it are the keys of one cluster.
[[nodiscard]] std::string etcd_prefix(std::string_view name_space, std::string_view scope);

/// The body of POST /v3/kv/range: all keys below the prefix.
[[nodiscard]] std::string etcd_range_request(const std::string& prefix);
struct EtcdAnswer {
  PatroniCluster cluster;
  std::string revision;  ///< up to which that is so
};
[[nodiscard]] Result<EtcdAnswer> parse_etcd_range(std::string_view json, std::string_view prefix);

/// The body of POST /v3/watch: what changes after that revision.
[[nodiscard]] std::string etcd_watch_request(const std::string& prefix,
                                             const std::string& revision);
enum class EtcdEvent : std::uint8_t {
  nothing,  ///< that matters
  news,
  ended,  ///< nothing more comes: it was cancelled, or made no sense
};
/// One line of its answer.
[[nodiscard]] EtcdEvent parse_etcd_event(std::string_view json, std::string_view prefix);

}  // namespace forebay::routing
