#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "core/console/console.hpp"
#include "core/engine/runtime.hpp"
#include "core/engine/statement_limit.hpp"
#include "core/lookup/secret_cache.hpp"
#include "core/pool/pool.hpp"
#include "core/pool/ticket.hpp"
#include "core/refused.hpp"
#include "core/relay/listening.hpp"
#include "core/server/server_link.hpp"
#include "forebay/core/io.hpp"

namespace forebay::core {

/// What one worker tells another. Delivered in order between any two workers.
namespace mail {

/// A link that was given to (or summoned by) a session of the receiver's. Detached.
struct LinkGiven {
  std::unique_ptr<ServerLink> link;
  SessionKey session;
};
/// The sender took this parked link, which lives on the receiver, for a session of its own.
struct SummonLink {
  ServerLink* link;
  SessionKey session;
};
/// The link that a session summoned was lost.
struct SummonFailed {
  SessionKey session;
};
/// This parked link, which lives on the receiver, was retired for the sake of another pool.
struct CloseLink {
  ServerLink* link;
};
/// The session's wait is over: no server can be had.
struct WaitFailed {
  SessionKey session;
  Refused reason;
};
/// A place of this limit is the session's, which waits for one; else it is to be given back.
struct Admitted {
  std::shared_ptr<StatementLimit> limit;
  SessionKey session;
};
/// A cancel request for a session of the receiver's. The requester's stream, detached, is kept open
/// until the request has been carried out.
struct Cancel {
  std::uint32_t process_id;
  std::string key;
  std::unique_ptr<Stream> requester;
  std::uint8_t turns = 0;  ///< so many it has waited for what it is to cancel
};
/// A client has called pg_terminate_backend (`ends`) or pg_cancel_backend for a session of the
/// receiver's.
struct Signalled {
  std::uint32_t process_id = 0;
  bool ends = false;
  bool superuser = false;      ///< who called it is one
  std::shared_ptr<Pool> pool;  ///< of who called it, as what follows
  std::string user;
  std::string tenant;
};
/// There is another primary, or none, or a host is fenced.
struct ClusterChanged {
  std::shared_ptr<Cluster> cluster;
};
/// To the first worker: a connection was lost, so ask the hosts now.
struct AskHosts {
  std::shared_ptr<Cluster> cluster;
};
/// To the first worker: statements wait until it is known which tables have the tenants' column.
struct AskTables {};
/// That is known now, or that it cannot be known.
struct TablesKnown {
  std::shared_ptr<CatalogEpoch> catalog;
};
/// To the sender itself: reads wait for replicas since its last turn.
struct ReadsCame {
  std::shared_ptr<Cluster> cluster;
};
/// To the first worker: reads of the sender's wait for replicas, until then at most.
struct AwaitReplicas {
  std::shared_ptr<Cluster> cluster;
  Instant until;
};
/// More is known of what replicas have.
struct ReplicasSeen {
  std::shared_ptr<Cluster> cluster;
};
/// To the first worker: a client of the sender's is to be looked up.
struct LookUp {
  LookupKey key;
  SessionKey session;
};
/// What auth_query said, or (`refused` says something) that it could not be asked.
struct LookedUp {
  SessionKey session;
  std::shared_ptr<const auth::UserSecrets> secrets;  ///< null: there is no such user
  Refused refused;
};
/// A console on another worker, or on the receiver, wants something. Answered by Reported.
struct Ordered {
  Order order;
  WorkerId from;
  std::uint64_t console;
};
struct Reported {
  std::uint64_t console;
  std::shared_ptr<const WorkerReport> report;
};
/// The life cycle answers a console.
struct Answered {
  std::uint64_t console;
  ControlAnswer answer;
};
/// Begin to let clients go: those between transactions now, the rest at the end of theirs.
struct Drain {};
/// Another configuration holds from now on.
struct Reload {
  std::shared_ptr<const Runtime> runtime;
  std::shared_ptr<const Replaced> replaced;  ///< gone when the last worker has been told
};
/// A host's name has these addresses now, and had others before.
struct HostMoved {
  std::string host;
  std::vector<std::string> addresses;
};
/// To the first worker: a session wants to hear of these channels, or, with none, to be answered
/// behind all notifications that were committed before now. Answered by ListenAnswered.
struct ListenAsked {
  std::shared_ptr<Pool> pool;
  SessionKey session;
  std::vector<std::string> channels;
  std::string encoding;  ///< in which the client wants them
};
struct ListenAnswered {
  SessionKey session;
  bool listening;  ///< false: it has to listen itself
};
/// To the first worker: it does not want to hear of these any more.
struct ListenLeft {
  std::shared_ptr<Pool> pool;
  SessionKey session;
  std::vector<std::string> channels;
};
/// These sessions hear this.
struct Notified {
  std::shared_ptr<const Notification> notification;
  std::shared_ptr<const std::vector<SessionKey>> sessions;
};
/// These sessions may have missed notifications: the listening connection was lost, and is back.
struct ListeningRestored {
  std::shared_ptr<const std::vector<SessionKey>> sessions;
};
/// End every connection at once.
struct Stop {};

}  // namespace mail

using Mail =
    std::variant<mail::LinkGiven, mail::SummonLink, mail::SummonFailed, mail::CloseLink,
                 mail::WaitFailed, mail::Admitted, mail::Cancel, mail::Signalled,
                 mail::ClusterChanged, mail::AskHosts, mail::AskTables, mail::TablesKnown,
                 mail::ReadsCame, mail::AwaitReplicas, mail::ReplicasSeen, mail::LookUp,
                 mail::LookedUp, mail::Ordered, mail::Reported, mail::Answered, mail::Drain,
                 mail::Reload, mail::HostMoved, mail::ListenAsked, mail::ListenAnswered,
                 mail::ListenLeft, mail::Notified, mail::ListeningRestored, mail::Stop>;

/// Carries mail between workers. Thread-safe.
class Courier {
 public:
  virtual ~Courier() = default;
  virtual void send(WorkerId to, Mail mail) = 0;
};

}  // namespace forebay::core
