#include <algorithm>
#include <utility>

#include "core/relay/relay.hpp"
#include "forebay/base/assert.hpp"
#include "forebay/protocol/postgres/writer.hpp"

// What a link is told of its client's session: settings, above all. All of it travels in the write
// of the client's own message.

namespace forebay::core {
namespace {

using pg::Frontend;

constexpr std::string_view kSettingsStatement = "_forebay_set";
constexpr std::string_view kSettingsText = "SELECT pg_catalog.set_config($1, $2, false)";
/// Not the unnamed portal, which may be the client's.
constexpr std::string_view kSettingsPortal = "_forebay_set";

constexpr std::string_view kPlansStatement = "_forebay_plans";

/// As many rows as the bits say: 1 temporary objects, 2 cursors WITH HOLD, 4 LISTEN, 8 advisory
/// locks, and of the statements that go by names of ours: 16 others than we had prepared by the
/// protocol, 32 than by PREPARE, as hidden code does. The number stands in the command tag.
constexpr std::string_view kInventory =
    "SELECT FROM pg_catalog.generate_series(1,"
    "(EXISTS (SELECT FROM pg_catalog.pg_depend WHERE refclassid = "
    "'pg_catalog.pg_namespace'::pg_catalog.regclass AND refobjid = "
    "pg_catalog.pg_my_temp_schema()))::pg_catalog.int4"
    "+2*(EXISTS (SELECT FROM pg_catalog.pg_cursors WHERE is_holdable))::pg_catalog.int4"
    "+4*(EXISTS (SELECT FROM pg_catalog.pg_listening_channels()))::pg_catalog.int4"
    "+8*(EXISTS (SELECT FROM pg_catalog.pg_locks WHERE locktype = 'advisory' AND pid = "
    "pg_catalog.pg_backend_pid()))::pg_catalog.int4+(SELECT 16*(";

std::string inventory(const LinkRelayState& link) {
  const std::size_t by_sql = link.statements.made_by_sql();
  const std::size_t by_protocol = link.statements.size() - by_sql +
                                  (link.settings_statement == SettingsStatement::made ? 1 : 0);
  const auto count = [](std::string_view which, std::size_t expected) {
    return std::string("pg_catalog.count(*) FILTER (WHERE ")
        .append(which)
        .append(") <> ")
        .append(std::to_string(expected))
        .append(")::pg_catalog.int4");
  };
  return std::string(kInventory)
      .append(count("NOT from_sql", by_protocol))
      .append("+32*(")
      .append(count("from_sql", by_sql))
      .append(
          " FROM pg_catalog.pg_prepared_statements WHERE name OPERATOR(pg_catalog.~) "
          "'^_forebay_([0-9]+|set)$'))");
}

// Whether the server has the session of the user, and in the role, that the client is.
bool same_identity(const LinkRelayState& link, const ClientRelayState& client) {
  const auto same = [&](std::string_view name) {
    const std::string* has = link.settings->find(name);
    const std::string* wanted = client.settings->find(name);
    return has == wanted || (has != nullptr && wanted != nullptr && *has == *wanted);
  };
  return !link.settings_doubtful && same("role") && same("session_authorization");
}

std::unique_ptr<SpecialReply> may_fail() {
  auto special = std::make_unique<SpecialReply>();
  special->may_fail = true;
  return special;
}

}  // namespace

void Relay::link_up(LinkRelayState& link) {
  if (client_.welcome != link.welcome) tell_of_server(link);
  if (!link.has(client_.settings)) {
    const ParameterSetRef before = std::exchange(link.settings, client_.settings);
    auto changes = link.settings_doubtful ? all_changes(*before, *client_.settings)
                                          : difference(*before, *client_.settings);
    link.settings_doubtful = false;
    changes = in_order(*before, *client_.settings, std::move(changes));
    // One may exclude another: log_statement_stats those of its parts.
    const auto resets = [](const ParameterChange& change) { return !change.value; };
    if (!std::is_partitioned(changes.begin(), changes.end(), resets)) {
      std::stable_partition(changes.begin(), changes.end(), resets);
    }
    if (!changes.empty()) {
      const bool becomes = std::any_of(changes.begin(), changes.end(), [](const auto& change) {
        return change.value && (change.name == "role" || change.name == "session_authorization");
      });
      set_session(std::move(changes), link);
      if (becomes) link.confirming = LinkRelayState::Confirming::asked;
    }
  }
  clean_sequences(link);
  if (client_.begin.open != 0) send_begin(link);
  // Clients of a pool mostly have the same settings, and those are one object.
  read_as_client(link);
}

// In a batch of its own. A server that has had temporary tables keeps its buffers for them: nothing
// else is to be taken back by its refusal.
void Relay::set_session(std::vector<ParameterChange> changes, LinkRelayState& link) {
  const auto sync = [&] {
    pg::write_empty(out_.to_server.insert(), Frontend::Sync);
    push(link, {.request = Request::sync, .disposition = Disposition::discard});
  };
  const auto is_buffers = [](const ParameterChange& change) { return change.name == kTempBuffers; };
  const auto buffers = std::find_if(changes.begin(), changes.end(), is_buffers);
  if (buffers != changes.end() && changes.size() > 1) {
    const std::vector<ParameterChange> alone{*buffers};
    changes.erase(buffers);
    change_settings(alone, link, Disposition::discard, true);
    sync();
  }
  change_settings(changes, link, Disposition::discard, true);
  sync();
}

// What differs between this server and the one that the client was told about.
void Relay::tell_of_server(LinkRelayState& link) {
  const WelcomeRef before = std::exchange(client_.welcome, link.welcome);
  if (before == nullptr) return;
  for (const auto& [name, value] : link.welcome->parameters) {
    const std::string* told = before->find(name);
    if ((told != nullptr && *told == value) || client_.settings->find(parameter_name(name))) {
      continue;
    }
    if (told != nullptr && name == kIsSuperuser && !same_identity(link, client_)) {
      // Of whoever was here last; the server says what is true when the session is this client.
      Welcome as_told = *client_.welcome;
      static_cast<void>(as_told.set(name, *told));
      client_.welcome = std::make_shared<const Welcome>(std::move(as_told));
      continue;
    }
    if (link.reader && is_server_fact(name)) continue;
    pg::write_parameter_status(out_.to_client.insert(), name, value);
  }
}

// The settings may have changed since the last text.
void Relay::read_as_client(LinkRelayState& link) const {
  if (link.read_settings != client_.settings || link.read_welcome != link.welcome) {
    link.reading = reading(link.welcome);
    link.read_settings = client_.settings;
    link.read_welcome = link.welcome;
  }
}

// How the text at hand is to be read; where that hangs on an answer that is to come, not at all,
// and what it may do stays on this link.
Reading Relay::reading_now(LinkRelayState& link) {
  read_as_client(link);
  if (!client_.undecided_reading && (client_.undo == nullptr || link.expected.empty())) {
    return link.reading;
  }
  const auto read_alike = [&](const ParameterSetRef& before) {
    const auto same = [&](std::string_view name) {
      const std::string* was = before->find(name);
      const std::string* is = client_.settings->find(name);
      return was == is || (was != nullptr && is != nullptr && *was == *is);
    };
    return before == client_.settings || (same(kStandardStrings) && same(kClientEncoding));
  };
  bool decided = !client_.undecided_reading;
  if (client_.undo != nullptr) {
    decided = decided && read_alike(client_.undo->settings);
    for (const auto& savepoint : client_.undo->savepoints) {
      decided = decided && read_alike(savepoint.settings);
    }
  }
  Reading now = link.reading;
  if (!decided) {
    now.lexable = false;
    client_.pin(PinReason::unknown);
  }
  return now;
}

// How the client's texts are to be read.
Reading Relay::reading(const WelcomeRef& welcome) const {
  const auto value = [&](Bytes name) -> const std::string* {
    const std::string* own = client_.settings == nullptr ? nullptr : client_.settings->find(name);
    return own != nullptr || welcome == nullptr ? own : welcome->find(name);
  };
  Reading reading;
  const std::string* standard = value(kStandardStrings);
  if (standard != nullptr && *standard != "on" && *standard != "true" && *standard != "yes" &&
      *standard != "1") {
    reading.standard = sql::StandardStrings::off;
  }
  const std::string* encoding = value(kClientEncoding);
  reading.lexable = encoding == nullptr || sql::lexable_encoding(*encoding);
  return reading;
}

// Inside a batch. Behind other messages on a portal of our own: the unnamed one is the client's. In
// a transaction that may have failed by then, settings cannot be changed, and go back in any case.
void Relay::change_settings(const std::vector<ParameterChange>& changes, LinkRelayState& link,
                            Disposition disposition, bool own_batch) {
  const bool first = own_batch || (link.status == pg::backend::TransactionStatus::idle &&
                                   link.expected.empty() && !link.expected.batch_open());
  const Bytes portal = first ? Bytes() : Bytes(kSettingsPortal);
  std::string& out = out_.to_server.insert();
  const auto ask = [&](Request request) {
    std::unique_ptr<SpecialReply> special = first ? nullptr : may_fail();
    if (special != nullptr) special->sets_settings = request == Request::parse;
    push(link, {.request = request, .disposition = disposition, .special = std::move(special)});
  };
  if (link.settings_statement != SettingsStatement::made) {
    const bool doubtful = link.settings_statement == SettingsStatement::doubtful;
    link.settings_statement = SettingsStatement::made;
    if (doubtful) {
      pg::write_close(out, pg::frontend::Target::statement, kSettingsStatement);
      ask(Request::close);
    }
    pg::write_parse_text(out, kSettingsStatement, kSettingsText);
    ask(Request::parse);
  }
  for (const ParameterChange& change : changes) {
    const std::pair<Bytes, bool> arguments[] = {{change.name, false},
                                                {change.value.value_or(""), !change.value}};
    pg::write_bind(out, portal, kSettingsStatement, arguments);
    ask(Request::bind);
    pg::write_execute(out, portal, 0);
    ask(Request::execute);
    if (first) continue;
    pg::write_close(out, pg::frontend::Target::portal, portal);
    ask(Request::close);
  }
}

// RESET goes to the server's default; the client's is what it began with. Behind an Execute.
void Relay::restore_startup(const SessionWork& work, LinkRelayState& link) {
  if (client_.startup == nullptr || client_.startup->entries().empty()) return;
  std::vector<ParameterChange> changes;
  for (const SessionStep& step : work.steps) {
    if (step.kind == SessionStep::Kind::reset_all) {
      for (const auto& [name, value] : client_.startup->entries()) changes.push_back({name, value});
    }
    if (step.kind != SessionStep::Kind::reset || step.local) continue;
    const std::string name = parameter_name(step.name);
    if (const std::string* value = client_.startup->find(name)) {
      changes.push_back({step.name, *value});
    }
  }
  // In the client's own batch: what fails here has failed for the client.
  if (!changes.empty()) change_settings(changes, link, Disposition::precede);
}

// Plans know no temporary table that is made after them, where the server has had some before: a
// session of its own would make them anew when it makes its first. Behind an Execute.
void Relay::forget_plans(const SessionWork& work, LinkRelayState& link) {
  if (std::none_of(work.steps.begin(), work.steps.end(),
                   [&](const SessionStep& step) { return makes_temporary(step); })) {
    return;
  }
  std::string& out = out_.to_server.insert();
  const auto owe = [&](Request request) {
    push(link, {.request = request, .disposition = Disposition::precede});
  };
  // Where the last one was cancelled, its name would be taken for good.
  pg::write_close(out, pg::frontend::Target::statement, kPlansStatement);
  owe(Request::close);
  pg::write_parse_text(out, kPlansStatement, kForgetPlans);
  owe(Request::parse);
  pg::write_bind(out, kSettingsPortal, kPlansStatement, {});
  owe(Request::bind);
  pg::write_execute(out, kSettingsPortal, 0);
  owe(Request::execute);
  pg::write_close(out, pg::frontend::Target::portal, kSettingsPortal);
  owe(Request::close);
  pg::write_close(out, pg::frontend::Target::statement, kPlansStatement);
  owe(Request::close);
}

// DISCARD ALL, too; and it cannot have company in its transaction. What follows in a batch of its
// own puts the session right before the client hears that it is ready.
void Relay::start_again(LinkRelayState& link) {
  link.settings_statement = SettingsStatement::none;
  std::vector<ParameterChange> changes;
  for (const auto& [name, value] : client_.startup->entries()) changes.push_back({name, value});
  change_settings(changes, link, Disposition::discard);
  pg::write_empty(out_.to_server.insert(), Frontend::Sync);
  auto special = std::make_unique<SpecialReply>();
  special->starts_again = true;
  push(link, {.request = Request::sync, .special = std::move(special)});
}

void Relay::take_inventory(LinkRelayState& link) {
  auto special = may_fail();
  special->inventory = true;
  pg::write_query(out_.to_server.insert(), inventory(link));
  link.change_unnamed(0, 0);
  push(link, {.request = Request::query,
              .disposition = Disposition::discard,
              .unnamed = UnnamedChange::ours,
              .unnamed_change = link.unnamed_change,
              .special = std::move(special)});
}

}  // namespace forebay::core
