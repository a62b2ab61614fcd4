#include "app/readiness.hpp"

#include <charconv>
#include <chrono>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "app/http_pages.hpp"
#include "core/engine/shared.hpp"

namespace forebay::app {
namespace {

using Kind = Readiness::Kind;
using Pools = std::vector<std::shared_ptr<core::Pool>>;

// "%20" is a blank, and so is "+".
std::string unescaped(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    unsigned char byte = 0;
    const char* const digits = text.data() + i + 1;
    if (text[i] == '%' && i + 2 < text.size() &&
        std::from_chars(digits, digits + 2, byte, 16).ptr == digits + 2) {
      out += static_cast<char>(byte);
      i += 2;
    } else {
      out += text[i] == '+' ? ' ' : text[i];
    }
  }
  return out;
}

// A refusal that says something about whoever tried, and not about the database.
bool of_the_client(const core::Pool& pool, const core::Refused& refused, bool listed) {
  if (!pool.statistics().blank()) return false;
  return refused.sqlstate.starts_with("28") || (!listed && refused.sqlstate.starts_with("3D"));
}

// What the last attempts to open a connection said, unless some connection is there.
std::optional<std::string> refusal(const Pools& pools, const std::string& database, bool listed) {
  const Instant now = std::chrono::steady_clock::now();
  std::optional<std::string> reason;
  for (const auto& pool : pools) {
    if (pool->key().database != database || pool->is_reader()) continue;
    const core::Pool::Counts counts = pool->counts();
    if (counts.total > counts.opening) return std::nullopt;
    const auto refused = pool->unavailable(now);
    if (refused && !of_the_client(*pool, *refused, listed)) reason = refused->message;
  }
  return reason;
}

std::optional<std::string> no_primary(core::Shared& shared, const config::Database& entry) {
  if (entry.hosts.size() < 2) return std::nullopt;
  const auto view = shared.pools.cluster_of(entry.hosts)->view();
  if (!view->watched || view->writable(std::chrono::steady_clock::now())) return std::nullopt;
  return "no host is known to be the primary";
}

/// Why the database cannot be used; nothing when it can, as far as is known.
std::optional<std::string> reason_of(core::Shared& shared, const config::Config& config,
                                     const Pools& pools, const std::string& database) {
  const config::Database* entry = config.find_database(database);
  const auto told = [&](const std::string& reason) {
    return "database \"" + database + "\": " + reason;
  };
  if (shared.pools.disabled(database)) return told("it is disabled");
  if (shared.pools.paused(database)) return told("it is paused");
  if (entry == nullptr) return told("no entry of the configuration serves it");
  if (const auto reason = no_primary(shared, *entry)) return told(*reason);
  const bool listed = config.databases.contains(database);
  if (const auto reason = refusal(pools, database, listed)) return told(*reason);
  return std::nullopt;
}

}  // namespace

Readiness readiness_of(core::Shared& shared, const config::Config& config, std::string_view query) {
  const Pools pools = shared.pools.all();
  if (const std::string asked = unescaped(query_parameter(query, "database")); !asked.empty()) {
    if (config.find_database(asked) == nullptr) {
      return {Kind::unknown_database, "there is no database \"" + asked + "\""};
    }
    const auto reason = reason_of(shared, config, pools, asked);
    return reason ? Readiness{Kind::not_ready, *reason} : Readiness{};
  }
  std::set<std::string> names;
  for (const auto& [name, entry] : config.databases) {
    if (name != "*") names.insert(name);
  }
  if (config.databases.contains("*")) {
    for (const auto& pool : pools) names.insert(pool->key().database);
  }
  std::string reasons;
  for (const std::string& name : names) {
    const auto reason = reason_of(shared, config, pools, name);
    if (!reason) return {};
    reasons += (reasons.empty() ? "" : "\n") + *reason;
  }
  return names.empty() ? Readiness{} : Readiness{Kind::not_ready, reasons};
}

}  // namespace forebay::app
