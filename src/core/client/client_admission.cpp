#include <algorithm>
#include <limits>
#include <utility>

#include "core/client/client_session.hpp"
#include "core/client/proxy_header.hpp"
#include "core/engine/engine.hpp"
#include "forebay/protocol/postgres/sqlstate.hpp"

// Whether there is room for one more client: in all, from its address, of its database and user.
namespace forebay::core {
namespace {

/// Clients beyond max_client_conn, for admin_users only; the console has places of its own.
constexpr std::uint32_t kReservedForAdmins = 3;

}  // namespace

bool ClientSession::behind_balancer() const {
  const auto& balancers = engine_.config().proxy_protocol_from;
  if (balancers.empty() || !network_) return false;
  const auto address = config::parse_ip_address(stream_->peer().address);
  return address && std::ranges::any_of(balancers, [&](const config::Network& network) {
           return network.contains(*address);
         });
}

// Before a word of PostgreSQL's protocol, so that what is wrong is answered by no word either.
std::size_t ClientSession::header_received(Bytes bytes) {
  const auto header = parse_proxy_header(bytes);
  if (!header) {
    engine_.counters().refused_headers.add();
    note(Weight::warning, "proxy_header_refused",
         "no header of the PROXY protocol, which is required by proxy_protocol_from: " +
             header.error().message);
    close({});
    return bytes.size();
  }
  if (header->size == 0) return 0;
  login_->header_due = false;
  if (header->source) stream_->set_peer(header->source->address.bytes, header->source->port);
  return header->size + start_received(bytes.substr(header->size));
}

// Physical replication is of a whole cluster: PostgreSQL looks at no database then, and
// pg_basebackup names none that there is. Where all lead to the same hosts, any will do.
void ClientSession::choose_cluster() {
  const config::Config& config = engine_.config();
  if (login_->facts.replication != Replication::physical || config.databases.empty() ||
      config.find_database(login_->facts.database) != nullptr) {
    return;
  }
  const auto& [first, entry] = *config.databases.begin();
  const bool alike = std::ranges::all_of(config.databases, [&entry = entry](const auto& other) {
    return other.second.hosts == entry.hosts;
  });
  if (alike) login_->facts.database = first;
}

// What [forebay], the listener, the database and the user say of its address.
bool ClientSession::admitted_from_here() {
  if (!network_) return true;
  const config::Config& config = engine_.config();
  const StartupFacts& facts = login_->facts;
  const auto permit = [&](const config::AddressRules& rules, const auto& where) {
    if (rules.allow_from.empty() && rules.deny_from.empty()) return true;
    const std::string address = stream_->peer().address;
    const std::string_view key = rules.refusing(address);
    if (key.empty()) return true;
    engine_.counters().refused_addresses.add();
    fatal({pg::sqlstate::kInvalidAuthorization,
           "connections from address " + address + " are not allowed (" +
               (key == "deny_from" ? "it is in " : "it is not in ") + std::string(key) +
               ", set in " + where() + ")"});
    return false;
  };
  if (!permit(config.addresses, [] { return "[forebay]"; })) return false;
  if (!config.listen_allow_from.empty() || !config.listen_deny_from.empty()) {
    const std::string listener = engine_.shared().listeners.of(login_->listener);
    if (!permit(config.listener_rules(listener),
                [&] { return "[forebay] for listener \"" + listener + "\""; })) {
      return false;
    }
  }
  const config::Database* database =
      wants_console() ? nullptr : config.find_database(facts.database);
  if (database != nullptr &&
      !permit(database->addresses, [&] { return config.label_of_database(facts.database); })) {
    return false;
  }
  const config::User* user = config.find_user(facts.user);
  return user == nullptr ||
         permit(user->addresses, [&] { return config::Config::label_of_user(facts.user); });
}

// The address first: it must not use up what is for all.
bool ClientSession::admitted_at_this_rate() {
  const config::Config& config = engine_.config();
  LoginRates& rates = engine_.shared().login_rates;
  const auto permit = [&](const std::string& name, std::uint32_t max, Counter& counter,
                          std::string_view key) {
    if (max == 0 || rates.enter(name, max, engine_.now())) return true;
    counter.add();
    fatal({pg::sqlstate::kTooManyConnections,
           "too many logins per second" + (name.empty() ? "" : " from address " + name) + " (" +
               std::string(key) + " = " + std::to_string(max) + ", set in [forebay])",
           {},
           "Try again in a second, or use connections for longer."});
    return false;
  };
  Counters& counters = engine_.counters();
  const std::uint32_t of_address = network_ ? config.max_address_logins_per_second : 0;
  return (of_address == 0 ||
          permit(stream_->peer().address, of_address, counters.refused_address_logins,
                 "max_address_logins_per_second")) &&
         permit({}, config.max_logins_per_second, counters.refused_logins, "max_logins_per_second");
}

bool ClientSession::admitted_to_authenticate() {
  const std::uint32_t max = engine_.config().max_authenticating_clients;
  if (login_->console ||
      login_->authenticating.enter(engine_.shared().authenticating_clients, max)) {
    return true;
  }
  engine_.counters().refused_authenticating.add();
  fatal({pg::sqlstate::kTooManyConnections,
         "too many clients are logging in (max_authenticating_clients = " + std::to_string(max) +
             ", set in [forebay])"});
  return false;
}

// Exact, whatever the threads do.
bool ClientSession::admitted() {
  if (!admitted_at_this_rate()) return false;
  const std::uint32_t max = engine_.runtime().max_client_conn;
  std::atomic<std::uint32_t>& clients = engine_.shared().clients;
  const std::uint32_t others = clients.fetch_add(1, std::memory_order_relaxed);
  const bool reserved = others >= max && others < max + kReservedForAdmins &&
                        config::listed(engine_.config().admin_users, login_->facts.user);
  if (others >= max && !reserved) {
    clients.fetch_sub(1, std::memory_order_relaxed);
    engine_.counters().refused_max_client_conn.add();
    fatal({pg::sqlstate::kTooManyConnections, "sorry, too many clients already",
           "The limit is max_client_conn = " + std::to_string(max) + ".",
           "Raise max_client_conn in [forebay]."});
    return false;
  }
  counted_ = true;
  const std::uint32_t of_address = engine_.config().max_address_client_connections;
  return !network_ || of_address == 0 ||
         take_place({ClientGroup::address, stream_->peer().address}, of_address);
}

// Asked of those only who have shown who they are: nobody else can use up somebody's places.
bool ClientSession::admitted_by_name() {
  if (login_->replicates()) return true;
  const config::Config& config = engine_.config();
  const std::string& database = login_->facts.database;
  const std::string& user = login_->facts.user;
  if (const config::Database* entry = config.find_database(database);
      entry != nullptr &&
      (!take_place({ClientGroup::database, database}, entry->max_db_client_connections) ||
       !take_place({ClientGroup::pool, database, user}, entry->max_pool_client_connections))) {
    return false;
  }
  const config::User* entry = config.find_user(user);
  return entry == nullptr ||
         take_place({ClientGroup::user, user}, entry->max_user_client_connections);
}

// False when all places are taken, and the client has been told.
bool ClientSession::take_place(ClientLimits::Place place, std::uint32_t max) {
  // Those of tenants count in any case: a limit may be ordered while they are here.
  if (max == 0 && place.group != ClientGroup::tenant) return true;
  const std::uint32_t most = max == 0 ? std::numeric_limits<std::uint32_t>::max() : max;
  if (engine_.shared().client_limits.enter(place, most)) {
    if (places_ == nullptr) places_ = std::make_unique<std::vector<ClientLimits::Place>>();
    places_->push_back(std::move(place));
    return true;
  }
  const auto refuse = [&](Counter& counter, const std::string& what, const std::string& key,
                          const std::string& where) {
    counter.add();
    fatal({pg::sqlstate::kTooManyConnections, "too many connections " + what + " (" + key + " = " +
                                                  std::to_string(max) + ", set in " + where + ")"});
    return false;
  };
  Counters& counters = engine_.counters();
  const std::string& name = place.name;
  switch (place.group) {
    case ClientGroup::address:
      return refuse(counters.refused_address_clients, "from address " + name,
                    "max_address_client_connections", "[forebay]");
    case ClientGroup::database:
      return refuse(counters.refused_db_clients, "for database \"" + name + "\"",
                    "max_db_client_connections", engine_.config().label_of_database(name));
    case ClientGroup::pool:
      return refuse(counters.refused_pool_clients,
                    "for role \"" + place.user + "\" in database \"" + name + "\"",
                    "max_pool_client_connections", engine_.config().label_of_database(name));
    case ClientGroup::tenant:
      return refuse(counters.refused_tenant_clients, "for tenant \"" + name + "\"",
                    "max_tenant_client_connections",
                    engine_.config().tenants.label_of(
                        name, &config::TenantLimits::max_tenant_client_connections,
                        engine_.ordered_limits(name)));
    case ClientGroup::user:
      break;
  }
  return refuse(counters.refused_user_clients, "for role \"" + name + "\"",
                "max_user_client_connections", config::Config::label_of_user(name));
}

void ClientSession::leave_places() {
  if (counted_) engine_.shared().clients.fetch_sub(1, std::memory_order_relaxed);
  counted_ = false;
  const auto places = std::move(places_);
  if (places == nullptr) return;
  for (const ClientLimits::Place& place : *places) engine_.shared().client_limits.leave(place);
}

config::AuthMethod ClientSession::method() const {
  const config::Config& config = engine_.config();
  const config::Database* entry =
      login_->console ? nullptr : config.find_database(login_->facts.database);
  return entry != nullptr && entry->auth ? *entry->auth : config.auth;
}

// Whoever sends a password with its start-up message, or statements with that, has sent what stands
// behind it already.
bool ClientSession::logged_further(Phase before) const noexcept {
  if (stash_.empty() || phase_ == before) return false;
  if (before == Phase::starting && phase_ == Phase::authenticating) return true;
  const bool let_in = phase_ == Phase::idle || phase_ == Phase::linked;
  return let_in && (before == Phase::starting || before == Phase::authenticating);
}

// What the server says, but for whether the user is a superuser: its link may be in the role of
// whoever was there last.
WelcomeRef ClientSession::welcome_of(const LinkRelayState& link,
                                     const Pool::Reported& reported) const {
  const auto found = std::find_if(reported.begin(), reported.end(),
                                  [&](const auto& entry) { return entry.first == kIsSuperuser; });
  const WelcomeRef usual = pool_->welcome();
  const std::string* own = usual == nullptr ? nullptr : usual->find(kIsSuperuser);
  if (found != reported.end()) own = &found->second;
  const std::string* said = link.welcome->find(kIsSuperuser);
  if (own == nullptr || said == nullptr || *own == *said) return link.welcome;
  Welcome welcome = *link.welcome;
  static_cast<void>(welcome.set(kIsSuperuser, *own));
  return std::make_shared<const Welcome>(std::move(welcome));
}

// Half a DateStyle would mean something else on another link: the session has what it is told.
void ClientSession::complete_date_style(const Welcome& welcome, const Pool::Reported& reported) {
  constexpr Bytes kReportedName = "DateStyle";
  const std::string* half = relay_.settings->find(kDateStyle);
  if (half == nullptr || !is_half_a_date_style(kDateStyle, *half)) return;
  const auto found = std::find_if(reported.begin(), reported.end(),
                                  [&](const auto& entry) { return entry.first == kReportedName; });
  const std::string* told = found != reported.end() ? &found->second : welcome.find(kReportedName);
  if (told == nullptr) return;
  relay_.settings = engine_.shared().parameter_sets.with(*relay_.settings, kDateStyle, *told);
  relay_.startup = relay_.settings;
}

}  // namespace forebay::core
