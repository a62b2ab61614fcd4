#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "core/client/client_session.hpp"
#include "core/client/replica_use.hpp"
#include "core/engine/engine.hpp"
#include "core/relay/relay.hpp"
#include "core/server/server_link.hpp"
#include "forebay/base/assert.hpp"
#include "forebay/config/names.hpp"

// Reads on replicas: where a session's next batch goes, and that nobody sees when it goes twice.
namespace forebay::core {
namespace {

constexpr Bytes kMinLsn = "forebay.min_lsn";
constexpr Bytes kTarget = "forebay.target";

}  // namespace

void ClientSession::begin_splitting() {
  const bool says = relay_.tenant != nullptr && relay_.tenant->says.any();
  relay_.lazy = (says || pool_->settings().lazy_begin) && mode_ == config::PoolMode::transaction;
  if (pool_->readers().empty() || mode_ == config::PoolMode::session) return;
  relay_.splits = true;
  replicas_ = std::make_unique<ReplicaUse>();
}

// What the configuration says of it stands among its settings, as if it had begun with that.
void ClientSession::take_target() {
  if (replicas_ == nullptr) return;
  auto& settings = login_->facts.settings;
  const bool says = std::any_of(settings.begin(), settings.end(), [](const auto& setting) {
    return parameter_name(setting.first) == kTarget;
  });
  const config::ReadTarget target = engine_.config().target_of(
      engine_.shared().listeners.of(login_->listener), pool_->settings());
  if (says || target == config::ReadTarget::any) return;
  settings.emplace_back(kTarget, to_string(target));
}

Pool& ClientSession::source() const noexcept {
  return replicas_ != nullptr && replicas_->reader != nullptr ? *replicas_->reader : *pool_;
}

// A server is needed for the message at the front: which? False: none yet, since a replica may do
// it in a moment. `again`: nothing was taken since it was asked for last.
bool ClientSession::choose_server(Bytes bytes, bool again) {
  ReplicaUse& use = *replicas_;
  FB_ASSERT(use.reader == nullptr && use.batch == 0);
  use.only_read = 0;
  const bool refused = std::exchange(use.for_primary, false);
  Instant came = std::exchange(use.came, kNever);
  const Relay relay(rules(), relay_, {engine_.to_client(), engine_.to_server()});
  const Relay::Batch batch = relay.look_ahead(bytes);
  // What a replica could not do is taken for a write: more is not known of it.
  const bool begins = batch.route.access() == split::Access::begin_read_only;
  if ((batch.size == 0 && !begins) || refused) return true;
  const bool strong = pool_->settings().read_consistency == config::ReadConsistency::strong;
  // A transaction sees what is written while it is open, too.
  const std::optional<routing::Lsn> lsn = min_lsn();
  if ((strong && batch.route.access() != split::Access::read) || !lsn) return true;
  const bool fresh = came == kNever || !again;
  if (fresh) {
    came = engine_.now();
    if (strong) {
      // Others may have written until it came, which was in this turn.
      use.unsettled = true;
      use.ended = came;
    }
  }
  waiting_since_ = std::min(waiting_since_, came);
  turn_over();
  const bool waits = came + pool_->settings().read_wait_timeout > engine_.now();
  bool behind = false;
  if (!use.unsettled || waits) {
    // What is not settled is more than is known of anybody.
    const Instant since = use.unsettled ? kNever - Duration(1) : use.since;
    use.reader = engine_.choose_reader(*pool_, {since, *lsn, batch.max_lag}, behind);
  }
  // A reload may have left a single host meanwhile.
  const std::shared_ptr<Cluster>& cluster = pool_->target().cluster;
  if (use.reader == nullptr && behind && waits && cluster != nullptr) {
    if (fresh) engine_.counters().replica_waits.add();
    await_replica(cluster, came);
    return false;
  }
  if (use.reader != nullptr) {
    use.batch = static_cast<std::uint32_t>(batch.size);
    use.sent = 0;
    use.route = batch.route;
  } else {
    use.only_read = static_cast<std::uint32_t>(batch.size);
    if (!fresh) engine_.counters().replica_waits_failed.add();
  }
  return true;
}

// What the session says that its reads must see; nothing: it cannot be read.
std::optional<routing::Lsn> ClientSession::min_lsn() const {
  const std::string* said = relay_.settings->find(kMinLsn);
  return said == nullptr || said->empty() ? 0 : routing::parse_lsn(*said);
}

bool ClientSession::awaits_replica() const noexcept {
  return phase_ == Phase::held && replicas_ != nullptr && replicas_->came != kNever;
}

// The batch at the front came at that time, and waits until a replica is known to have what it must
// show.
void ClientSession::await_replica(const std::shared_ptr<Cluster>& cluster, Instant came) {
  replicas_->came = came;
  enter(Phase::held);
  const Instant until = came + pool_->settings().read_wait_timeout;
  engine_.timers().arm(timer_, until);
  engine_.await_replicas(cluster, key_, std::exchange(replicas_->listed, true), until);
}

// What was written last was answered in a turn before this one. Who was moved to another database
// meanwhile may read from no replica any more.
void ClientSession::turn_over() {
  if (replicas_ == nullptr) return;
  ReplicaUse& use = *replicas_;
  if (!use.unsettled || use.ended == engine_.now()) return;
  use.since = engine_.now();
  use.unsettled = false;
}

void ClientSession::replicas_seen() {
  if (replicas_ == nullptr) return;
  replicas_->listed = false;
  go_on_waiting();
}

// The batch is looked at again, from its first byte. It may be answered without any server.
void ClientSession::go_on_waiting() {
  if (!awaits_replica()) return;
  timer_.cancel();
  enter(Phase::idle);
  continue_input();
  if (replicas_ != nullptr && !awaits_replica()) replicas_->came = kNever;
  settle();
}

// Sends the attempt, which stands at the front of `bytes` and stays there.
void ClientSession::send_attempt(Bytes bytes) {
  ReplicaUse& use = *replicas_;
  if (relay_.attempt == Attempt::none) {
    send_own();  // what the client is told already is not of the attempt
    relay_.attempt = Attempt::open;
    use.began = engine_.now();
    engine_.counters().replica_batches.add();
  }
  const Bytes rest = bytes.substr(use.sent, use.batch - use.sent);
  std::size_t taken = 0;
  if (!rest.empty()) {
    Relay relay(rules(), relay_, {engine_.to_client(), engine_.to_server()});
    taken = relay.from_client(rest, &link_->relay()).consumed;
    use.sent += static_cast<std::uint32_t>(taken);
    // What is refused fails here, and counts where the primary is asked.
    std::erase_if(engine_.measures().audit.fresh(), [](const AuditRecord& record) {
      return record.rule.empty() || (record.events & audit::bit(audit::Event::refused)) != 0;
    });
    if (relay_.rules != nullptr) note_rules();
    if (relay_.tenant != nullptr && relay.objections().refused == 0) {
      note_objections(relay.objections());
    }
    engine_.measures().audit.fresh().clear();
  }
  send_both();
  pace(taken);
}

// What the client shall see of an attempt waits until it is certain. True: nothing is to be sent.
bool ClientSession::hold_answer() {
  ReplicaUse& use = *replicas_;
  Conduit& out = engine_.to_client();
  switch (relay_.attempt) {
    case Attempt::open:
      out.keep(use.held, engine_.buffers());
      return true;
    case Attempt::refused:
    case Attempt::refused_always:
      out.clear();
      use.held.clear(engine_.buffers());
      return true;
    default:
      break;
  }
  if (use.held.empty()) return false;
  if (unsent_.empty()) {
    unsent_ = std::move(use.held);
    Conduit::resend(*stream_, unsent_, engine_.buffers());
  } else {
    unsent_.append(engine_.buffers(), use.held.view());
    use.held.clear(engine_.buffers());
  }
  return false;
}

// Everything that is owed for the attempt has come. False: the primary has the batch now.
bool ClientSession::finish_attempt() {
  ReplicaUse& use = *replicas_;
  FB_ASSERT(relay_.attempt != Attempt::none);
  if (relay_.attempt == Attempt::refused || relay_.attempt == Attempt::refused_always) {
    // Of a transaction it was something else than its BEGIN.
    if (relay_.attempt == Attempt::refused_always && use.route.access() == split::Access::read) {
      engine_.refuse_read(pool_->serial(), use.route);
    }
    ServerLink* const link = std::exchange(link_, nullptr);
    free_link(*link);
    try_primary();
    if (link->relay().at_rest()) {
      engine_.release(*link);
    } else {
      link->orphan({});
    }
    return false;
  }
  use.reader->latency().add(engine_.now() - use.began, engine_.now());
  end_attempt();
  return true;
}

bool ClientSession::attempt_answered() const {
  const LinkRelayState& link = link_->relay();
  return replicas_->sent == replicas_->batch && link.expected.empty() &&
         !link.expected.batch_open() && link.framer.rest() == 0 && link_->sent_all();
}

// The batch is done with: what was sent of it is not needed any more.
void ClientSession::end_attempt() {
  ReplicaUse& use = *replicas_;
  relay_.attempt = Attempt::none;
  relay_.begin.open = 0;
  if (use.sent > 0) stash_.consume(engine_.buffers(), use.sent);
  use.held.clear(engine_.buffers());
  use.batch = use.sent = 0;
}

// The batch at the front of the stash goes to the primary, as if it had been sent only now.
void ClientSession::try_primary() {
  ReplicaUse& use = *replicas_;
  engine_.counters().replica_retries.add();
  Relay(rules(), relay_, {engine_.to_client(), engine_.to_server()})
      .forget_prepared(stash_.view().substr(0, use.sent));
  relay_.attempt = Attempt::none;
  use.held.clear(engine_.buffers());
  use.batch = use.sent = 0;
  use.reader = nullptr;
  use.for_primary = true;
  enter(Phase::idle);
}

// The replica is lost in the middle of an attempt. True: nothing was shown, and the primary has it.
bool ClientSession::survive_replica(ServerLink& link, const std::string& reason) {
  ReplicaUse& use = *replicas_;
  if (use.batch == 0) {
    note_unlinked();
    return false;
  }
  if (relay_.attempt == Attempt::open && link.relay().overrun != nullptr) {
    // It has had its time: that is the answer.
    relay_.attempt = Attempt::shown;
    hold_answer();
  }
  if (relay_.attempt == Attempt::shown || goodbye_) {
    const HeldBegin begin = relay_.begin;  // it was begun, as far as the client knows
    end_attempt();
    relay_.begin = begin;
    use.reader = nullptr;
    return false;
  }
  const ParameterSetRef settings = relay_.settings;
  const HeldBegin begin = relay_.begin;
  Relay(rules(), relay_, {engine_.to_client(), engine_.to_server()})
      .on_link_lost(link.relay(), reason);
  engine_.to_client().clear();
  relay_.settings = settings;
  relay_.begin = begin;
  relay_.skip_to_sync = relay_.drop_rest = false;
  relay_.lost.reset();
  try_primary();
  return true;
}

// On its way to a replica: the primary will do. False: it does not wait for a replica.
bool ClientSession::wait_for_primary() {
  if (replicas_ == nullptr || replicas_->reader == nullptr) return false;
  stop_waiting();
  replicas_->for_primary = true;
  enter(Phase::idle);
  continue_input();
  settle();
  return true;
}

void ClientSession::leave_reader() {
  if (replicas_ == nullptr) return;
  replicas_->reader = nullptr;
  replicas_->batch = replicas_->sent = 0;
}

// So many bytes of the client's went to a link.
void ClientSession::note_sent(std::size_t bytes) {
  ReplicaUse& use = *replicas_;
  if (use.reader != nullptr || bytes == 0) return;
  if (bytes <= use.only_read) {
    use.only_read -= static_cast<std::uint32_t>(bytes);
  } else {
    use.only_read = 0;
    use.wrote = true;
  }
}

// The session gives its link back.
void ClientSession::note_unlinked() {
  ReplicaUse& use = *replicas_;
  use.reader = nullptr;
  use.only_read = 0;
  if (!std::exchange(use.wrote, false)) return;
  if (pool_->settings().read_consistency == config::ReadConsistency::none) return;
  use.unsettled = true;
  use.ended = engine_.now();
}

// A transaction has left something behind, perhaps on a replica, where the session now stays: the
// primary gets those that begin alike.
void ClientSession::note_bound() {
  const bool bound = (relay_.pins & ~bit(PinReason::looking)) != 0;
  if (bound && replicas_->reader != nullptr) {
    engine_.refuse_read(pool_->serial(), replicas_->route);
  }
}

}  // namespace forebay::core
