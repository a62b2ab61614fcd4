#include "admin/console_session.hpp"

#include <algorithm>
#include <charconv>
#include <set>

#include "admin/consoles.hpp"
#include "core/console/routes.hpp"
#include "core/engine/engine.hpp"
#include "core/statistics/report.hpp"
#include "forebay/config/difference.hpp"
#include "forebay/protocol/postgres/sqlstate.hpp"

namespace forebay::admin {
namespace {

using core::ControlRequest;
using core::Order;
using pg::backend::TransactionStatus;

/// What waits for links to be free or gone looks this often.
constexpr config::milliseconds kLookAgain{20};

const char* sqlstate_of(config::Refusal refusal) {
  switch (refusal) {
    case config::Refusal::wrong:
      break;
    case config::Refusal::unknown:
      return pg::sqlstate::kUndefinedObject;
    case config::Refusal::fixed:
      return pg::sqlstate::kCannotChangeRuntimeParameter;
  }
  return pg::sqlstate::kInvalidParameterValue;
}

}  // namespace

std::unique_ptr<core::Console> Consoles::open(core::Engine& engine, Setup setup) {
  return std::make_unique<ConsoleSession>(engine, averages_, std::move(setup));
}

ConsoleSession::ConsoleSession(core::Engine& engine, const Averages& averages,
                               core::Consoles::Setup setup)
    : core::Console(setup.number),
      engine_(engine),
      averages_(averages),
      stream_(std::move(setup.stream)),
      facts_(std::move(setup.facts)),
      server_decided_(setup.server_decided),
      superuser_(setup.superuser),
      input_(std::move(setup.received)),
      out_(std::move(setup.unsent)) {}

ConsoleSession::~ConsoleSession() {
  engine_.shared().console_clients.fetch_sub(1, std::memory_order_relaxed);
}

void ConsoleSession::begin() {
  engine_.io().set_owner(*stream_, *this);
  if (role() == Role::nobody) return fatal(not_for_user());
  greet();
  advance();
}

// As the configuration has it now, not as it was when the client came.
Role ConsoleSession::role() const {
  const config::Config& config = engine_.config();
  if (superuser_ || config::listed(config.admin_users, facts_.user)) return Role::admin;
  if (server_decided_ || config::listed(config.stats_users, facts_.user)) return Role::stats;
  return Role::nobody;
}

core::Refused ConsoleSession::not_for_user() const {
  return {pg::sqlstate::kInsufficientPrivilege,
          "user \"" + facts_.user + "\" may not use the console",
          {},
          "List the user in admin_users or stats_users of [forebay]."};
}

// ---------------------------------------------------------------- the command at hand

void ConsoleSession::start(const Command& command) {
  current_ = command;
  const Role mine = role();
  if (mine == Role::nobody) return fatal(not_for_user());
  if (command.role() > mine) {
    failed({pg::sqlstate::kInsufficientPrivilege,
            "user \"" + facts_.user + "\" may only use SHOW in the console",
            {},
            "List the user in admin_users of [forebay]."});
    return;
  }
  if (command.action != nullptr) {
    act(command);
  } else if (command.show->asks_workers) {
    order({});
  } else {
    show();
  }
}

void ConsoleSession::show() {
  if (current_.show->name == kExplainRoute) return explain_route(current_.argument);
  if (!current_.argument.empty()) {
    done_with({{current_.argument}});
    return;
  }
  View view{engine_.shared(),
            engine_.config(),
            averages_,
            engine_.now(),
            std::chrono::system_clock::now(),
            std::move(reports_),
            engine_.runtime().sources,
            engine_.runtime().rules.get()};
  std::ranges::sort(view.reports, {}, [](const auto& report) { return report->worker; });
  done_with(current_.show->rows(view));
}

// EXPLAIN ROUTE [FOR database] statement.
void ConsoleSession::explain_route(std::string_view text) {
  const std::string database = take_database(text);
  std::shared_ptr<core::Pool> found;
  bool several = false;
  for (const auto& pool : engine_.shared().pools.all()) {
    if (pool->readers().empty() || (!database.empty() && pool->key().database != database))
      continue;
    several = several || (found != nullptr && found->key().database != pool->key().database);
    found = pool;
  }
  if (several) {
    return failed({pg::sqlstate::kSyntaxError,
                   "several databases split their reads",
                   {},
                   "Say which is meant: EXPLAIN ROUTE FOR database statement."});
  }
  if (found == nullptr) {
    return failed({pg::sqlstate::kUndefinedObject,
                   "no pool" + (database.empty() ? "" : " of database \"" + database + "\"") +
                       " splits its reads",
                   {},
                   "Set split_reads for a database with several hosts; a pool is there once a "
                   "client has come."});
  }
  Rows rows;
  for (auto& [step, result] : core::explain_route(engine_, *found, text)) {
    rows.push_back({std::move(step), std::move(result)});
  }
  done_with(std::move(rows));
}

void ConsoleSession::act(const Command& command) {
  core::PoolDirectory& pools = engine_.shared().pools;
  const std::string& name = command.argument;
  const Argument takes = command.action->argument;
  if ((takes == Argument::database || !name.empty()) &&
      (takes == Argument::database || takes == Argument::perhaps_database) && !known(name)) {
    return;
  }
  switch (command.action->action) {
    case Action::pause:
      return pause(name);
    case Action::resume:
      return resume(name);
    case Action::disable:
      pools.disable(name);
      return done("DISABLE");
    case Action::enable:
      pools.enable(name);
      return done("ENABLE");
    case Action::drain_host:
    case Action::ban_host:
    case Action::prefer_host:
    case Action::enable_host:
      return order_host(command);
    case Action::reconnect:
      pools.reconnect(name, engine_.now());
      return order({Order::Kind::free_links, name});
    case Action::kill:
      pools.pause(name);
      return order({Order::Kind::kill, name});
    case Action::kill_client: {
      Order kill{Order::Kind::kill_client};
      std::from_chars(name.data(), name.data() + name.size(), kill.client);
      return order(kill);
    }
    case Action::wait_close:
      return order({});
    case Action::suspend:
      return suspend();
    case Action::reload:
      return reload();
    case Action::shutdown:
      return request(ControlRequest::shutdown);
    case Action::shutdown_wait_for_servers:
      return request(ControlRequest::shutdown_wait_for_servers);
    case Action::shutdown_wait_for_clients:
      return request(ControlRequest::shutdown_wait_for_clients);
    case Action::set:
      return set(command);
    case Action::reset_statements:
      core::reset_statements(engine_.shared());
      return done("RESET");
    case Action::pause_tenant:
    case Action::resume_tenant:
    case Action::ban_tenant:
    case Action::unban_tenant:
    case Action::limit_tenant:
    case Action::reset_tenant:
      return order_tenant(command);
    case Action::nothing:
      return done(command.action->words.substr(0, command.action->words.find(' ')));
    case Action::begin:
      status_ = TransactionStatus::in_transaction;
      return done("BEGIN");
    case Action::commit:
    case Action::rollback:
      status_ = TransactionStatus::idle;
      return done(command.action->action == Action::commit ? "COMMIT" : "ROLLBACK");
  }
}

bool ConsoleSession::known(const std::string& database) {
  if (engine_.config().find_database(database) != nullptr) return true;
  failed({pg::sqlstate::kUndefinedDatabase,
          "no such database: " + database,
          {},
          "SHOW DATABASES lists them."});
  return false;
}

// As SHOW HOSTS lists them: whatever clusters they are in, these are servers.
void ConsoleSession::order_host(const Command& command) {
  std::set<Endpoint> all;
  for (const auto& [name, database] : engine_.config().databases) {
    if (database.hosts.size() > 1) all.insert(database.hosts.begin(), database.hosts.end());
  }
  std::string names;
  std::optional<Endpoint> host;
  for (const Endpoint& each : all) {
    if (to_string(each) == command.argument) host = each;
    names += (names.empty() ? "" : ", ") + to_string(each);
  }
  if (!host) {
    return failed({pg::sqlstate::kUndefinedObject, "no such host: " + command.argument,
                   names.empty() ? "No database has several hosts."
                                 : "The hosts of databases with several are: " + names + ".",
                   "SHOW HOSTS lists them. PAUSE and DISABLE are for databases."});
  }
  using routing::Standing;
  const Action action = command.action->action;
  std::shared_ptr<const routing::HostOrder> made;
  if (action != Action::enable_host) {
    const bool lasts = command.lasts.count() > 0;
    made = std::make_shared<const routing::HostOrder>(routing::HostOrder{
        action == Action::drain_host ? Standing::drained
        : action == Action::ban_host ? Standing::banned
                                     : Standing::preferred,
        lasts ? engine_.now() + command.lasts : kNever, command.reason, facts_.user});
  }
  const std::string by = " by an operator (" + facts_.user + ")";
  engine_.note({.weight = core::Weight::normal,
                .event = "host_ordered",
                .text = made == nullptr ? "enabled" + by : to_string(*made, engine_.now()),
                .user = facts_.user,
                .host = to_string(*host)});
  Order order{Order::Kind::hosts};
  order.clusters = engine_.shared().pools.order_host(*host, std::move(made));
  this->order(std::move(order));
}

void ConsoleSession::pause(const std::string& database) {
  core::PoolDirectory& pools = engine_.shared().pools;
  if (pools.paused(database)) {
    return failed({pg::sqlstate::kObjectNotInPrerequisiteState, "already suspended/paused"});
  }
  pools.pause(database);
  order({Order::Kind::free_links, database});
}

// Every client is left between two messages, with everything answered.
void ConsoleSession::suspend() {
  core::Shared& shared = engine_.shared();
  std::uint64_t nobody = core::kNoConsole;
  if (!shared.suspended_by.compare_exchange_strong(nobody, number())) {
    return failed({pg::sqlstate::kObjectNotInPrerequisiteState, "already suspended/paused"});
  }
  const auto patience = engine_.config().suspend_timeout;
  give_up_at_ = patience.count() == 0 ? kNever : engine_.now() + patience;
  order({Order::Kind::suspension});
}

void ConsoleSession::suspended() {
  std::size_t busy = 0;
  for (const auto& report : reports_) busy += report->busy;
  if (unanswered_ == 0 && busy == 0) return done("SUSPEND");
  if (unanswered_ == 0 && engine_.now() < give_up_at_) return wait(kLookAgain);
  if (unanswered_ == 0) {
    unanswered_ = busy;
    return give_up_suspension();
  }
  busy = std::exchange(unanswered_, 0);
  failed({pg::sqlstate::kQueryCanceled,
          "nothing is suspended: " + std::to_string(busy) +
              (busy == 1 ? " client was" : " clients were") + " still being answered after " +
              std::to_string(engine_.config().suspend_timeout.count()) + " ms (suspend_timeout)",
          {},
          "SHOW CLIENTS lists those that are active."});
}

void ConsoleSession::give_up_suspension() {
  std::uint64_t mine = number();
  engine_.shared().suspended_by.compare_exchange_strong(mine, core::kNoConsole);
  order({Order::Kind::suspension});
}

// Whoever ordered something and goes must not leave it to somebody who does not know of it: SUSPEND
// at all, as PgBouncer has it, and PAUSE as long as that is not answered. An answered PAUSE stays.
void ConsoleSession::take_back() {
  const bool pausing = waiting_ != Waiting::no && current_.action != nullptr &&
                       current_.action->action == Action::pause;
  if (engine_.shared().suspended_by == number()) give_up_suspension();
  if (!pausing) return;
  for (const auto& pool : engine_.shared().pools.resume(current_.argument)) engine_.resume(pool);
}

void ConsoleSession::resume(const std::string& database) {
  core::PoolDirectory& pools = engine_.shared().pools;
  if (database.empty() && engine_.shared().suspended_by.exchange(core::kNoConsole) > 0) {
    for (const auto& pool : pools.resume(database)) engine_.resume(pool);
    return order({Order::Kind::suspension});
  }
  if (!pools.paused(database)) {
    const std::string what = database.empty() ? "the pooler" : "database " + database;
    return failed({pg::sqlstate::kObjectNotInPrerequisiteState, what + " is not paused/suspended"});
  }
  for (const auto& pool : pools.resume(database)) engine_.resume(pool);
  done("RESUME");
}

// Every link of the database is free, and closed where it can be opened again.
bool ConsoleSession::links_free(const std::string& database) const {
  for (const auto& pool : engine_.shared().pools.all()) {
    if (!database.empty() && pool->key().database != database) continue;
    const core::Pool::Counts counts = pool->counts();
    const std::uint32_t may_stay = counts.reopens ? 0 : counts.parked;
    if (counts.total > may_stay) return false;
  }
  return true;
}

void ConsoleSession::request(ControlRequest request) {
  core::Control* control = engine_.shared().control;
  if (control == nullptr) {
    return failed({pg::sqlstate::kFeatureNotSupported, "this process takes no such request"});
  }
  waiting_ = Waiting::control;
  control->request(request, engine_.id(), number());
}

// The answer lists every change and what it does, or why nothing was changed.
void ConsoleSession::reload() {
  core::Control* control = engine_.shared().control;
  if (control == nullptr) {
    return failed({pg::sqlstate::kFeatureNotSupported, "this process takes no such request"});
  }
  waiting_ = Waiting::control;
  control->reload(answer_to_this());
}

void ConsoleSession::set(const Command& command) {
  core::Control* control = engine_.shared().control;
  if (control == nullptr) {
    return failed({pg::sqlstate::kFeatureNotSupported, "this process takes no such request"});
  }
  waiting_ = Waiting::control;
  control->set(command.argument, command.value, answer_to_this());
}

// For the control thread, which sends it by mail.
std::function<void(const config::Reloaded&)> ConsoleSession::answer_to_this() const {
  return [&shared = engine_.shared(), from = engine_.id(),
          console = number()](const config::Reloaded& reloaded) {
    core::ControlAnswer answer;
    answer.refusal = reloaded.refusal;
    for (const std::string& warning : reloaded.warnings) answer.notices.push_back(warning);
    for (const config::Change& change : reloaded.changes) {
      answer.notices.push_back(to_string(change));
    }
    for (const std::string& error : reloaded.errors) {
      answer.error += (answer.error.empty() ? "" : "; ") + error;
    }
    if (!reloaded.applied && answer.error.empty()) answer.error = "nothing was changed";
    shared.courier->send(from, core::mail::Answered{console, std::move(answer)});
  };
}

void ConsoleSession::answered(const core::ControlAnswer& answer) {
  if (closed_ || waiting_ != Waiting::control) return;
  waiting_ = Waiting::no;
  for (const std::string& notice : answer.notices) {
    pg::write_notice(out_, {.severity = "NOTICE", .sqlstate = "00000", .message = notice});
  }
  if (answer.error.empty()) {
    done(current_.action->words);
  } else {
    const bool is_set = current_.action->action == Action::set;
    failed({is_set ? sqlstate_of(answer.refusal) : pg::sqlstate::kConfigFileError, answer.error});
  }
  advance();
}

// ---------------------------------------------------------------- waiting

void ConsoleSession::order(core::Order order) {
  core::Shared& shared = engine_.shared();
  reports_.clear();
  reports_due_ = shared.workers;
  waiting_ = Waiting::workers;
  for (std::size_t i = 0; i < shared.workers; ++i) {
    shared.courier->send(core::WorkerId(static_cast<std::uint16_t>(i)),
                         core::mail::Ordered{order, engine_.id(), number()});
  }
}

void ConsoleSession::reported(std::shared_ptr<const core::WorkerReport> report) {
  if (closed_ || waiting_ != Waiting::workers) return;
  reports_.push_back(std::move(report));
  if (reports_.size() < reports_due_) return;
  waiting_ = Waiting::no;
  on_reports();
  advance();
}

void ConsoleSession::on_reports() {
  if (current_.show != nullptr) return show();
  switch (current_.action->action) {
    case Action::pause:
      if (!engine_.shared().pools.paused(current_.argument)) {
        return failed({pg::sqlstate::kQueryCanceled, "PAUSE was ended by RESUME"});
      }
      return links_free(current_.argument) ? done("PAUSE") : wait(kLookAgain);
    case Action::kill_client:
      if (std::ranges::none_of(
              reports_, &core::WorkerReport::found,
              [](const auto& report) -> const auto& { return *report; })) {
        return failed({pg::sqlstate::kUndefinedObject,
                       "no such client: " + current_.argument,
                       {},
                       "SHOW CLIENTS lists their ids."});
      }
      return done("KILL_CLIENT");
    case Action::suspend:
      return suspended();
    case Action::wait_close:
      for (const auto& report : reports_) {
        for (const core::ServerFacts& server : report->servers) {
          const bool meant = current_.argument.empty() || server.database == current_.argument;
          if (meant && server.close_needed) return wait(kLookAgain);
        }
      }
      return done("WAIT_CLOSE");
    default:
      return done(current_.action->words);
  }
}

void ConsoleSession::wait(config::milliseconds delay) {
  waiting_ = Waiting::timer;
  engine_.timers().arm(timer_, engine_.now() + delay);
}

void ConsoleSession::on_timer(void* self) {
  static_cast<ConsoleSession*>(self)->look_again();
}

void ConsoleSession::look_again() {
  if (current_.action->action == Action::wait_close) return order({});
  if (current_.action->action == Action::suspend) return order({Order::Kind::suspension});
  // PAUSE: somebody may have parked a link before the pool knew.
  order({Order::Kind::free_links, current_.argument});
}

}  // namespace forebay::admin
