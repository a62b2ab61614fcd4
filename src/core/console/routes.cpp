#include "core/console/routes.hpp"

#include <algorithm>
#include <chrono>

#include "core/engine/engine.hpp"
#include "core/pool/reader_choice.hpp"
#include "core/relay/statement_text.hpp"
#include "forebay/config/names.hpp"
#include "forebay/config/units.hpp"
#include "forebay/routing/cluster/balance.hpp"

namespace forebay::core {
namespace {

using split::Access;
using std::chrono::duration_cast;
using std::chrono::milliseconds;

std::string in_ms(Duration duration) {
  return std::to_string(duration_cast<milliseconds>(duration).count()) + " ms";
}

/// Behind "may be read from".
constexpr const char* kKept = ", though too far behind: it is one of min_read_replicas";
const std::string kNotYet = "it was too far behind, and is read from again below half of that: ";

std::string_view words_of(Access access) {
  switch (access) {
    case Access::read:
      return "it only reads";
    case Access::begin:
      return "it begins a transaction, which is for the primary unless the session's default is "
             "READ ONLY";
    case Access::begin_read_only:
      return "it begins a READ ONLY transaction";
    default:
      return "for the primary";
  }
}

std::string describe(const ReaderFacts& reader) {
  std::string text(reader.role);
  text += ", weight " + std::to_string(reader.weight) + ", in flight " +
          std::to_string(reader.in_flight);
  if (reader.lag) text += ", lag at most " + in_ms(*reader.lag);
  if (reader.bytes_behind) text += ", " + std::to_string(*reader.bytes_behind) + " bytes behind";
  if (!reader.refusal.empty()) return text + ": no, " + reader.refusal;
  return text + ": may be read from" + (reader.kept ? kKept : "");
}

std::string beyond_bytes(const routing::HostView& host, routing::Lsn max) {
  const std::string limit = "max_replica_lag_bytes = " + config::format_size(config::ByteSize(max));
  if (!host.bytes_behind) return "how far it is behind is not known, and may be more than " + limit;
  if (*host.bytes_behind > max) return "it is more than " + limit + " behind";
  return kNotYet + config::format_size(config::ByteSize(max / 2));
}

std::string describe(const KnownFunctions::Functions* functions) {
  if (functions == nullptr) return "PostgreSQL 15's own: pg_proc was not asked yet";
  return "as pg_proc says: " + std::to_string(functions->size()) +
         " names of which no form is VOLATILE";
}

// What the rules make of a text. Nothing: they leave open where it goes. Which address a client
// comes from, whose it is and what its application is called is not known here.
std::optional<bool> explain_rules(Engine& engine, const Pool& pool, Bytes text,
                                  const sql::Facts& facts, const sql::Shape& shape,
                                  RouteSteps& steps) {
  const auto& set = engine.runtime().rules;
  if (set == nullptr) return std::nullopt;
  const auto mask = set->of_shape(text, sql::StandardStrings::on, shape, facts);
  for (std::size_t i = 0; i < set->size(); ++i) {
    const config::Rule& rule = (*set)[i];
    const bool concerns = set->concerns(i, pool.key().database, pool.key().user);
    if (!concerns || (set->found_in(mask, text) >> i & 1) == 0) continue;
    const bool depends =
        !rule.addresses.empty() || !rule.applications.empty() || !rule.tenants.empty();
    steps.emplace_back("rule " + rule.name,
                       std::string(rule.dry_run ? "would match" : "matches") +
                           (depends ? " if tenant, application and address do" : "") + ": " +
                           actions_of(rule));
    if (rule.dry_run || depends) continue;
    if (rule.target == config::RuleTarget::primary || !rule.error.empty()) return true;
    if (rule.target == config::RuleTarget::replica && split::reads_but_for_functions(facts)) {
      return false;
    }
    return std::nullopt;
  }
  return std::nullopt;
}

}  // namespace

std::vector<ReaderFacts> readers_of(const Pool& pool, Instant now) {
  std::vector<ReaderFacts> all;
  const Pool::Reading reading = pool.reading();
  const auto& readers = reading.readers;
  const auto& cluster = reading.target.cluster;
  if (cluster == nullptr) return all;
  const auto view = cluster->view();
  const bool watched = view->watched && view->hosts.size() == readers.size();
  const Instant ends = routing::lag_ends(*view, now);
  const routing::LagLimits limits{reading.settings.max_replica_lag,
                                  reading.settings.max_replica_lag_bytes.value()};
  const Wanted wanted = watched ? wanted_of(reading, *view, {}, now) : Wanted{};
  for (std::size_t i = 0; i < readers.size(); ++i) {
    ReaderFacts& facts = all.emplace_back();
    facts.host = cluster->hosts()[i];
    facts.weight = readers[i]->target().read_weight;
    facts.in_flight = readers[i]->in_flight();
    facts.role = routing::to_string(routing::Role::unknown);
    if (!watched) {
      facts.refusal = view->asking && cluster->asked()
                          ? "not all hosts have been asked yet what they are"
                          : "nobody can ask the hosts what they are: set monitor_user";
      continue;
    }
    const routing::HostView& host = view->hosts[i];
    facts.role = routing::to_string(host.role);
    const routing::Late late = lateness_of(*readers[i], host, wanted);
    if (host.complete_until) facts.lag = host.lag(ends);
    facts.bytes_behind = host.bytes_behind;
    facts.kept = late != routing::Late::no && host.may_read() && wanted.keeps(host);
    switch (wanted.refuses(host, late)) {
      case NoRead::host:
        facts.refusal = explain(host, host.no_reads, now);
        break;
      case NoRead::lag:
        facts.refusal = (facts.lag ? "its lag is" : "its lag is not known, and may be") +
                        std::string(" more than max_replica_lag = ") + in_ms(limits.time);
        if (facts.lag && *facts.lag <= limits.time)
          facts.refusal = kNotYet + in_ms(limits.time / 2);
        break;
      case NoRead::lag_bytes:
        facts.refusal = beyond_bytes(host, limits.bytes);
        break;
      default:
        if (readers[i]->shunned_until() > now) facts.refusal = "the last login there failed";
    }
  }
  if (!watched) return all;
  unsigned best = 0;
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (all[i].refusal.empty()) best = std::max(best, rank_of(*readers[i], view->hosts[i]));
  }
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (!all[i].refusal.empty() || rank_of(*readers[i], view->hosts[i]) == best) continue;
    all[i].refusal = best == 2 ? "an operator prefers another replica"
                               : "a replica in Forebay's own zone may be read from";
  }
  return all;
}

