#include "sim/simulation.hpp"

#include <algorithm>
#include <stdexcept>

#include "core/client/client_session.hpp"
#include "core/server/server_link.hpp"

namespace forebay::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::size_t kStepsMax = 400'000;
/// So long nobody may wait for anything.
constexpr seconds kPatience{300};
/// What a CancelRequest needs; the core may count on that much room.
constexpr std::size_t kCancelRequestSize = 16;

const char* event_name(Event event) {
  constexpr const char* kNames[] = {"connected", "secured", "bytes", "room", "the end", "a loss"};
  return kNames[static_cast<std::size_t>(event)];
}

}  // namespace

Simulation::Simulation(std::uint64_t seed, std::ostream* log)
    : log_(log),
      random_(seed),
      plan_(make_plan(random_)),
      config_(plan_.config),
      world_(plan_.config, plan_.workers, seed),
      postgres_(plan_.servers) {
  plan_.reloads = seed % 4 == 3;
  world_.net.window = std::max(plan_.server_window, kCancelRequestSize);
  world_.net.reception = [this](const Endpoint&) {
    if (!plan_.faults || healing_ || random_.chance(80)) return Reception::accept;
    return random_.chance(70) ? Reception::refuse : Reception::hang;
  };
  progress_ = world_.now;
}

std::string Simulation::run() {
  try {
    note(plan_.text());
    while (came_ < plan_.clients || !clients_.empty()) {
      step();
      if (++steps_ > kStepsMax) wrong("no end after so many steps");
    }
    quiescent();
  } catch (const std::exception& error) {
    for (const std::string& fact : world_.journal.facts()) note("journal: " + fact);
    return error.what();
  }
  return {};
}

void Simulation::note(const std::string& what) {
  if (log_ == nullptr) return;
  const auto now = std::chrono::duration_cast<milliseconds>(world_.now.time_since_epoch()).count();
  *log_ << steps_ << " [" << now << " ms] " << what << std::endl;
}

void Simulation::wrong(const std::string& what) const {
  throw std::runtime_error("step " + std::to_string(steps_) + ": " + what);
}

// ---------------------------------------------------------------- what happens

void Simulation::step() {
  take_accepted();
  if (came_ < plan_.clients && clients_.size() < plan_.at_a_time && random_.chance(20)) {
    client_comes();
  }
  if (!healing_) fault();
  const bool acted = act_somebody();
  if (!acted || random_.one_in(50)) pass_time(!acted);
  check();
}

// One of those who can do something does.
bool Simulation::act_somebody() {
  std::vector<std::size_t> able;
  const std::size_t workers = world_.workers();
  for (std::size_t i = 0; i < workers; ++i) {
    if (world_.letters(i) > 0 || !world_.io(i).ready().empty()) able.push_back(i);
  }
  for (std::size_t i = 0; i < clients_.size(); ++i) {
    if (clients_[i]->can_act()) able.push_back(workers + i);
  }
  for (std::size_t i = 0; i < servers_.size(); ++i) {
    if (servers_[i]->can_act()) able.push_back(workers + clients_.size() + i);
  }
  for (Canceller& canceller : cancellers_) {
    if (!canceller.over && canceller.end.ended()) {
      canceller.over = true;
      canceller.end.close();
    }
  }
  std::erase_if(cancellers_, [](const Canceller& canceller) { return canceller.over; });
  if (able.empty()) return false;
  std::size_t chosen = able[random_.below(able.size())];
  if (chosen < workers) {
    turn(chosen);
    return true;
  }
  chosen -= workers;
  if (chosen < clients_.size()) {
    clients_act(*clients_[chosen]);
    return true;
  }
  ModelServer& server = *servers_[chosen - clients_.size()];
  server.end().channel().window = plan_.server_window;
  server.act(random_);
  if (!server.violation().empty()) wrong(server.violation());
  if (log_ != nullptr) note("server " + std::to_string(server.number()) + server.take_talk());
  if (server.gone()) {
    note("server " + std::to_string(server.number()) + " is gone");
    std::erase_if(servers_, [&](const auto& known) { return known.get() == &server; });
  }
  return true;
}

