#include "app/readiness.hpp"

#include <charconv>
#include <chrono>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "app/host_checks.hpp"
#include "app/http_pages.hpp"
#include "core/engine/shared.hpp"

namespace forebay::app {
namespace {

using Kind = Readiness::Kind;
using Pools = std::vector<std::shared_ptr<core::Pool>>;

/// So many databases are asked for at a time: where none of them answers, others hardly do.
constexpr std::size_t kAskedMax = 32;

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

/// A database of which nothing bad is known.
struct Hopeful {
  std::string database;
  Endpoint host;
};

// The host that is to be asked; nothing where there is a connection, or the monitor asks.
std::optional<Endpoint> unknown_host(const config::Config& config, const Pools& pools,
                                     const std::string& database) {
  const config::Database* entry = config.find_database(database);
  if (entry == nullptr || entry->hosts.size() != 1) return std::nullopt;
  for (const auto& pool : pools) {
    if (pool->key().database != database) continue;
    const core::Pool::Counts counts = pool->counts();
    if (counts.total > counts.opening) return std::nullopt;
  }
  return entry->hosts.front();
}

/// Who asked, until it is known.
struct Asked {
  HttpPages::ReadinessDone done;  ///< null: was told
  std::size_t open = 0;           ///< hosts that have not answered
  std::string reasons;

  void tell(const Readiness& readiness) {
    if (const auto tell = std::exchange(done, nullptr)) tell(readiness);
  }
};

// Ready as soon as one of them is.
void ask(std::vector<Hopeful> hopeful, HostChecks& checks, std::shared_ptr<Asked> asked) {
  asked->open = hopeful.size();
  for (const Hopeful& each : hopeful) {
    checks.ask(each.host, [asked, each](const std::string& error) {
      if (error.empty()) return asked->tell({});
      asked->reasons += (asked->reasons.empty() ? "" : "\n") + std::string("database \"") +
                        each.database + "\": cannot connect to " + to_string(each.host) + ": " +
                        error;
      if (--asked->open == 0) asked->tell({Kind::not_ready, asked->reasons});
    });
  }
}

std::set<std::string> names_of(const config::Config& config, const Pools& pools) {
  std::set<std::string> names;
  for (const auto& [name, entry] : config.databases) {
    if (name != "*") names.insert(name);
  }
  if (config.databases.contains("*")) {
    for (const auto& pool : pools) names.insert(pool->key().database);
  }
  return names;
}

}  // namespace

void ask_readiness(core::Shared& shared, const config::Config& config, std::string_view query,
                   HostChecks& checks, HttpPages::ReadinessDone done) {
  const Pools pools = shared.pools.all();
  const std::string named = unescaped(query_parameter(query, "database"));
  if (!named.empty() && config.find_database(named) == nullptr) {
    return done({Kind::unknown_database, "there is no database \"" + named + "\""});
  }
  const std::set<std::string> names =
      named.empty() ? names_of(config, pools) : std::set<std::string>{named};
  auto asked = std::make_shared<Asked>(Asked{std::move(done)});
  std::vector<Hopeful> hopeful;
  for (const std::string& name : names) {
    if (const auto reason = reason_of(shared, config, pools, name)) {
      asked->reasons += (asked->reasons.empty() ? "" : "\n") + *reason;
      continue;
    }
    const auto host = unknown_host(config, pools, name);
    if (!host) return asked->tell({});
    hopeful.push_back({name, *host});
  }
  if (names.empty()) return asked->tell({});
  if (hopeful.empty()) return asked->tell({Kind::not_ready, asked->reasons});
  if (hopeful.size() > kAskedMax) hopeful.resize(kAskedMax);
  ask(std::move(hopeful), checks, std::move(asked));
}

}  // namespace forebay::app
