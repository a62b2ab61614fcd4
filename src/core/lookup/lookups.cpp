#include "core/lookup/lookups.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

#include "core/engine/engine.hpp"
#include "forebay/protocol/postgres/backend.hpp"
#include "forebay/protocol/postgres/sqlstate.hpp"
#include "forebay/protocol/postgres/writer.hpp"

namespace forebay::core {
namespace {

/// A desk that nobody comes to closes its connection.
constexpr auto kRestAfter = std::chrono::seconds(60);
/// After a failure, nobody tries again at once.
constexpr auto kShutFor = std::chrono::seconds(1);
/// While there is no primary, hosts that could not be asked are asked again.
constexpr auto kAgainAfter = std::chrono::milliseconds(100);
/// Names waiting at one desk. Clients that wait for more are refused.
constexpr std::size_t kQuestionsMax = 1'000;
/// Databases that are asked: with "*" and no auth_dbname, clients choose their names.
constexpr std::size_t kDesksMax = 64;
/// The text of the client's name is none in the database's encoding: nobody has it.
constexpr std::string_view kNotInEncoding = "22021";

const auto kBusy = [](const std::string& where) {
  return Refused{pg::sqlstate::kTooManyConnections,
                 "too many users are being looked up by auth_query in database \"" + where + "\"",
                 {},
                 "Try again."};
};

std::optional<double> number_of(const std::optional<Bytes>& text) {
  double value = 0;
  if (!text) return std::nullopt;
  const auto [end, code] = std::from_chars(text->data(), text->data() + text->size(), value);
  return code == std::errc() ? std::optional(value) : std::nullopt;
}

}  // namespace

void LookupDesk::look_up(const std::string& user, SessionKey session) {
  last_used_ = engine_.now();
  const LookupKey key{place_, user};
  // It may have been answered since the client's worker looked.
  if (const auto known = engine_.shared().secrets.find(key, engine_.now())) {
    tell({user, engine_.now(), {session}}, *known);
    return;
  }
  if (engine_.now() < shut_until_) {
    tell({user, engine_.now(), {session}}, {}, &shut_for_);
    return;
  }
  const auto same = std::find_if(asked_for_.begin(), asked_for_.end(),
                                 [&](const Question& known) { return known.user == user; });
  if (same != asked_for_.end()) {
    same->sessions.push_back(session);
    return;
  }
  if (asked_for_.size() >= kQuestionsMax) {
    const Refused busy = kBusy(place_.database);
    tell({user, engine_.now(), {session}}, {}, &busy);
    return;
  }
  asked_for_.push_back({user, engine_.now(), {session}});
  if (asked_for_.size() == 1) go_on();
}

void LookupDesk::begin_anew() {
  connection_.close();
  shut_until_ = {};
  attempts_ = 0;
  go_on();
}

bool LookupDesk::rests() const noexcept {
  return idle() && engine_.now() - last_used_ >= kRestAfter;
}

void LookupDesk::go_on() {
  timer_.cancel();
  holding_ = false;
  if (idle()) return;
  engine_.timers().arm(timer_, engine_.now() + engine_.config().server_connect_timeout);
  if (connection_.logged_in() && leads_nowhere()) connection_.close();
  if (connection_.logged_in()) {
    ask();
  } else {
    connect();
  }
}

// To a host that does not answer: the primary that hangs, before its lease is over.
bool LookupDesk::leads_nowhere() const {
  const auto target = target_of(engine_.runtime(), place_.database);
  const auto view = target ? view_of(*target) : nullptr;
  if (view == nullptr || view->hosts.size() != target->hosts.size()) return false;
  const routing::HostView& host = view->hosts[host_ % view->hosts.size()];
  return !host.up || host.fenced;
}

void LookupDesk::connect() {
  const Runtime& runtime = engine_.runtime();
  const auto target = target_of(runtime, place_.database);
  if (!target) {
    fail_all({pg::sqlstate::kUndefinedDatabase,
              "database \"" + place_.database + "\" (auth_dbname) is not configured"});
    return;
  }
  // Where one host is known to answer, no other is waited for.
  const auto view = attempts_ == 0 ? view_of(*target) : nullptr;
  if (view != nullptr && view->hosts.size() == target->hosts.size()) {
    const auto up = std::ranges::find_if(view->hosts, [](const auto& host) {
      return host.up && !host.fenced && !host.ordered(routing::Standing::banned);
    });
    const auto primary = view->writable(engine_.now());
    if (primary) {
      host_ = *primary;
    } else if (up != view->hosts.end()) {
      host_ = static_cast<std::size_t>(up - view->hosts.begin());
    }
  }
  SideConnection::Target to =
      SideConnection::target_at(*target, target->hosts[host_ % target->hosts.size()], place_.user);
  if (const auto secrets = runtime.find_secrets(place_.user)) to.credential = secrets->credential();
  // Nothing that a client says goes here: a search_path of its own would make the query run what
  // the client chose.
  to.parameters = {{"application_name", "forebay auth_query"},
                   {"search_path", "pg_catalog, pg_temp"}};
  connection_.open(std::move(to));
}

void LookupDesk::on_logged_in() {
  told_ = false;
  go_on();
}

// The name is a parameter: whatever it holds, it stays a name.
void LookupDesk::ask() {
  rows_ = 0;
  secret_ = {};
  seconds_left_.reset();
  trouble_.clear();
  trouble_code_.clear();
  asked_ = engine_.now();
  engine_.counters().auth_lookups.add();
  const std::pair<Bytes, bool> user{asked_for_.front().user, false};
  std::string out;
  pg::write_parse_text(out, {}, place_.query);
  pg::write_bind(out, {}, {}, {&user, 1});
  pg::write_execute(out, {}, 2);
  pg::write_empty(out, pg::Frontend::Sync);
  connection_.send(out);
}

void LookupDesk::on_said(char type, Bytes body) {
  if (type == 'D') {
    read_row(body);
  } else if (type == 'E') {
    const auto fields = pg::backend::Fields::parse(body);
    trouble_ = fields.message;
    trouble_code_ = fields.sqlstate;
  } else if (type == 'Z') {
    conclude();
  }
}

void LookupDesk::read_row(Bytes body) {
  ++rows_;
  const auto row = pg::backend::DataRow::parse(body);
  const auto values = row ? row->decode() : std::nullopt;
  if (!values || values->size() < 2) {
    trouble_ = "it must give two columns: the user's name and the password";
    return;
  }
  const auto& columns = *values;
  // What a function that returns no set gives for nobody.
  if (!columns[0]) return;
  if (*columns[0] != asked_for_.front().user) {
    trouble_ = "it gave another user's row";
    return;
  }
  if (columns[1]) secret_ = config::Secret(std::string(*columns[1]));
  if (columns.size() > 2) seconds_left_ = number_of(columns[2]);
}

// The server has answered. What it said of one user does not concern the others.
void LookupDesk::conclude() {
  if (idle()) return;
  attempts_ = 0;
  last_used_ = engine_.now();
  if (rows_ > 1) trouble_ = "it gave more than one row";
  if (!trouble_.empty() && trouble_code_ != kNotInEncoding) {
    note("auth_query in database \"" + place_.database + "\": " + trouble_ +
             " (search_path is pg_catalog: name the schema of everything else)",
         trouble_code_);
    const Question question = std::move(asked_for_.front());
    asked_for_.pop_front();
    const Refused refused{
        pg::sqlstate::kCannotConnectNow,
        "the password of user \"" + question.user + "\" could not be looked up: auth_query failed",
        {},
        "Forebay's log says why."};
    tell(question, {}, &refused);
    go_on();
    return;
  }
  const std::string& user = asked_for_.front().user;
  std::shared_ptr<const auth::UserSecrets> secrets;
  if (trouble_.empty() && rows_ == 1 && !secret_.empty()) {
    const Runtime& runtime = engine_.runtime();
    auto made =
        auth::UserSecrets::make(user, {secret_},
                                auth::ScramParameters{auth::made_up_salt(runtime.salt_secret, user),
                                                      runtime.config.scram_iterations});
    if (made.has_value()) {
      secrets = std::make_shared<const auth::UserSecrets>(std::move(*made));
    } else {
      note("auth_query in database \"" + place_.database + "\": " + made.error().message);
    }
  }
  store(std::move(secrets));
  go_on();
}

void LookupDesk::store(std::shared_ptr<const auth::UserSecrets> secrets) {
  const Question question = std::move(asked_for_.front());
  asked_for_.pop_front();
  if (const auto parsed = auth::parse_secret(secret_.reveal()); secrets != nullptr && parsed) {
    engine_.shared().secrets.note_kind(auth::kind_of(*parsed));
  }
  secret_ = {};
  Duration lasts = engine_.config().auth_query_ttl;
  if (seconds_left_) {
    const auto left = std::chrono::duration<double>(std::max(0.0, *seconds_left_));
    if (left < lasts) lasts = std::chrono::duration_cast<Duration>(left);
  }
  const SecretCache::Answer answer{std::move(secrets)};
  engine_.shared().secrets.put({place_, question.user}, answer, asked_, asked_ + lasts);
  tell(question, answer);
}

void LookupDesk::tell(const Question& question, const SecretCache::Answer& answer,
                      const Refused* refused) {
  for (const SessionKey session : question.sessions) {
    mail::LookedUp told{session, answer.secrets, {}};
    if (refused != nullptr) told.refused = *refused;
    engine_.shared().courier->send(session.worker, std::move(told));
  }
}

// ---------------------------------------------------------------- failures

void LookupDesk::on_side_lost(const Refused& why) {
  if (idle()) return;
  // A connection that rested may have been closed meanwhile; and another host may do.
  const auto target = target_of(engine_.runtime(), place_.database);
  const std::size_t hosts = target ? target->hosts.size() : 0;
  ++host_;
  if (++attempts_ <= hosts) {
    go_on();
    return;
  }
  fail_all(why);
}

void LookupDesk::on_timer(void* self) {
  auto* desk = static_cast<LookupDesk*>(self);
  if (desk->holding_) return desk->go_on();
  desk->connection_.close();
  desk->on_side_lost({pg::sqlstate::kConnectionFailure, "no answer within server_connect_timeout"});
}

std::shared_ptr<const routing::ClusterView> LookupDesk::view_of(const PoolTarget& target) const {
  if (target.hosts.size() < 2) return nullptr;
  auto view = engine_.shared().pools.cluster_of(target.hosts)->view();
  return view->watched ? view : nullptr;
}

Refused LookupDesk::no_connection() const {
  return {pg::sqlstate::kCannotConnectNow,
          "passwords cannot be looked up at present: auth_query has no connection to database \"" +
              place_.database + "\"",
          {},
          "Forebay's log says why."};
}

// While there is no primary, who comes in waits for as long as a statement would: for
// failover_hold. False: nobody does.
bool LookupDesk::hold(const Refused& trouble) {
  const auto target = target_of(engine_.runtime(), place_.database);
  const auto view = target ? view_of(*target) : nullptr;
  if (view == nullptr || view->writable(engine_.now())) return false;
  const Instant since = engine_.now() - engine_.config().failover_hold;
  const Refused why = no_connection();
  for (const Question& question : std::exchange(asked_for_, {})) {
    if (question.came <= since) {
      tell(question, {}, &why);
    } else {
      asked_for_.push_back(question);
    }
  }
  if (idle()) return false;
  if (!std::exchange(told_, true)) {
    note("auth_query: no connection as auth_user to database \"" + place_.database +
             "\", and no server is a primary: clients wait, for failover_hold at most: " +
             trouble.message,
         trouble.sqlstate);
  }
  attempts_ = 0;
  holding_ = true;
  engine_.timers().arm(timer_, engine_.now() + kAgainAfter);
  return true;
}

void LookupDesk::fail_all(const Refused& why) {
  if (hold(why)) return;
  timer_.cancel();
  attempts_ = 0;
  engine_.counters().auth_lookups_failed.add();
  note("auth_query: no connection as auth_user to database \"" + place_.database +
           "\": " + why.message,
       why.sqlstate);
  auto waiting = std::exchange(asked_for_, {});
  if (why.sqlstate == pg::sqlstate::kUndefinedDatabase) {
    // Who has not shown who it is is not told which databases exist.
    for (const Question& question : waiting) tell(question, {});
    return;
  }
  shut_until_ = engine_.now() + kShutFor;
  shut_for_ = no_connection();
  for (const Question& question : waiting) tell(question, {}, &shut_for_);
}

void LookupDesk::note(std::string text, std::string_view sqlstate) {
  engine_.note({.weight = Weight::warning,
                .event = "auth_query_failed",
                .text = std::move(text),
                .database = place_.database,
                .user = place_.user,
                .sqlstate = sqlstate});
}

// ---------------------------------------------------------------- all desks

void Lookups::look_up(const LookupKey& key, SessionKey session) {
  auto found = desks_.find(key.place);
  if (found == desks_.end() && desks_.size() >= kDesksMax) {
    const auto idle = std::find_if(desks_.begin(), desks_.end(),
                                   [](const auto& desk) { return desk.second->idle(); });
    if (idle == desks_.end()) {
      engine_.shared().courier->send(session.worker,
                                     mail::LookedUp{session, {}, kBusy(key.place.database)});
      return;
    }
    desks_.erase(idle);
  }
  auto& desk = desks_[key.place];
  if (desk == nullptr) desk = std::make_unique<LookupDesk>(engine_, key.place);
  desk->look_up(key.user, session);
}

void Lookups::begin_anew() {
  engine_.shared().secrets.clear();
  for (const auto& [place, desk] : desks_) desk->begin_anew();
}

void Lookups::look_after() {
  std::erase_if(desks_, [](const auto& desk) { return desk.second->rests(); });
}

}  // namespace forebay::core
