#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/engine/engine.hpp"
#include "support/list_journal.hpp"
#include "support/memory_net.hpp"

namespace forebay::test {

/// The one host of the databases in these tests.
inline const Endpoint kHost{"db1", 5432};

/// Clients are trusted, server connections are plain, and one database "app" is on kHost.
config::Config plain_config();

/// Secrets of the configured users, and TLS contexts without keys where TLS is configured.
std::shared_ptr<const core::Runtime> make_runtime(config::Config config);

/// Several engines as the program has them, with their mail, in one thread and on a clock that
/// moves only when told to.
class World final : private core::Courier {
 public:
  explicit World(config::Config config = plain_config(), std::size_t workers = 1,
                 std::uint64_t seed = 1);
  ~World() override;

  MemoryNet net;
  ListJournal journal;
  Instant now{std::chrono::hours(1)};

  /// A client comes in at a worker.
  FarEnd connect(std::size_t worker = 0, const core::PeerFacts& peer = {"192.0.2.1", 4711});
  /// Connections to servers that were accepted, oldest first.
  std::deque<FarEnd> accepted;

  // ---- everything that can happen, until nothing more does

  void settle();
  /// Time passes; whatever becomes due on the way is done at its time.
  void pass(Duration duration);
  /// Called when nothing is ready: a place for servers. Gives whether something happened.
  std::function<bool()> on_quiet;

  // ---- one thing at a time

  /// A turn of a worker: its mail (so many letters at most), then what `choose` picks, until it
  /// gives nothing.
  struct Pick {
    MemoryIo::Ready what;
    std::size_t most = SIZE_MAX;
  };
  using Choose = std::function<std::optional<Pick>(const std::vector<MemoryIo::Ready>&)>;
  void turn(std::size_t worker, const Choose& choose, std::size_t letters = SIZE_MAX);

  /// To one worker, as the life cycle does.
  void post(std::size_t worker, core::Mail mail) {
    workers_[worker]->mail.push_back(std::move(mail));
  }
  void drain();
  /// Another configuration, as the life cycle brings it.
  void reload(config::Config config);

  [[nodiscard]] core::Engine& engine(std::size_t worker = 0) { return *workers_[worker]->engine; }
  [[nodiscard]] MemoryIo& io(std::size_t worker = 0) { return workers_[worker]->io; }
  [[nodiscard]] std::size_t workers() const noexcept { return workers_.size(); }
  [[nodiscard]] std::size_t letters(std::size_t worker) const {
    return workers_[worker]->mail.size();
  }
  [[nodiscard]] core::Shared& shared() noexcept { return *shared_; }
  [[nodiscard]] const core::Runtime& runtime() const noexcept { return *runtime_; }
  /// The pool of a user in "app"; there is one once a client has come.
  [[nodiscard]] core::Pool::Counts counts(const std::string& user = "u",
                                          const std::string& database = "app");
  /// What must hold when no client is left: empty, or what does not.
  [[nodiscard]] std::string leaks();
  /// The earliest moment at which some engine wants a turn.
  [[nodiscard]] Instant next_deadline() const;

 private:
  struct Worker {
    Worker(MemoryNet& net, core::WorkerId id) : io(net, id) {}
    MemoryIo io;
    std::deque<core::Mail> mail;
    std::unique_ptr<core::Engine> engine;
  };

  void send(core::WorkerId to, core::Mail mail) override {
    workers_[to.value()]->mail.push_back(std::move(mail));
  }

  std::shared_ptr<const core::Runtime> runtime_;
  std::unique_ptr<core::Shared> shared_;
  std::vector<std::unique_ptr<Worker>> workers_;
};

}  // namespace forebay::test
