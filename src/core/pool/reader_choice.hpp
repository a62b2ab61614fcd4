#pragma once

#include <cstdint>

#include "forebay/base/time.hpp"
#include "forebay/routing/cluster/topology.hpp"

namespace forebay::core {

/// Why a replica does not serve a read.
enum class NoRead : std::uint8_t {
  nothing,     ///< it may
  host,        ///< as HostView::no_reads says
  lag,         ///< it may be more than max_replica_lag behind
  own_writes,  ///< it is not known to have what the read must see
};

/// What a read must be able to see.
struct Visible {
  Instant since = kNever;  ///< what was committed before; kNever: nothing certain
  routing::Lsn lsn = 0;    ///< what the primary had at this position
};

/// What must be true of a replica that serves a read.
struct Wanted {
  Duration max_lag;  ///< zero: no limit
  Visible visible;
  Instant lag_ends;  ///< as routing::lag_ends() says

  [[nodiscard]] NoRead refuses(const routing::HostView& host) const {
    if (!host.may_read()) return NoRead::host;
    if (max_lag > Duration::zero() && host.lag(lag_ends) > max_lag) return NoRead::lag;
    const Instant since = visible.since;
    const bool has_all = since == kNever || (host.complete_until && *host.complete_until >= since);
    return has_all && host.lsn >= visible.lsn ? NoRead::nothing : NoRead::own_writes;
  }
};

class Pool;

/// Which replicas come first, whatever their weight: those that an operator prefers (2), those in
/// our own zone that have a connection free (1), the others.
[[nodiscard]] unsigned rank_of(const Pool& reader, const routing::HostView& host) noexcept;

}  // namespace forebay::core
