#include <algorithm>
#include <utility>

#include "core/client/client_session.hpp"
#include "core/engine/engine.hpp"
#include "core/server/server_link.hpp"
#include "forebay/protocol/postgres/sqlstate.hpp"
#include "forebay/protocol/postgres/writer.hpp"

// Clients of the console's databases log in as all others, and are handed to the console then.
namespace forebay::core {
namespace {

/// Clients of the console at a time, logging in or logged in. They are not counted against
/// max_client_conn, so that operators come in when it is reached.
constexpr std::uint32_t kConsolesMax = 20;
/// Beyond these, for the user that this process runs as: others may have taken all places without
/// any password, as long as they are only logging in.
constexpr std::uint32_t kOwnConsolesMax = 5;

// The entry whose server says who is who. More than one server could disagree.
const std::pair<const std::string, config::Database>* judge(const config::Config& config) {
  const auto& databases = config.databases;
  auto found = databases.find("*");
  if (found == databases.end() && databases.size() == 1) found = databases.begin();
  if (found == databases.end() || !found->second.user.empty()) return nullptr;
  return &*found;
}

}  // namespace

bool ClientSession::wants_console() const {
  return engine_.shared().consoles != nullptr &&
         std::ranges::find(config::kConsoleDatabases, login_->facts.database) !=
             std::end(config::kConsoleDatabases);
}

void ClientSession::begin_console() {
  // Whoever runs this process administers it, also when nobody is listed.
  const PeerFacts peer = stream_->peer();
  const bool own = peer.unix_socket && peer.uid && *peer.uid == engine_.runtime().own_uid;
  const std::uint32_t max = own ? kConsolesMax + kOwnConsolesMax : kConsolesMax;
  std::atomic<std::uint32_t>& clients = engine_.shared().console_clients;
  if (clients.fetch_add(1, std::memory_order_relaxed) >= max) {
    clients.fetch_sub(1, std::memory_order_relaxed);
    fatal({pg::sqlstate::kTooManyConnections, "sorry, too many clients of the console already",
           "The limit is " + std::to_string(max) + ".", "Close idle ones."});
    return;
  }
  login_->console = true;
  if (login_->replicates()) {
    fatal({pg::sqlstate::kFeatureNotSupported, "the console has no replication"});
    return;
  }
  if (own && std::ranges::find(config::kConsoleDatabases, login_->facts.user) !=
                 std::end(config::kConsoleDatabases)) {
    let_in();
    send_own();
    enter_console(true);
    return;
  }
  if (engine_.config().auth == config::AuthMethod::server) {
    const auto* entry = judge(engine_.config());
    if (entry == nullptr) {
      fatal({pg::sqlstate::kInvalidAuthorization,
             "no one server can say who may use the console",
             {},
             "With auth = \"server\", have one entry in [databases], without user, or \"*\"."});
      return;
    }
    const std::string database = entry->first == "*" ? "postgres" : entry->first;
    pool_ = engine_.shared().pools.find_or_make(engine_.runtime(), database, login_->facts.user);
    if (pool_ == nullptr) {  // a reload has taken it out, of which this worker has not heard
      fatal(terminated());
      return;
    }
    role_renamings_ = pool_->role_renamings();
    relay_.pool = pool_->serial();
    relay_.catalog = &pool_->catalog();
    // They are the console's, not the server's.
    login_->console_settings.swap(login_->facts.settings);
  }
  authenticate();
}

// The client is let in. It moves when everything that it said in this turn is in the stash.
void ClientSession::enter_console(bool superuser) {
  login_->superuser = superuser;
  enter(Phase::console);
  engine_.timers().arm(timer_, engine_.now());
}

void ClientSession::move_to_console() {
  Consoles::Setup setup;
  setup.number = engine_.shared().next_serial.fetch_add(1, std::memory_order_relaxed);
  setup.facts = std::move(login_->facts);
  if (!login_->console_settings.empty()) setup.facts.settings.swap(login_->console_settings);
  setup.received = stash_.view();
  setup.unsent = unsent_.view();
  setup.server_decided = pool_ != nullptr;
  setup.superuser = login_->superuser;
  if (!reading_) stream_->resume();
  setup.stream = std::move(stream_);
  login_->console = false;  // its place goes with it
  engine_.counters().clients_logged_in.add();
  Engine& engine = engine_;
  close({});
  engine.open_console(std::move(setup));
}

}  // namespace forebay::core
