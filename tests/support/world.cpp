#include "support/world.hpp"

#include <algorithm>

#include "forebay/base/assert.hpp"

namespace forebay::test {
namespace {

/// So many rounds without an end mean that two sides keep each other busy for ever.
constexpr int kRoundsMax = 100'000;

class KeylessTls final : public core::TlsContext {};

}  // namespace

config::Config plain_config() {
  config::Config config;
  config.auth = config::AuthMethod::trust;
  config.server_tls.mode = config::TlsMode::disable;
  config.pool.follow_functions = false;  // servers here know no catalog
  config.databases["app"].hosts = {kHost};
  return config;
}

std::shared_ptr<const core::Runtime> make_runtime(config::Config config) {
  auto runtime = std::make_shared<core::Runtime>();
  for (const auto& [name, user] : config.users) {
    auto secrets = auth::UserSecrets::make(name, user.passwords,
                                           auth::ScramParameters{std::string(16, 's'), 4096});
    FB_ASSERT(secrets.has_value());
    runtime->secrets.emplace(name, std::make_shared<const auth::UserSecrets>(std::move(*secrets)));
  }
  if (!config.client_tls.certificate_file.empty()) {
    runtime->client_tls = std::make_shared<KeylessTls>();
  }
  for (const auto& [name, database] : config.databases) {
    const auto& tls = database.server_tls ? *database.server_tls : config.server_tls;
    if (tls.mode == config::TlsMode::disable) continue;
    runtime->server_tls.emplace(name, std::make_shared<KeylessTls>());
  }
  runtime->config = std::move(config);
  return runtime;
}

World::World(config::Config config, std::size_t workers, std::uint64_t seed)
    : net(seed),
      runtime_(make_runtime(std::move(config))),
      shared_(std::make_unique<core::Shared>(workers, journal)) {
  shared_->courier = this;
  net.reception = [](const Endpoint&) { return Reception::accept; };
  net.on_accept = [this](const Endpoint&, FarEnd end) { accepted.push_back(std::move(end)); };
  for (std::size_t i = 0; i < workers; ++i) {
    const core::WorkerId id(static_cast<std::uint16_t>(i));
    workers_.push_back(std::make_unique<Worker>(net, id));
    workers_.back()->engine = std::make_unique<core::Engine>(
        core::Engine::Setup{id, workers_.back()->io, *shared_, runtime_});
  }
}

// As the program ends: everybody is told to stop, in the turn in which it reads what there is, then
// the engines go, then their mail.
World::~World() {
  for (std::size_t i = 0; i < workers_.size(); ++i) {
    turn(i, [](const auto&) { return std::nullopt; });
  }
  for (std::size_t i = 0; i < workers_.size(); ++i) {
    post(i, core::mail::Stop{});
    turn(i, [](const auto& ready) {
      return ready.empty() ? std::nullopt : std::optional(Pick{ready.front()});
    });
  }
  for (const auto& worker : workers_) worker->engine.reset();
  for (const auto& worker : workers_) worker->mail.clear();
}

FarEnd World::connect(std::size_t worker, const core::PeerFacts& peer) {
  auto [stream, end] = workers_[worker]->io.accept(peer);
  core::Engine& engine = *workers_[worker]->engine;
  engine.begin_turn(now);
  engine.on_accepted(std::move(stream), core::ListenerId(0));
  engine.end_turn();
  return end;
}

void World::turn(std::size_t index, const Choose& choose, std::size_t letters) {
  Worker& worker = *workers_[index];
  worker.engine->begin_turn(now);
  for (; letters > 0 && !worker.mail.empty(); --letters) {
    core::Mail mail = std::move(worker.mail.front());
    worker.mail.pop_front();
    worker.engine->deliver(std::move(mail));
  }
  for (auto pick = choose(worker.io.ready()); pick; pick = choose(worker.io.ready())) {
    worker.io.deliver(pick->what, pick->most);
  }
  worker.engine->end_turn();
}

void World::settle() {
  for (int round = 0;; ++round) {
    FB_ASSERT(round < kRoundsMax);
    bool busy = false;
    for (std::size_t i = 0; i < workers_.size(); ++i) {
      if (workers_[i]->mail.empty() && workers_[i]->io.ready().empty()) continue;
      busy = true;
      turn(i, [](const std::vector<MemoryIo::Ready>& ready) {
        return ready.empty() ? std::nullopt : std::optional(Pick{ready.front()});
      });
    }
    if (!busy && (!on_quiet || !on_quiet())) return;
  }
}

void World::pass(Duration duration) {
  const Instant until = now + duration;
  for (;;) {
    settle();
    const Instant due = next_deadline();
    if (due > until) break;
    now = std::max(now, due);
    for (std::size_t i = 0; i < workers_.size(); ++i) {
      turn(i, [](const auto&) { return std::nullopt; });
    }
  }
  now = until;
  settle();
}

Instant World::next_deadline() const {
  Instant earliest = kNever;
  for (const auto& worker : workers_) {
    earliest = std::min(earliest, worker->engine->next_deadline());
  }
  return earliest;
}

void World::drain() {
  for (std::size_t i = 0; i < workers_.size(); ++i) post(i, core::mail::Drain{});
}

void World::reload(config::Config config) {
  runtime_ = make_runtime(std::move(config));
  const auto replaced = std::make_shared<const core::Replaced>(shared_->pools.reload(runtime_));
  for (std::size_t i = 0; i < workers_.size(); ++i) {
    post(i, core::mail::Reload{runtime_, replaced});
  }
}

core::Pool::Counts World::counts(const std::string& user, const std::string& database) {
  const auto pool = shared_->pools.find_or_make(*runtime_, database, user);
  return pool == nullptr ? core::Pool::Counts{} : pool->counts();
}

std::string World::leaks() {
  std::string found;
  for (std::size_t i = 0; i < workers_.size(); ++i) {
    const auto buffers = workers_[i]->engine->buffers().in_use();
    if (buffers != 0)
      found += "worker " + std::to_string(i) + ": " + std::to_string(buffers) + " buffers in use; ";
  }
  if (const auto clients = shared_->clients.load(); clients != 0) {
    found += std::to_string(clients) + " clients counted; ";
  }
  for (const auto& pool : shared_->pools.all()) {
    const auto counts = pool->counts();
    if (counts.total != counts.parked || counts.opening + counts.waiting + counts.clients > 0) {
      found += "pool " + pool->key().database + "/" + pool->key().user + ": " +
               std::to_string(counts.total) + " links, " + std::to_string(counts.parked) +
               " parked, " + std::to_string(counts.opening) + " opening, " +
               std::to_string(counts.waiting) + " waiting, " + std::to_string(counts.clients) +
               " clients; ";
    }
  }
  for (const auto& limit : shared_->statement_limits.all()) {
    const auto counts = limit->counts();
    if (counts.running + counts.waiting > 0) {
      found += limit->name() + ": " + std::to_string(counts.running) + " statements, " +
               std::to_string(counts.waiting) + " waiting; ";
    }
  }
  return found;
}

}  // namespace forebay::test