void Simulation::turn(std::size_t worker) {
  std::size_t events = random_.below(4);
  const std::size_t letters = random_.chance(70) ? SIZE_MAX : random_.below(2);
  if (letters == 0 && events == 0) events = 1;
  note("worker " + std::to_string(worker) + ": a turn");
  world_.turn(
      worker,
      [&](const std::vector<MemoryIo::Ready>& ready) -> std::optional<World::Pick> {
        if (events == 0 || ready.empty()) return std::nullopt;
        --events;
        const MemoryIo::Ready& what = ready[random_.below(ready.size())];
        const std::size_t waiting = what.channel->inbound.size();
        const std::size_t most =
            what.event == Event::received ? random_.part_of(waiting) : SIZE_MAX;
        note(std::string("  ") + event_name(what.event) +
             (what.event == Event::received ? " " + std::to_string(most) : "") + " of " +
             name_of(*what.channel));
        return World::Pick{what, most};
      },
      letters);
}

std::string Simulation::name_of(const Channel& channel) {
  for (const auto& client : clients_) {
    if (&client->end().channel() == &channel) return client->mark();
  }
  for (const auto& server : servers_) {
    if (&server->end().channel() == &channel) return "server " + std::to_string(server->number());
  }
  return "another";
}

void Simulation::take_accepted() {
  while (!world_.accepted.empty()) {
    servers_.push_back(
        std::make_unique<ModelServer>(postgres_, world_.accepted.front(), ++accepted_));
    world_.accepted.pop_front();
    note("server " + std::to_string(accepted_) + " is connected to");
  }
}

void Simulation::client_comes() {
  ProgramRules rules;
  rules.transactions = plan_.config.pool.pool_mode != config::PoolMode::statement;
  rules.keeps = plan_.keeps;
  rules.user = plan_.users[random_.below(plan_.users.size())];
  const std::size_t worker = random_.below(world_.workers());
  FarEnd end = world_.connect(worker);
  end.channel().window = plan_.client_window;
  ++came_;
  clients_.push_back(
      std::make_unique<ModelClient>(came_, make_program(random_, came_, rules), end));
  note("client " + std::to_string(came_) + " comes in at worker " + std::to_string(worker));
}

void Simulation::clients_act(ModelClient& client) {
  const std::string did = client.act(random_);
  if (!did.empty()) note(client.mark() + " " + did);
  if (client.wants_cancel()) ask_for_cancel(client);
  progress_ = world_.now;
  if (!client.done()) return;
  check_finished(client);
  std::erase_if(clients_, [&](const auto& known) { return known.get() == &client; });
}

void Simulation::ask_for_cancel(ModelClient& client) {
  note(client.mark() + " asks for a cancel");
  Canceller& canceller = cancellers_.emplace_back();
  canceller.end = world_.connect(random_.below(world_.workers()));
  canceller.end.send(encode_startup({{"CancelRequest", {}, false},
                                     {std::to_string(client.process_id()), {}, false},
                                     {client.key(), {}, true}}));
}

void Simulation::fault() {
  if (plan_.drain && !drained_ && came_ == plan_.clients && random_.one_in(200)) {
    drained_ = true;
    note("drain");
    world_.drain();
  }
  if (plan_.reloads && random_.one_in(100)) {
    note("reload");
    config_ = changed_config(plan_, random_);
    world_.reload(config_);
  }
  if (!plan_.faults || servers_.empty() || !random_.one_in(150)) return;
  ModelServer& server = *servers_[random_.below(servers_.size())];
  const std::string which = "server " + std::to_string(server.number());
  switch (random_.below(plan_.babble ? 4 : 3)) {
    case 0:
      note(which + " crashes");
      server.crash(true);
      break;
    case 1:
      note(which + " ends the connection");
      server.crash(false);
      break;
    case 2:
      note(which + " shuts down");
      server.shut_down();
      return;
    default:
      note(which + " babbles");
      server.babble(random_.chance(50) ? "CommandComplete \"babble\"" : "DataRow \"babble\"");
      return;
  }
  std::erase_if(servers_, [&](const auto& known) { return known.get() == &server; });
}

// Idle: to the next deadline; else a little on.
void Simulation::pass_time(bool idle) {
  const Instant due = world_.next_deadline();
  if (idle && due != kNever) {
    world_.now = std::max(world_.now, due);
  } else if (plan_.jumps && random_.one_in(20)) {
    world_.now += seconds(1 + static_cast<int>(random_.below(40)));
    note("the clock jumps");
  } else {
    world_.now += milliseconds(1 + random_.below(20));
  }
  for (std::size_t i = 0; i < world_.workers(); ++i) {
    world_.turn(
        i, [](const auto&) { return std::nullopt; }, 0);
  }
  // Servers that die all the time may keep somebody from the end, servers that live may not.
  if (!healing_ && world_.now - progress_ > kPatience / 3) {
    healing_ = true;
    note("nothing goes wrong any more");
  }
  if (world_.now - progress_ < kPatience) return;
  std::string waiting;
  for (const auto& client : clients_) waiting += "; " + client->state();
  wrong("nothing happens any more" + waiting);
}

