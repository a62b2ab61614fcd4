#pragma once

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "admin/show.hpp"
#include "core/refused.hpp"
#include "forebay/config/config.hpp"

namespace forebay::admin {

/// Who may do what: each role may do what the ones before it may.
enum class Role : std::uint8_t { nobody, stats, admin };

/// Besides SHOW. The words are PgBouncer's, but for RESET STATEMENTS and those of tenants and
/// hosts.
enum class Action : std::uint8_t {
  pause,
  resume,
  disable,
  enable,
  drain_host,
  ban_host,
  prefer_host,
  enable_host,
  reconnect,
  kill,
  kill_client,
  suspend,
  wait_close,
  reload,
  shutdown,
  shutdown_wait_for_servers,
  shutdown_wait_for_clients,
  set,
  reset_statements,
  pause_tenant,
  resume_tenant,
  ban_tenant,
  unban_tenant,
  limit_tenant,
  reset_tenant,
  nothing,  ///< what drivers say to a session, and what means nothing here
  begin,
  commit,
  rollback,
};

enum class Argument : std::uint8_t {
  none,
  database,
  perhaps_database,
  client,
  host,
  ordered_host,  ///< NAME [FOR TIME] [REASON TEXT]
  setting,
  anything,
  tenant,
  tenant_order,   ///< NAME [FOR TIME] [REASON TEXT]
  tenant_limits,  ///< NAME LIMIT = VALUE [, ...] [FOR TIME] [REASON TEXT]
};

struct ActionLine {
  std::string_view words;  ///< in capitals, single blanks
  Action action;
  Role role;
  Argument argument = Argument::none;
};
[[nodiscard]] std::span<const ActionLine> actions();

/// One statement, understood.
struct Command {
  const ShowLine* show = nullptr;  ///< a SHOW
  const ActionLine* action = nullptr;
  /// A database (unquoted, as written), a number, a key; a literal of SELECT.
  std::string argument;
  std::string value;  ///< for the key, as written
  // Of a tenant or host, which is `argument`; empty where nothing is said.
  std::vector<std::pair<std::string, std::string>> limits = {};
  std::string time = {};
  std::string reason = {};
  config::milliseconds lasts{0};  ///< of a host; 0: until it is enabled
  [[nodiscard]] bool empty() const noexcept { return show == nullptr && action == nullptr; }
  [[nodiscard]] Role role() const noexcept;
};

/// Takes FOR and a name off the front of what EXPLAIN ROUTE says; empty where there is none.
[[nodiscard]] std::string take_database(std::string_view& text);

/// The statements of a text, or why one of them is none.
[[nodiscard]] std::variant<std::vector<Command>, core::Refused> parse(std::string_view text);

}  // namespace forebay::admin
