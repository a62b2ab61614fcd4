#include "core/monitor/functions_probe.hpp"

#include <chrono>
#include <memory>
#include <utility>

#include "core/engine/engine.hpp"
#include "core/monitor/host_probe.hpp"
#include "core/pool/pool.hpp"
#include "core/relay/catalog_epoch.hpp"
#include "core/relay/known_functions.hpp"
#include "forebay/protocol/postgres/backend.hpp"
#include "forebay/protocol/postgres/writer.hpp"

namespace forebay::core {
namespace {

using std::chrono::seconds;

/// Changes past Forebay show so late.
constexpr seconds kAgain{60};
/// Who creates functions all the time is not followed more closely.
constexpr seconds kNotBefore{1};
/// After no answer.
constexpr seconds kRetry{5};
constexpr seconds kFunctionsPatience{30};
/// More functions are not kept: those of which nothing is known count as VOLATILE.
constexpr std::size_t kMost = 100'000;

/// An aggregate is as volatile as the functions that it is made of: its own mark says nothing.
constexpr std::string_view kFunctionsQuestion =
    "SELECT n.nspname, p.proname, bool_or(p.provolatile = 'v' OR EXISTS (SELECT FROM"
    " pg_catalog.pg_aggregate a JOIN pg_catalog.pg_proc f"
    " ON f.oid IN (a.aggtransfn, a.aggfinalfn, a.aggmtransfn, a.aggminvtransfn, a.aggmfinalfn)"
    " WHERE a.aggfnoid = p.oid AND f.provolatile = 'v'))"
    " FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace"
    " GROUP BY 1, 2";

}  // namespace

FunctionsProbe::FunctionsProbe(Engine& engine, std::shared_ptr<CatalogEpoch> catalog)
    : engine_(engine), catalog_(std::move(catalog)), known_(catalog_->functions) {}

void FunctionsProbe::look(const Endpoint& primary, const Pool& login) {
  const Instant now = engine_.now();
  const std::uint64_t changes = known_.changes();
  if (asking_ || now < not_before_ || (changes == asked_at_change_ && now < again_)) return;
  asked_at_change_ = changes;
  not_before_ = now + kNotBefore;
  again_ = now + kAgain;
  where_ = to_string(primary);
  asking_ = true;
  error_.clear();
  engine_.timers().arm(timer_, now + kFunctionsPatience);
  connection_.open(monitor_login(login, primary));
}

void FunctionsProbe::on_logged_in() {
  std::string out;
  pg::write_query(out, kFunctionsQuestion);
  connection_.send(out);
}

void FunctionsProbe::on_said(char type, Bytes body) {
  switch (type) {
    case 'D':
      return read_row(body);
    case 'E':
      error_.assign(pg::backend::Fields::parse(body).message);
      return;
    case 'Z':
      return answered();
    default:
      return;
  }
}

void FunctionsProbe::read_row(Bytes body) {
  const auto row = pg::backend::DataRow::parse(body);
  const auto values = row ? row->decode() : std::nullopt;
  if (!values || values->size() != 3 || functions_.size() >= kMost) return;
  const auto& columns = *values;
  if (!columns[0] || !columns[1] || !columns[2]) return;
  functions_.push_back({std::string(*columns[0]), std::string(*columns[1]), *columns[2] != "f"});
}

void FunctionsProbe::answered() {
  if (!error_.empty() || functions_.empty()) {
    fail(error_.empty() ? "the server gave no answer" : error_);
    return;
  }
  told_ = false;
  known_.publish(std::make_shared<const split::FunctionVolatility>(functions_));
  close();
}

void FunctionsProbe::close() {
  timer_.cancel();
  connection_.close();
  functions_ = {};
  asking_ = false;
}

void FunctionsProbe::fail(const std::string& why) {
  close();
  again_ = engine_.now() + kRetry;
  if (std::exchange(told_, true)) return;
  engine_.note({.weight = Weight::warning,
                .event = "functions_unknown",
                .text = "cannot ask pg_proc what functions do (" + why +
                        "): reads that call others than PostgreSQL's own go to the primary",
                .host = where_});
}

}  // namespace forebay::core
