#include "core/explain/explainer.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

#include "core/engine/engine.hpp"
#include "core/explain/plan_choice.hpp"
#include "forebay/protocol/postgres/backend.hpp"
#include "forebay/protocol/postgres/writer.hpp"

namespace forebay::core {
namespace {

/// The server itself ends the question sooner; this has the login, too.
constexpr std::chrono::seconds kPlanPatience{3};
/// Of one plan; the rest is not kept.
constexpr std::size_t kPlanMax = 16 * 1024;

/// Functions that a planner calls may do anything: not here. Nobody waits long for our locks, nor
/// we for others'.
constexpr Bytes kBegin =
    "BEGIN READ ONLY; SET LOCAL statement_timeout = 1000; SET LOCAL lock_timeout = 100";

}  // namespace

Explainer::~Explainer() {
  if (step_ == Step::idle) return;
  timer_.cancel();
  connection_.close();
  if (place_ != nullptr) place_->release();
  static_cast<void>(pool_->closed());
  sample_.no_plan = "Forebay was stopped before it was there";
  keep(std::move(sample_));
}

void Explainer::add(SlowSample sample, ServerLink& link, const ParameterSet* startup) {
  Counters& counters = engine_.counters();
  if (const std::string_view why = judge(sample, link); !why.empty()) {
    counters.explains_unfit.add();
    sample.no_plan = why;
  } else if (const std::string_view limit = enter(sample, link); !limit.empty()) {
    counters.explains_limited.add();
    sample.no_plan = limit;
  } else {
    sample_ = std::move(sample);
    open(link, *startup);
    return;
  }
  keep(std::move(sample));
}

// Whether there can be a plan at all; empty: yes.
std::string_view Explainer::judge(SlowSample& sample, ServerLink& link) {
  if (!sample.no_plan.empty()) return sample.no_plan;
  if (!engine_.measures().full_text) return "plans show literals, and slow_query_text is redacted";
  if (sample.said.empty()) return "the statement's text is not kept";
  if (!sample.sqlstate.empty() && !sample.sqlstate.starts_with("57")) return "the statement failed";
  if (!link.pool().credential()) return "nothing is known to log in with";
  sql::Shape shape;
  const sql::Facts& facts = engine_.facts(sample.said, shape);
  const std::string* version =
      link.relay().welcome == nullptr ? nullptr : link.relay().welcome->find("server_version");
  const std::string_view why =
      no_plan_of_text(facts, version == nullptr ? Bytes() : Bytes(*version));
  if (!why.empty()) return why;
  sample.shape = shape_number(shape);
  generic_ = step_ == Step::idle ? facts.statements.front().parameters : generic_;
  return {};
}

// Whether it may be asked for now; empty: yes, and all places are taken.
std::string_view Explainer::enter(const SlowSample& sample, ServerLink& link) {
  if (step_ != Step::idle) return "another statement's was being asked for";
  if (engine_.draining()) return "Forebay is about to stop";
  const PlanBudget::Key key{sample.shape, link.pool().serial()};
  PlanBudget& budget = engine_.shared().plans;
  const std::string_view spent =
      budget.take(key, engine_.now(), engine_.config().slow_query_explains_per_minute);
  if (!spent.empty()) return spent;
  if (take_place(link.pool(), link)) return {};
  budget.give_back(key);
  return "no server connection is to spare";
}

bool Explainer::take_place(Pool& pool, ServerLink& link) {
  const auto& hosts = pool.target().hosts;
  const auto host = std::ranges::find(hosts, link.host());
  if (host == hosts.end() || link.left_behind() || pool.fit(link.host()) != Pool::Fit::good) {
    return false;
  }
  std::shared_ptr<Quota> place = pool.host_quota(static_cast<std::size_t>(host - hosts.begin()));
  // Not the last one, either.
  if (place != nullptr && (place->full(1) || !place->try_reserve())) return false;
  if (!pool.reserve_spare()) {
    if (place != nullptr) place->release();
    return false;
  }
  place_ = std::move(place);
  pool_ = pool.shared_from_this();
  return true;
}

void Explainer::open(ServerLink& link, const ParameterSet& startup) {
  step_ = Step::opening;
  error_.clear();
  engine_.timers().arm(timer_, engine_.now() + kPlanPatience);
  SideConnection::Target to =
      SideConnection::target_at(pool_->target(), link.host(), pool_->key().user);
  to.credential = pool_->credential().value_or(auth::NoCredential{});
  for (const auto& setting : startup.entries()) {
    if (setting.first == kApplicationName || setting.first == kStandardStrings) continue;
    to.parameters.push_back(setting);
  }
  // As the text was read, whatever the role's default has become.
  to.parameters.emplace_back(kStandardStrings, "on");
  to.parameters.emplace_back(kApplicationName, "forebay explain");
  connection_.open(std::move(to));
}

void Explainer::on_logged_in() {
  step_ = Step::beginning;
  std::string out;
  pg::write_query(out, kBegin);
  connection_.send(out);
}

void Explainer::on_said(char type, Bytes body) {
  switch (type) {
    case 'D':
      return read_row(body);
    case 'E':
      error_.assign(pg::backend::Fields::parse(body).message);
      return;
    case 'Z':
      return ready(body);
    default:
      return;
  }
}

void Explainer::ready(Bytes body) {
  if (!error_.empty()) {
    fail(error_);
  } else if (step_ == Step::beginning && body == "T") {
    explain();
  } else if (step_ == Step::explaining && !sample_.plan.empty()) {
    engine_.counters().explains_done.add();
    std::string out;
    pg::write_query(out, "ROLLBACK");
    pg::write_empty(out, pg::Frontend::Terminate);
    connection_.send(out);
    close();
  } else {
    fail("the server gave no answer");
  }
}

// As a prepared statement, of which the server takes one only, whatever the text holds. One with
// parameters cannot be one: they would want values.
void Explainer::explain() {
  step_ = Step::explaining;
  const std::string text = explain_text(sample_.said, generic_);
  std::string out;
  if (generic_) {
    pg::write_query(out, text);
  } else {
    pg::write_parse_text(out, {}, text);
    pg::write_bind(out, {}, {}, {});
    pg::write_execute(out, {}, 0);
    pg::write_empty(out, pg::Frontend::Sync);
  }
  connection_.send(out);
}

void Explainer::read_row(Bytes body) {
  const auto row = pg::backend::DataRow::parse(body);
  const auto values = row ? row->decode() : std::nullopt;
  std::string& plan = sample_.plan;
  if (!values || values->size() != 1 || !values->front() || plan.size() >= kPlanMax) return;
  if (!plan.empty()) plan += '\n';
  plan += *values->front();
  if (plan.size() >= kPlanMax) plan = plan.substr(0, kPlanMax) + "...";
}

void Explainer::fail(std::string_view why) {
  engine_.counters().explains_failed.add();
  sample_.plan.clear();
  sample_.no_plan = "EXPLAIN failed: " + std::string(why);
  close();
}

void Explainer::close() {
  timer_.cancel();
  connection_.close();
  step_ = Step::idle;
  const std::shared_ptr<Pool> pool = std::move(pool_);
  const std::shared_ptr<Quota> place = std::move(place_);
  keep(std::exchange(sample_, {}));
  if (place != nullptr) {
    place->release();
    engine_.feed_starved(*place);
  }
  engine_.count_out(*pool, false);
}

void Explainer::keep(SlowSample sample) {
  sample.said = {};
  engine_.measures().slow.add(std::move(sample));
}

}  // namespace forebay::core
