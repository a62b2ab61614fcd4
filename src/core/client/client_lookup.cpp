#include <utility>

#include "core/client/client_session.hpp"
#include "core/engine/engine.hpp"
#include "core/engine/mail.hpp"

// Clients whose secrets auth_query knows, and not the configuration.
namespace forebay::core {

// The client is asked in the same way and fails in the same way whether there is such a user or
// not.
void ClientSession::look_up() {
  const StartupFacts& facts = login_->facts;
  config::AuthQuery by = engine_.config().lookup_for(login_->console ? "" : facts.database);
  login_->lookup = LookupKey{
      {std::move(by.auth_dbname), std::move(by.auth_user), std::move(by.auth_query)}, facts.user};
  if (const auto known = engine_.shared().secrets.find(*login_->lookup, engine_.now())) {
    ask_who(known->secrets);
    return;
  }
  enter(Phase::looking_up);
  engine_.shared().courier->send(WorkerId(0), mail::LookUp{*login_->lookup, key_});
}

void ClientSession::looked_up(std::shared_ptr<const auth::UserSecrets> secrets,
                              const Refused& refused) {
  if (phase_ != Phase::looking_up) return;
  if (!refused.message.empty()) {
    fatal(refused);
    return;
  }
  ask_who(std::move(secrets));
  continue_input();
  settle();
}

}  // namespace forebay::core