namespace {

// Where a read goes, by what it has to show.
const char* where_by_consistency(const config::PoolSettings& settings) {
  switch (settings.read_consistency) {
    case config::ReadConsistency::none:
      return "a replica that may be read from";
    case config::ReadConsistency::session:
      return "a replica that may be read from; of a session that has written: one that is known to "
             "have what it wrote, else the primary";
    case config::ReadConsistency::strong:
      break;
  }
  if (settings.read_wait_timeout.count() == 0) {
    return "the primary: read_consistency = \"strong\" takes time to ask a replica what it has, "
           "and read_wait_timeout is 0";
  }
  return "a replica that is known, within read_wait_timeout, to have all that was written before; "
         "else the primary";
}

// The same of what the client, or the configuration in its place, says. What single sessions and
// listeners say is not known here.
std::optional<bool> explain_hints(const Pool& pool, Bytes text, const sql::Facts& facts,
                                  Access access, RouteSteps& steps) {
  const Hint hint = hint_of(text);
  if (hint == Hint::primary) {
    steps.emplace_back("hint", "the comment at its head sends it to the primary");
    return true;
  }
  const bool replica = hint == Hint::replica;
  const config::ReadTarget target = pool.settings().target;
  if (!replica && target == config::ReadTarget::any) return std::nullopt;
  steps.emplace_back(replica ? "hint" : "target",
                     replica ? "the comment at its head asks for a replica"
                             : "target = \"" + std::string(to_string(target)) +
                                   "\" holds for what does not say it itself");
  if (!replica && target == config::ReadTarget::primary) return true;
  const bool advisory = locks_by_advice(facts);
  if (access == Access::begin || (!advisory && split::reads_but_for_functions(facts))) return false;
  return std::nullopt;
}

}  // namespace

RouteSteps explain_route(Engine& engine, Pool& pool, Bytes text) {
  RouteSteps steps;
  const auto known = pool.catalog().functions.get();
  const auto& functions = known == nullptr ? split::FunctionVolatility::built_in() : *known;
  sql::Shape shape;
  const sql::Facts& facts = engine.facts(text, shape);
  const Access access = access_of(facts, functions);
  const std::string objection = why_not_read(facts, functions);
  bool to_primary = !objection.empty() || access == Access::begin;
  steps.emplace_back("statement", objection.empty() ? std::string(words_of(access))
                                                    : "for the primary: " + objection);
  steps.emplace_back("functions", describe(known.get()));
  to_primary = explain_rules(engine, pool, text, facts, shape, steps).value_or(to_primary);
  to_primary = explain_hints(pool, text, facts, access, steps).value_or(to_primary);
  if (access == Access::read && asks_for_standby(facts, text)) {
    to_primary = true;
    steps.emplace_back("setting", "it asks for a parameter that is another one on a standby");
  }
  if (engine.refuses_read(pool.serial(), Route(access, shape.hash().low))) {
    to_primary = true;
    steps.emplace_back("refused", "a replica has refused a statement of this shape before");
  }
  bool any = false;
  for (const ReaderFacts& reader : readers_of(pool, engine.now())) {
    any = any || reader.refusal.empty();
    steps.emplace_back("host " + to_string(reader.host), describe(reader));
  }
  const char* why = nullptr;
  if (to_primary) {
    why = "the primary";
  } else if (!any) {
    why = "the primary, because no replica may be read from";
  } else {
    why = where_by_consistency(pool.settings());
  }
  steps.emplace_back("goes to", why);
  return steps;
}

}  // namespace forebay::core
