#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "core/engine/mail.hpp"
#include "core/engine/timer_wheel.hpp"
#include "core/server/side_connection.hpp"

namespace forebay::core {

class CatalogEpoch;
class Cluster;
class Engine;
class Pool;

/// Listens for all clients of a database, on one connection to its primary, and tells each worker
/// what its clients are to hear. Sessions ask, and are answered when the server has confirmed that
/// it listens; or at once, that they have to LISTEN themselves.
///
/// The connection stays for as long as somebody listens. One that is lost is opened again, listens
/// again, and only then are the clients told that they may have missed something: what they look at
/// from then on is complete.
class ListenHub final : private SideConnection::Owner {
 public:
  explicit ListenHub(Engine& engine) : engine_(engine) {}
  ListenHub(const ListenHub&) = delete;
  ListenHub& operator=(const ListenHub&) = delete;

  /// `session` is to hear of these channels. With none, it asks only to be answered behind every
  /// notification that was committed before now.
  void ask(mail::ListenAsked& asked);
  void leave(const mail::ListenLeft& left);
  /// Now and then, and when the cluster has changed: does the connection lead to where it should?
  void look();
  void host_moved(const std::string& host, const std::vector<std::string>& addresses);
  /// Nobody listens, and nobody has for a while.
  [[nodiscard]] bool idle() const;

 private:
  using Keys = std::shared_ptr<const std::vector<SessionKey>>;
  struct Channel {
    std::map<std::uint16_t, Keys> listeners;  ///< by worker
    bool listened = false;                    ///< the server has confirmed it
  };

  void on_logged_in() override;
  void on_said(char type, Bytes body) override;
  void on_side_lost(const Refused& why) override { failed(why.message); }

  bool open();
  void lose(const std::string& why);
  void failed(const std::string& why);
  void put();
  void put_question(const std::string& text);
  void answered();
  void notify(Bytes body);
  void tell_restored();
  void answer(const SessionKey& session, bool listening);
  [[nodiscard]] bool listens_to(const mail::ListenAsked& question) const;
  [[nodiscard]] std::optional<std::size_t> host_now(const PoolTarget& target) const;
  [[nodiscard]] bool encoding_fits(const std::string& encoding) const;
  [[nodiscard]] Pool& pool() const { return *pools_.front(); }
  void add(Channel& channel, SessionKey session);
  void remove(Channel& channel, SessionKey session);
  static void on_timer(void* self);

  Engine& engine_;
  /// Of those who asked, some: the first says where to listen, and what to log in with.
  std::vector<std::shared_ptr<Pool>> pools_;
  SideConnection connection_{engine_, *this};
  Endpoint host_;
  std::shared_ptr<Cluster> cluster_;                   ///< that `fence_` is of; null: none
  const std::atomic<std::uint32_t>* fence_ = nullptr;  ///< of the host
  std::uint32_t fence_seen_ = 0;
  std::unordered_map<std::string, Channel> channels_;
  std::unordered_set<std::string> changed_;  ///< the server is to be told of these
  std::vector<std::string> told_;            ///< it is being told of these
  std::vector<mail::ListenAsked> asked_;     ///< wait for the next question
  std::vector<mail::ListenAsked> asking_;    ///< ... and for the answer to this one
  Timer timer_{&ListenHub::on_timer, this};
  Instant unused_since_{};
  std::uint32_t failures_ = 0;  ///< in a row
  std::string error_;
  bool busy_ = false;   ///< a question is not answered
  bool known_ = false;  ///< it listens, as some clients know
  bool lost_ = false;   ///< ... and did not for a while: they are to be told
};

/// Those of all databases. Lives on the first worker.
class ListenHubs {
 public:
  explicit ListenHubs(Engine& engine) : engine_(engine) {}

  void ask(mail::ListenAsked& asked);
  void leave(const mail::ListenLeft& left);
  void look();
  void host_moved(const std::string& host, const std::vector<std::string>& addresses);

 private:
  Engine& engine_;
  std::map<const CatalogEpoch*, std::unique_ptr<ListenHub>> hubs_;
};

}  // namespace forebay::core
