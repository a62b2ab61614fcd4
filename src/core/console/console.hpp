#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/client/client_start.hpp"
#include "core/pool/pool.hpp"
#include "core/relay/pin_reason.hpp"
#include "forebay/base/time.hpp"
#include "forebay/config/difference.hpp"
#include "forebay/core/io.hpp"

/// What the core offers to the console, which is a module of its own (`admin`): clients of the
/// console's databases are handed to it once they have logged in, and every worker answers its
/// questions and orders by mail.
namespace forebay::core {

class Engine;

struct ClientFacts {
  std::string database;
  std::string user;
  std::string_view state;  ///< PgBouncer's word
  std::string application_name;
  std::string tenant;  ///< empty: none
  std::string tls;
  PeerFacts peer;
  /// Its name for KILL_CLIENT, and the process id that it was told, unless that is its server's.
  std::uint32_t id = 0;
  std::uint32_t remote_pid = 0;  ///< of its link's server process; 0: has none
  std::uint32_t prepared_statements = 0;
  Instant connected{};
  Instant waits_since = kNever;
  Pins pins = 0;
  bool replication = false;
};

struct ServerFacts {
  std::string database;
  std::string user;
  std::string_view state;
  std::string tls;
  Endpoint host;
  std::uint32_t process_id = 0;
  std::uint32_t client = 0;  ///< id of the client that has it; 0: nobody
  std::uint32_t prepared_statements = 0;
  Instant connected{};
  bool close_needed = false;
  bool replication = false;
};

/// What one worker answers.
struct WorkerReport {
  WorkerId worker;
  std::vector<ClientFacts> clients;
  std::vector<ServerFacts> servers;
  bool found = false;    ///< kill_client: it was ours
  std::size_t busy = 0;  ///< suspension: clients that are still being answered
};

/// A host's name that was looked up.
struct NamedHost {
  std::string name;
  std::vector<std::string> addresses;
  Duration kept{};  ///< so long from now
};

/// Who orders and waits for no answer.
inline constexpr std::uint64_t kNoConsole = 0;

/// What a console wants of a worker. Everything concerns all databases when `database` is empty.
struct Order {
  enum class Kind : std::uint8_t {
    report,       ///< clients and servers
    free_links,   ///< close the parked links that are not to be kept: paused, or opened too early
    kill,         ///< end clients and links of a database
    kill_client,  ///< the client `client`
    tenant,       ///< clients of the tenant `database`: something was ordered, or taken back
    hosts,        ///< `clusters`: what operators want of their hosts is another thing now
    suspension,   ///< read from clients that have logged in, or not, as Shared::suspended_by says
  };
  Kind kind = Kind::report;
  std::string database = {};
  std::uint32_t client = 0;
  std::vector<std::shared_ptr<Cluster>> clusters = {};
};

/// What the console asks the life cycle of the process for, beside a reload.
enum class ControlRequest : std::uint8_t {
  shutdown,                   ///< at once
  shutdown_wait_for_servers,  ///< clients are let go at the end of their transaction
  shutdown_wait_for_clients,  ///< no new clients; ends when the last has left
};

struct ControlAnswer {
  std::vector<std::string> notices;
  std::string error;  ///< empty: done
  config::Refusal refusal = config::Refusal::wrong;
};

/// One client of the console. Lives on its worker, owned by the engine.
class Console : public StreamEvents {
 public:
  explicit Console(std::uint64_t number) noexcept : number_(number) {}
  virtual ~Console() = default;
  Console(const Console&) = delete;
  Console& operator=(const Console&) = delete;

  [[nodiscard]] std::uint64_t number() const noexcept { return number_; }
  /// The stream is ours from here on.
  virtual void begin() = 0;
  /// A worker has answered an order.
  virtual void reported(std::shared_ptr<const WorkerReport> report) = 0;
  virtual void answered(const ControlAnswer& answer) = 0;

 private:
  const std::uint64_t number_;
};

/// Makes consoles; shared by all workers, thread-safe.
class Consoles {
 public:
  struct Setup {
    std::uint64_t number;
    std::unique_ptr<Stream> stream;
    StartupFacts facts;
    std::string received;         ///< behind the login
    std::string unsent;           ///< of the login
    bool server_decided = false;  ///< auth = "server": the server let it in
    bool superuser = false;       ///< there
  };
  virtual ~Consoles() = default;
  virtual std::unique_ptr<Console> open(Engine& engine, Setup setup) = 0;
  /// Called about once a second, for averages.
  virtual void tick(Instant now) = 0;
};

}  // namespace forebay::core
