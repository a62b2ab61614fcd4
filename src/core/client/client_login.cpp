#include <algorithm>
#include <utility>

#include "core/client/client_session.hpp"
#include "core/engine/engine.hpp"
#include "core/server/server_link.hpp"
#include "forebay/base/assert.hpp"
#include "forebay/protocol/postgres/sqlstate.hpp"
#include "forebay/protocol/postgres/writer.hpp"

// How a client comes in: start-up, authentication by us or by a server, and the greeting.
namespace forebay::core {
namespace {

using config::AuthMethod;
using config::TlsMode;
using pg::backend::AuthenticationCode;

/// That a server asks no password for a role is believed for so long.
constexpr auto kTrustFor = std::chrono::seconds(30);

// PostgreSQL shows what is not printable ASCII as '?'.
std::string clean(std::string text) {
  for (char& c : text) {
    if (c < 32 || c > 126) c = '?';
  }
  return text;
}

// Whether a request of a server's, a whole message, is one that a client answers.
bool wants_answer(Bytes message) {
  const auto request = pg::backend::Authentication::parse(message.substr(pg::kHeaderSize));
  return request && request->code != AuthenticationCode::Ok &&
         request->code != AuthenticationCode::SASLFinal;
}

// What clients are told about their server: mostly all the same.
void write_welcome(const Welcome& welcome, const Pool::Reported& reported,
                   const std::string* application, std::string& out) {
  if (!welcome.messages.empty() && reported.empty()) {
    const bool replaced = application != nullptr && welcome.application_size > 0;
    const Bytes messages = welcome.messages;
    const std::size_t end = welcome.application_at + welcome.application_size;
    if (!replaced) {
      out += messages;
      return;
    }
    out += messages.substr(0, welcome.application_at);
    pg::write_parameter_status(out, kApplicationName, clean(*application));
    out += messages.substr(end);
    return;
  }
  for (const auto& parameter : welcome.parameters) {
    const std::string& name = parameter.first;
    const auto changed = std::find_if(reported.begin(), reported.end(),
                                      [&](const auto& entry) { return entry.first == name; });
    if (name == kApplicationName && application != nullptr) {
      pg::write_parameter_status(out, name, clean(*application));
    } else {
      pg::write_parameter_status(out, name,
                                 changed == reported.end() ? parameter.second : changed->second);
    }
  }
}

}  // namespace

// ---------------------------------------------------------------- start-up packets

std::size_t ClientSession::start_received(Bytes bytes) {
  const TlsMode mode = engine_.config().client_tls.mode;
  ClientStart::Policy policy;
  policy.tls_offered = engine_.runtime().client_tls != nullptr && network_;
  policy.tls_required = network_ && (mode == TlsMode::require || mode == TlsMode::verify_ca ||
                                     mode == TlsMode::verify_full);
  std::size_t consumed = 0;
  ClientStart::Outcome outcome =
      login_->start.receive(bytes, policy, consumed, engine_.to_client().insert());
  send_own();
  if (const auto* tls = std::get_if<ClientStart::StartTls>(&outcome)) {
    enter(Phase::securing);
    stream_->start_tls_server(engine_.runtime().client_tls, tls->direct ? bytes : Bytes{});
    return bytes.size();
  }
  if (auto* cancel = std::get_if<ClientStart::Cancel>(&outcome)) {
    const std::uint32_t process_id = cancel->process_id;
    std::string key = std::move(cancel->key);
    Engine& engine = engine_;
    std::unique_ptr<Stream> requester = std::move(stream_);
    close({});
    engine.on_cancel_request(process_id, std::move(key), std::move(requester));
    return bytes.size();
  }
  if (auto* facts = std::get_if<StartupFacts>(&outcome)) {
    on_startup(std::move(*facts));
    return consumed;
  }
  if (auto* refused = std::get_if<Refused>(&outcome)) fatal(*refused);
  if (std::holds_alternative<ClientStart::Hang>(outcome)) close({});
  return consumed;
}

void ClientSession::on_secured() {
  if (phase_ != Phase::securing) return;
  secure_ = true;
  login_->start.secured();
  enter(Phase::starting);
}

void ClientSession::on_startup(StartupFacts facts) {
  login_->facts = std::move(facts);
  const StartupFacts& startup = login_->facts;
  long_cancel_key_ = startup.version == pg::kProtocol3_2;
  if (engine_.draining()) {
    fatal({pg::sqlstate::kCannotConnectNow, "the database system is shutting down"});
    return;
  }
  if (!admitted_from_here()) return;
  if (wants_console()) {
    begin_console();
    return;
  }
  choose_cluster();
  if (!admitted()) return;
  if (engine_.shared().pools.disabled(startup.database)) {
    fatal({pg::sqlstate::kCannotConnectNow,
           "database \"" + startup.database + "\" is disabled",
           {},
           "ENABLE it in the console."});
    return;
  }
  if (startup.replication != Replication::none &&
      engine_.config().tenants.serve(startup.database)) {
    fatal({pg::sqlstate::kInvalidAuthorization, "replication is not for tenants"});
    return;
  }
  if (engine_.config().application_name_add_host) add_host();
  authenticate();
}

// Its pool, which is made for it if nobody has come in with these names before: so for a client
// that has shown who it is, or because the server is to say so. False when there is none.
bool ClientSession::find_pool() {
  const StartupFacts& facts = login_->facts;
  const std::string database = place_of_login();
  pool_ = engine_.shared().pools.find_or_make(engine_.runtime(), database, facts.user);
  if (pool_ == nullptr) {
    fatal({pg::sqlstate::kUndefinedDatabase,
           "database \"" + database + "\" does not exist",
           {},
           "Add [databases." + database + "] to the configuration, or \"*\"."});
    return false;
  }
  // A reload may have taken it out meanwhile.
  if (!engine_.runtime().serves(database, facts.user, pool_->key().user)) {
    fatal(terminated());
    return false;
  }
  if (pool_->key().user != facts.user) user_ = std::make_unique<const std::string>(facts.user);
  mode_ = login_->replicates() ? config::PoolMode::session : pool_->settings().pool_mode;
  role_renamings_ = pool_->role_renamings();
  relay_.pool = pool_->serial();
  relay_.catalog = &pool_->catalog();
  relay_.follows = follows_effects();
  relay_.statistics = &pool_->statistics();
  begin_splitting();
  return true;
}

bool ClientSession::follows_effects() const noexcept {
  return mode_ != config::PoolMode::session && pool_->settings().follow_functions;
}

// "psql - 192.0.2.1:40332", as PgBouncer has it; what would not fit goes from the name, not from
// the address. Replication is known to servers by its name (synchronous_standby_names).
void ClientSession::add_host() {
  constexpr std::size_t kNameMax = 63;
  StartupFacts& facts = login_->facts;
  if (facts.replication != Replication::none) return;
  const PeerFacts peer = stream_->peer();
  const std::string host =
      " - " + (peer.unix_socket ? "unix" : to_string(Endpoint{peer.address, peer.port}));
  auto found = std::find_if(facts.settings.begin(), facts.settings.end(), [](const auto& setting) {
    return parameter_name(setting.first) == kApplicationName;
  });
  if (found == facts.settings.end()) {
    found = facts.settings.insert(found, {std::string(kApplicationName), "app"});
  }
  std::string& name = found->second;
  std::size_t size = std::min(name.size(), kNameMax - host.size());
  while (size < name.size() && (name[size] & 0xC0) == 0x80) --size;  // whole characters of UTF-8
  name.resize(size);
  name += host;
}

// ---------------------------------------------------------------- authentication

void ClientSession::authenticate() {
  if (!admitted_to_authenticate()) return;
  const Runtime& runtime = engine_.runtime();
  const std::string& user = login_->facts.user;
  const TlsFacts* tls = stream_->tls();
  if (runtime.config.client_tls.mode == TlsMode::verify_full && tls != nullptr &&
      tls->peer_common_name != user) {
    fatal({pg::sqlstate::kInvalidAuthorization,
           "certificate authentication failed for user \"" + user + "\"",
           {},
           "The common name of the client certificate must be the user's name."});
    return;
  }
  const AuthMethod method = this->method();
  if (method == AuthMethod::server) {
    relay_login();
    return;
  }
  const bool asks = method != AuthMethod::trust && method != AuthMethod::cert;
  if (asks && runtime.looks_up(login_->console ? "" : login_->facts.database, user)) {
    look_up();
  } else {
    ask_who(runtime.find_secrets(user));
  }
}

void ClientSession::ask_who(std::shared_ptr<const auth::UserSecrets> secrets) {
  const Runtime& runtime = engine_.runtime();
  const TlsFacts* tls = stream_->tls();
  const std::string& user = login_->facts.user;
  login_->secrets = std::move(secrets);
  auth::ClientAuthentication::Setup setup;
  setup.method = method();
  const bool asks = setup.method != AuthMethod::trust && setup.method != AuthMethod::cert;
  setup.user = user;
  setup.secrets = login_->secrets;
  setup.unknown_kind =
      login_->lookup ? engine_.shared().secrets.usual_kind() : runtime.usual_secret;
  if (asks) {
    setup.mock = {auth::made_up_salt(runtime.salt_secret, user), runtime.config.scram_iterations};
    engine_.io().entropy(setup.nonce);
    engine_.io().entropy(setup.md5_salt);
  }
  setup.tls = tls != nullptr;
  if (tls != nullptr) {
    setup.end_point = tls->server_end_point;
    setup.peer_common_name = tls->peer_common_name;
  }
  setup.cleartext_allowed = tls != nullptr || !network_ || runtime.config.cleartext_without_tls;
  enter(Phase::authenticating);
  login_->authentication.emplace(std::move(setup));
  on_authentication(login_->authentication->begin(engine_.to_client().insert()));
}

std::size_t ClientSession::authentication_received(Bytes bytes) {
  const pg::Framer::Item item = relay_.framer.next(bytes, pg::kAuthMessageMax);
  if (item.kind == pg::Framer::Kind::need) return 0;
  if (item.kind != pg::Framer::Kind::message || !item.message.is(pg::Frontend::Password)) {
    if (item.message.is(pg::Frontend::Terminate)) {
      close({});
      return bytes.size();
    }
    fatal({pg::sqlstate::kProtocolViolation,
           "expected password response, got message type " +
               std::to_string(static_cast<unsigned char>(item.message.type))});
    return bytes.size();
  }
  if (phase_ == Phase::relayed_login) {
    answer_server(item.bytes, item.message.body);
  } else {
    on_authentication(
        login_->authentication->receive(item.message.body, engine_.to_client().insert()));
  }
  return item.bytes.size();
}

void ClientSession::on_authentication(auth::ClientAuthentication::Outcome outcome) {
  if (auto* refusal = std::get_if<auth::Refusal>(&outcome)) {
    engine_.to_client().clear();
    note(Weight::warning, "authentication_failed", refusal->reason);
    if (login_->lookup && refusal->sqlstate == pg::sqlstate::kInvalidPassword) {
      engine_.shared().secrets.doubt(*login_->lookup, engine_.now());
    }
    fatal({refusal->sqlstate, refusal->message, refusal->detail});
    return;
  }
  if (std::holds_alternative<auth::ClientAuthentication::Continue>(outcome)) {
    send_own();
    return;
  }
  if (login_->console) {
    let_in();
    send_own();
    enter_console(false);
    return;
  }
  // The name of a database is told only to those who may come in.
  if (!find_pool()) return;
  const auto& success = std::get<auth::ClientAuthentication::Success>(outcome);
  if (pool_->key().user == login_->facts.user) {
    pool_->learn_credential(
        auth::credential_towards_servers(login_->secrets.get(), success.recovered));
  }
  let_in();
  meet_server();
}

void ClientSession::let_in() {
  login_->authentication.reset();
  pg::write_authentication(engine_.to_client().insert(), AuthenticationCode::Ok);
}

// ---------------------------------------------------------------- authentication by the server

void ClientSession::relay_login() {
  if (!login_->console && !find_pool()) return;
  const bool dedicated = login_->facts.replication != Replication::none;
  if (!dedicated && engine_.now() < pool_->trusted_until() && may_enter_without_password()) {
    let_in();
    meet_server();
    return;
  }
  enter(Phase::relayed_login);
  waiting_since_ = engine_.now();
  engine_.open_for(*this, true, dedicated);
}

void ClientSession::challenged(Bytes message, const LinkLogin& login) {
  FB_ASSERT(phase_ == Phase::relayed_login);
  const auto request = login.request();
  // A clear-text password goes through us in any case; SCRAM between two TLS connections fails for
  // clients that know of channel binding, so that the password is asked for inside TLS instead.
  const bool in_clear = request == AuthenticationCode::CleartextPassword;
  const bool tls_on_both_sides = request == AuthenticationCode::SASL && secure_ && login.secure();
  const PeerFacts peer = stream_->peer();
  const bool safe = secure_ || peer.loopback || engine_.config().cleartext_without_tls;
  // One exchange opens one host; which of several is the primary shows only behind the login.
  const bool may_need_another = safe && pool_->target().hosts.size() > 1 && !login_->replicates();
  if (!in_clear && !tls_on_both_sides && !may_need_another) {
    login_->challenged = wants_answer(message);
    engine_.to_client().insert().append(message);
    send_own();
    continue_input();
    return;
  }
  if ((in_clear || tls_on_both_sides) && (!safe || !login.cleartext_allowed())) {
    fatal({pg::sqlstate::kInvalidAuthorization,
           "the server asks for a clear-text password, which is not sent over connections without "
           "TLS",
           {},
           "Use TLS, have the server use scram-sha-256, or set cleartext_without_tls = true."});
    return;
  }
  login_->asked_password = true;
  pg::write_authentication(engine_.to_client().insert(), AuthenticationCode::CleartextPassword);
  send_own();
  continue_input();  // it may have come with the start-up message
}

void ClientSession::answer_server(Bytes whole, Bytes body) {
  // What was not asked for the server would take for something said later, by another client.
  const bool asked = login_->asked_password || std::exchange(login_->challenged, false);
  if (link_ == nullptr || !asked) {
    fatal({pg::sqlstate::kProtocolViolation, "password response without a request"});
    return;
  }
  if (!login_->asked_password) {
    link_->answer(whole);
    return;
  }
  const auto message = pg::frontend::PasswordMessage::parse(body);
  if (!message || message->password.empty()) {
    fatal({pg::sqlstate::kInvalidPassword, "empty password returned by client"});
    return;
  }
  login_->asked_password = false;
  link_->answer_with(auth::Password(config::Secret(std::string(message->password))));
}

void ClientSession::let_in_by_server(const LinkLogin& login) {
  login_->asked_password = login_->challenged = false;  // it may not have waited for the answer
  if (login.asked_nothing()) {
    if (!may_enter_without_password()) {
      fatal({pg::sqlstate::kInvalidAuthorization,
             "the server asks Forebay for no password, which is not passed on to this client",
             "The client is not on the machine where Forebay runs, or the server trusts the "
             "operating-system user that Forebay runs as.",
             "Have the server ask for a password, or set passwordless_from_anywhere = true."});
      return;
    }
    pool_->learn_trusted(engine_.now() + kTrustFor);
  }
  let_in();
  send_own();
}

// What the server grants to us it would not always grant to the client: it sees our address, and
// through a Unix-domain socket our operating-system user.
bool ClientSession::may_enter_without_password() const {
  if (engine_.config().passwordless_from_anywhere) return true;
  const PeerFacts peer = stream_->peer();
  const auto& hosts = pool_->target().hosts;
  const bool by_unix =
      std::any_of(hosts.begin(), hosts.end(), [](const Endpoint& host) { return host.is_unix(); });
  if (by_unix) return peer.uid && *peer.uid == engine_.runtime().own_uid;
  return peer.loopback;
}

void ClientSession::login_done() {
  link_ = nullptr;
  if (phase_ != Phase::relayed_login) return;
  meet_server();
  settle();
}

void ClientSession::login_link_ready(ServerLink& link) {
  const Welcome welcome = link.relay().reported;
  relay_.settings = link.relay().settings;
  relay_.pin(PinReason::session_mode);
  take_server_id(link.process_id());
  enter(Phase::linked);
  greet(welcome, {});
}

// ---------------------------------------------------------------- the greeting

// The client is let in: now it is told who its server is. Both in one send where that is known.
void ClientSession::meet_server() {
  login_->authenticating.leave();
  if (!admitted_by_name()) return;
  const StartupFacts& facts = login_->facts;
  enter(Phase::awaiting_server);
  if (facts.replication != Replication::none) {
    send_own();
    waiting_since_ = engine_.now();
    engine_.open_for(*this, false, true);
    return;
  }
  if (!take_tenant()) return;
  take_target();
  follow_rules();
  ParameterSets& sets = engine_.shared().parameter_sets;
  relay_.settings = sets.make(facts.settings);
  auto checked = facts.settings;
  std::erase_if(checked, [](const auto& setting) {
    return parameter_name(setting.first) == kApplicationName;
  });
  login_->checked = sets.make(std::move(checked));
  if (relay_.tenant != nullptr && !relay_.tenant->policy->setting.empty()) {
    auto settings = facts.settings;
    settings.emplace_back(relay_.tenant->policy->setting, relay_.tenant->value);
    relay_.settings = sets.make(std::move(settings));
  }
  relay_.startup = relay_.settings;

  const WelcomeRef welcome = pool_->welcome();
  if (mode_ != config::PoolMode::session && welcome != nullptr) {
    const bool unchecked = login_->checked == sets.empty();
    if (const auto known = unchecked ? Pool::Reported{} : pool_->accepted(login_->checked)) {
      relay_.welcome = welcome;
      enter(Phase::idle);
      greet(*welcome, *known);
      return;
    }
  }
  if (const auto refused = pool_->unavailable(engine_.now()); refused && !without_primary()) {
    fatal(*refused);
    return;
  }
  send_own();
  await_server();
}

void ClientSession::await_server() {
  // In session mode it keeps what it gets here.
  if (mode_ == config::PoolMode::session && relay_.tenant != nullptr) {
    if (throttle_ == nullptr) follow_limits();
    if (throttle_ != nullptr && !enter_links()) {
      if (phase_ == Phase::awaiting_server) arm_login_wait();
      return;
    }
  }
  waiting_since_ = engine_.now();
  if (ServerLink* link = engine_.acquire(*this)) {
    meet(*link);
    return;
  }
  arm_login_wait();
}

// Who waits at its login does so no longer than a statement would.
void ClientSession::arm_login_wait() {
  const auto wait = pool_->settings().query_wait_timeout;
  const auto login = engine_.config().client_login_timeout;
  if (wait.count() > 0 && (login.count() == 0 || wait < login)) arm(wait);
}

void ClientSession::meet(ServerLink& link) {
  if (login_->checked != engine_.shared().parameter_sets.empty()) {
    const auto known = pool_->accepted(login_->checked);
    if (!known || mode_ == config::PoolMode::session) {
      enter(Phase::validating);
      link_ = &link;
      link.validate(*this);
      return;
    }
    met(link, *known);
    return;
  }
  met(link, {});
}

void ClientSession::settings_tried(ServerLink& link) {
  LinkRelayState& relay = link.relay();
  link_ = nullptr;
  if (!relay.own_error.empty()) {
    const std::string body = std::exchange(relay.own_error, {});
    const auto fields = pg::backend::Fields::parse(body);
    const Refused refused{std::string(fields.sqlstate), std::string(fields.message),
                          std::string(fields.detail), std::string(fields.hint)};
    engine_.release(link);
    fatal(refused);
    return;
  }
  const bool keeps_buffers = relay.poisoned && login_->checked->find(kTempBuffers) != nullptr;
  if (keeps_buffers && !std::exchange(login_->replaced, true)) {
    engine_.release(link);
    wait_again();
    return;
  }
  const bool becomes = login_->checked->find("role") != nullptr ||
                       login_->checked->find("session_authorization") != nullptr;
  Pool::Reported reported;
  for (const auto& [name, value] : relay.reported.parameters) {
    const std::string* usual = relay.welcome->find(name);
    const bool whose = becomes && name == kIsSuperuser;  // the link is already who it becomes
    if (name != kApplicationName && (usual == nullptr || *usual != value || whose)) {
      reported.emplace_back(name, value);
    }
  }
  pool_->learn_accepted(login_->checked, reported);
  met(link, reported);
}

// A link has told all that there is to tell.
void ClientSession::met(ServerLink& link, const Pool::Reported& reported) {
  const WelcomeRef welcome = welcome_of(link.relay(), reported);
  relay_.welcome = welcome;
  if (mode_ == config::PoolMode::session) {
    relay_.pin(PinReason::session_mode);
    take_server_id(link.process_id());
    waiting_since_ = engine_.now();
    link_up(link);
    send_both();
    greet(*welcome, reported);
  } else {
    enter(Phase::idle);
    greet(*welcome, reported);
    engine_.release(link);
  }
}

void ClientSession::greet(const Welcome& welcome, const Pool::Reported& reported) {
  if (login_->console) {
    send_own();
    const std::string* superuser = welcome.find("is_superuser");
    enter_console(superuser != nullptr && *superuser == "on");
    return;
  }
  timer_.cancel();
  if (mode_ != config::PoolMode::session) complete_date_style(welcome, reported);
  std::string& out = engine_.to_client().insert();
  const std::string* application =
      relay_.settings == nullptr ? nullptr : relay_.settings->find(kApplicationName);
  write_welcome(welcome, reported, application, out);
  engine_.io().entropy(cancel_key_);
  const std::size_t key_size = long_cancel_key_ ? cancel_key_.size() : 4;
  const Bytes cancel_key(cancel_key_.data(), key_size);
  pg::write_backend_key_data(out, relay_.process_id, cancel_key);
  if (relay_.process_id != engine_.process_id(key_)) {
    engine_.shared().server_ids.add(relay_.process_id, key_, std::string(cancel_key));
  }
  pg::write_ready_for_query(out, pg::backend::TransactionStatus::idle);
  send_own();

  if (engine_.shared().journal.wants_connections()) {
    note(Weight::normal, "client_connected", secure_ ? "logged in, inside TLS" : "logged in");
  }
  engine_.counters().clients_logged_in.add();
  pool_->client_came();
  login_.reset();
  follow_limits();
  relay_.framer = pg::Framer(pg::Sender::client);
  moves_ = is_misplaced();  // a reload has overtaken its login
  continue_input();
  settle();
}

}  // namespace forebay::core
