#pragma once

#include <cstdint>
#include <optional>

#include "core/pool/pool.hpp"
#include "forebay/base/time.hpp"
#include "forebay/routing/cluster/balance.hpp"
#include "forebay/routing/cluster/topology.hpp"

namespace forebay::core {

/// Why a replica does not serve a read.
enum class NoRead : std::uint8_t {
  nothing,     ///< it may
  host,        ///< as HostView::no_reads says
  lag,         ///< it may be more than max_replica_lag behind
  lag_bytes,   ///< likewise, max_replica_lag_bytes
  own_writes,  ///< it is not known to have what the read must see
};

/// What a read must be able to see.
struct Visible {
  Instant since = kNever;  ///< what was committed before; kNever: nothing certain
  routing::Lsn lsn = 0;    ///< what the primary had at this position
  Duration max_lag = {};   ///< a rule's word, whatever the pool allows; 0: none
};

/// What must be true of a replica that serves a read.
struct Wanted {
  routing::LagLimits limits;
  Visible visible;
  Instant lag_ends;  ///< as routing::lag_ends() says
  /// Replicas that are too late serve it all the same up to this lag; see routing::LagFloor.
  std::optional<Duration> kept = {};

  /// `late`: as routing::lateness() says of it.
  [[nodiscard]] NoRead refuses(const routing::HostView& host, routing::Late late) const {
    if (!host.may_read()) return NoRead::host;
    if (late != routing::Late::no && !keeps(host)) {
      return late == routing::Late::time ? NoRead::lag : NoRead::lag_bytes;
    }
    if (visible.max_lag > Duration() && host.lag(lag_ends) > visible.max_lag) return NoRead::lag;
    const Instant since = visible.since;
    const bool has_all = since == kNever || (host.complete_until && *host.complete_until >= since);
    return has_all && host.lsn >= visible.lsn ? NoRead::nothing : NoRead::own_writes;
  }
  [[nodiscard]] bool keeps(const routing::HostView& host) const {
    return kept && host.lag(lag_ends) <= *kept;
  }
};

/// What the primary's pool says of it, and which of its late replicas are kept. `view` has as many
/// hosts as that has readers.
[[nodiscard]] Wanted wanted_of(const Pool::Reading& primary, const routing::ClusterView& view,
                               Visible visible, Instant now);
/// How late a reader's host is. It is remembered there, for what counts next.
routing::Late lateness_of(Pool& reader, const routing::HostView& host, const Wanted& wanted);

/// Which replicas come first, whatever their weight: those that an operator prefers (2), those in
/// our own zone that have a connection free (1), the others.
[[nodiscard]] unsigned rank_of(const Pool& reader, const routing::HostView& host) noexcept;

}  // namespace forebay::core