// ---------------------------------------------------------------- what must hold

void Simulation::check_finished(ModelClient& client) {
  const Allowances allowances{.losses = plan_.faults || drained_,
                              .listening_lost = plan_.faults || plan_.reloads};
  const std::string difference = compare_with_direct(client, plan_.servers, allowances);
  if (!difference.empty()) wrong(difference);
}

void Simulation::check() {
  std::uint32_t total = 0;
  for (const auto& pool : world_.shared().pools.all()) {
    const core::Pool::Counts counts = pool->counts();
    total += counts.total;
    // What a reload makes too many goes one after the other, but no more may come.
    const std::uint32_t most = std::max(pool->settings().pool_size, totals_[pool->serial()]);
    if (counts.total > most) wrong("more links than pool_size allows");
    totals_[pool->serial()] = counts.total;
    if (counts.waiting > 0 && counts.parked > 0) wrong("somebody waits while a link is idle");
  }
  const std::uint32_t limit = config_.databases.at("app").max_db_connections;
  if (limit > 0 && total > std::max(limit, total_))
    wrong("more links than max_db_connections allows");
  total_ = total;
  check_hosts(total);
  check_links();
}

// Every link that a pool counts has its place at one host, and no host has too many.
void Simulation::check_hosts(std::uint32_t total) {
  std::uint32_t places = 0;
  for (const auto& quota : world_.shared().pools.quotas()) {
    if (!quota->name().starts_with("max_host_connections")) continue;
    places += quota->count();
    std::uint32_t& before = at_host_[quota->name()];
    if (quota->max() > 0 && quota->count() > std::max(quota->max(), before)) {
      wrong("more links than max_host_connections allows");
    }
    before = quota->count();
  }
  if (places != total) {
    wrong("pools count " + std::to_string(total) + " links, hosts " + std::to_string(places));
  }
}

void Simulation::check_links() {
  for (std::size_t i = 0; i < world_.workers(); ++i) {
    world_.engine(i).each_link([this](core::ServerLink& link) {
      // One that another worker has taken is not in the pool any more, though it is still here.
      if (link.parking().hook.is_linked()) check_parked(link);
      if (link.phase() == core::ServerLink::Phase::linked && link.client()->link() != &link) {
        wrong("a link whose client has another one");
      }
    });
  }
}

void Simulation::check_parked(core::ServerLink& link) {
  const core::LinkRelayState& relay = link.relay();
  if (!relay.at_rest() || !link.sent_all()) wrong("a parked link that owes something");
  ModelServer* server = server_of(link);
  if (server == nullptr || server->backend().over()) return;  // gone, and not yet known
  FakeBackend& backend = server->backend();
  // Data of a copy that has failed may still be on its way; the server ignores it.
  if (backend.in_transaction() || backend.sleeping() || backend.copying_in()) {
    wrong("a parked link whose server is not idle");
  }
  if (const std::string left = backend.belongings(); !left.empty()) {
    wrong("a parked link with somebody's" + left);
  }
  if (relay.settings_doubtful) return;
  for (const auto& [name, value] : relay.settings->entries()) {
    if (backend.setting(name) != value) {
      wrong("a parked link with " + name + " = " + backend.setting(name) + ", noted as " + value);
    }
  }
  if (relay.settings->find("timezone") == nullptr &&
      backend.setting("timezone") != backend.default_of("timezone")) {
    wrong("a parked link with somebody's timezone " + backend.setting("timezone"));
  }
}

ModelServer* Simulation::server_of(const core::ServerLink& link) {
  for (const auto& server : servers_) {
    if (server->backend().process_id() == link.process_id()) return server.get();
  }
  return nullptr;
}

// Nobody is there any more: everything comes back, by itself.
void Simulation::quiescent() {
  note("all clients are gone");
  healing_ = true;
  // A link that its pool keeps may be on its way at any moment.
  for (std::size_t quiet = 0; quiet < 2 * 70 || (quiet < 2 * 140 && !world_.leaks().empty());) {
    take_accepted();
    if (act_somebody()) {
      check();
    } else {
      world_.now += milliseconds(500);
      ++quiet;
      for (std::size_t i = 0; i < world_.workers(); ++i) {
        world_.turn(i, [](const auto&) { return std::nullopt; });
      }
    }
    if (++steps_ > 2 * kStepsMax) wrong("no rest after so many steps");
  }
  if (const std::string left = world_.leaks(); !left.empty()) wrong("left: " + left);
}

}  // namespace forebay::test
