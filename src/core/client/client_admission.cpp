#include <utility>

#include "core/client/client_session.hpp"
#include "core/engine/engine.hpp"
#include "forebay/protocol/postgres/sqlstate.hpp"

// Whether there is room for one more client: in all, from its address, of its database and user.
namespace forebay::core {

// Exact, whatever the threads do.
bool ClientSession::admitted() {
  const std::uint32_t max = engine_.runtime().max_client_conn;
  std::atomic<std::uint32_t>& clients = engine_.shared().clients;
  if (clients.fetch_add(1, std::memory_order_relaxed) >= max) {
    clients.fetch_sub(1, std::memory_order_relaxed);
    engine_.counters().refused_max_client_conn.add();
    fatal({pg::sqlstate::kTooManyConnections, "sorry, too many clients already",
           "The limit is max_client_conn = " + std::to_string(max) + ".",
           "Raise max_client_conn in [forebay]."});
    return false;
  }
  counted_ = true;
  if (!network_) return true;
  return take_place(ClientGroup::address, stream_->peer().address,
                    engine_.config().max_address_client_connections);
}

// Asked of those only who have shown who they are: nobody else can use up somebody's places.
bool ClientSession::admitted_by_name() {
  if (login_->replicates()) return true;
  const config::Config& config = engine_.config();
  const std::string& database = login_->facts.database;
  const std::string& user = login_->facts.user;
  if (const config::Database* entry = config.find_database(database);
      entry != nullptr &&
      !take_place(ClientGroup::database, database, entry->max_db_client_connections)) {
    return false;
  }
  const config::User* entry = config.find_user(user);
  return entry == nullptr ||
         take_place(ClientGroup::user, user, entry->max_user_client_connections);
}

// False when all places are taken, and the client has been told.
bool ClientSession::take_place(ClientGroup group, const std::string& name, std::uint32_t max) {
  if (max == 0) return true;
  ClientLimits::Place place{group, name};
  if (engine_.shared().client_limits.enter(place, max)) {
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
  switch (group) {
    case ClientGroup::address:
      return refuse(counters.refused_address_clients, "from address " + name,
                    "max_address_client_connections", "[forebay]");
    case ClientGroup::database:
      return refuse(counters.refused_db_clients, "for database \"" + name + "\"",
                    "max_db_client_connections", engine_.config().label_of_database(name));
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

}  // namespace forebay::core
