#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "forebay/base/bytes.hpp"
#include "forebay/base/endpoint.hpp"
#include "forebay/base/time.hpp"

/// Where reads go, and why, for whoever asks.
namespace forebay::core {

class Engine;
class Pool;

/// One host, as a pool that splits its reads sees it.
struct ReaderFacts {
  Endpoint host;
  std::string_view role;
  std::uint32_t weight = 1;
  std::uint32_t in_flight = 0;
  std::optional<Duration> lag;
  std::optional<std::uint64_t> bytes_behind;
  bool kept = false;    ///< although it is too far behind
  std::string refusal;  ///< why it gets no reads; empty: it may
};
/// For a session that has not written.
std::vector<ReaderFacts> readers_of(const Pool& pool, Instant now);

/// Where a text of a client of `pool`, outside a transaction, would go now: what is looked at, in
/// its order, and what that gives.
using RouteSteps = std::vector<std::pair<std::string, std::string>>;
RouteSteps explain_route(Engine& engine, Pool& pool, Bytes text);

}  // namespace forebay::core
