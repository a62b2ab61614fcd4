#pragma once

#include <array>
#include <cstdint>

#include "core/relay/pin_reason.hpp"
#include "core/statistics/pool_statistics.hpp"
#include "forebay/base/counter.hpp"

namespace forebay::core {

/// What one worker has done since it began. Counted by its thread, read by any.
struct alignas(64) Counters {
  Counter clients_accepted;
  Counter clients_logged_in;
  Counter logins_failed;
  ErrorCounters login_errors;  ///< the same, by what the client was told
  Counter clients_closed;
  Counter statements;  ///< Query, FunctionCall and Sync that a server answered
  Counter transactions;
  Counter client_bytes;  ///< received from clients
  Counter server_bytes;  ///< received from servers
  Counter links_opened;
  Counter links_failed;  ///< attempts that came to nothing
  Counter links_closed;
  Counter links_lost;
  Counter statements_resent;  ///< of lost links, unseen by their clients
  Counter statements_rerun;   ///< whose plan was stale, unseen by their clients
  Counter waits;              ///< statements that had to wait for a link
  Counter waits_failed;
  Counter cancels;
  Counter cancels_forwarded;  ///< to other nodes
  Counter recoveries;         ///< links made clean after their client vanished
  Counter tenant_statements_refused;
  Counter tenant_statements_reported;
  Counter links_moved;              ///< to another worker
  Counter refused_max_client_conn;  ///< clients, for the limit of that name
  Counter refused_address_clients;
  Counter refused_db_clients;
  Counter refused_pool_clients;
  Counter refused_user_clients;
  Counter refused_tenant_clients;
  Counter refused_logins;
  Counter refused_address_logins;
  Counter refused_authenticating;
  Counter refused_addresses;    ///< by allow_from and deny_from
  Counter refused_headers;      ///< of the PROXY protocol
  Counter held_statements;      ///< for max_statements, until there was a place
  Counter held_statement_rate;  ///< for max_statements_per_second
  Counter held_bytes;           ///< times that a client was held up for max_bytes_per_second
  Counter refused_statements;
  Counter refused_statement_rate;
  Counter held_links;  ///< for max_tenant_connections
  Counter refused_links;
  Counter refused_hold;  ///< for failover_hold_statements and failover_hold_bytes
  Counter statement_timeouts;
  Counter transaction_timeouts;
  Counter idle_transaction_timeouts;
  Counter client_idle_timeouts;
  Counter query_wait_timeouts;
  Counter client_login_timeouts;
  Counter auth_lookups;  ///< users that auth_query was asked for
  Counter auth_lookups_failed;
  Counter explains_done;     ///< plans of slow statements that servers gave
  Counter explains_limited;  ///< that were not asked for: it was not the time
  Counter explains_unfit;    ///< that were not asked for: there can be none
  Counter explains_failed;
  Counter replica_batches;        ///< sent to a replica, for it only reads
  Counter replica_retries;        ///< of which: done by the primary in the end
  Counter replica_waits;          ///< reads that waited for a replica to have what they must show
  Counter replica_waits_failed;   ///< of which: done by the primary in the end
  Counter notifications;          ///< told to clients by the shared listening connections
  Counter notifications_dropped;  ///< too many waited for their client
  Counter listening_lost;         ///< connections that listened for clients
  /// Clients that kept their link beyond a transaction, by the reason's number, and that do not any
  /// more.
  std::array<Counter, kPinNames.size()> pins_begun;
  std::array<Counter, kPinNames.size()> pins_over;
};

}  // namespace forebay::core
