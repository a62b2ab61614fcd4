#include <utility>

#include "core/client/client_session.hpp"
#include "core/engine/engine.hpp"
#include "core/server/server_link.hpp"

// Which rules for single statements may concern a session, and what they want logged.
namespace forebay::core {

// What the configuration says now.
void ClientSession::follow_rules() {
  relay_.rules.reset();
  const auto& set = engine_.runtime().rules;
  // What replicates says no statements.
  if (set == nullptr || (link_ != nullptr && link_->dedicated())) return;
  const PeerFacts peer = stream_->peer();
  const rules::Mask mine = set->of_session(pool_->key().database, user(),
                                           relay_.tenant == nullptr ? "" : relay_.tenant->value,
                                           peer.unix_socket ? std::string() : peer.address);
  if (mine == 0) return;
  relay_.rules = std::make_unique<SessionRules>(SessionRules{set, mine, {}});
}

void ClientSession::note_rules() {
  if (!engine_.measures().audit.fresh().empty()) keep_audit(link_);
  std::vector<std::string>& lines = engine_.rule_log();
  if (lines.empty()) return;
  for (std::string& line : std::exchange(lines, {})) {
    note(Weight::normal, "rule_matched", std::move(line));
  }
}

}  // namespace forebay::core
