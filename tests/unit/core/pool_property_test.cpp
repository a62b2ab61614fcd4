#include <atomic>
#include <deque>
#include <iostream>
#include <random>
#include <thread>

#include "unit/core/pool_bench.hpp"

namespace forebay::core {
namespace {

using Acquired = Pool::Acquired::Kind;
using Released = Pool::Released::Kind;

constexpr std::size_t kWorkers = 3;

/// A pool in plain lists.
struct Model {
  std::uint32_t size = 0;
  std::uint32_t parallel = 8;
  bool round_robin = false;
  std::uint32_t total = 0;
  std::uint32_t opening = 0;
  std::deque<std::uint32_t> waiting;  ///< slots
  struct Parked {
    ServerLink* link;
    std::uint16_t worker;
    Instant since;
  };
  std::deque<Parked> parked;  ///< in the order of parking
  std::vector<ServerLink*> out;
};

class Schedule {
 public:
  Schedule(std::uint64_t seed, PoolBench& bench) : random_(seed), bench_(bench) {
    const std::size_t pools = 1 + below(3);
    limit_ = static_cast<std::uint32_t>(1 + below(6));
    quota_ = std::make_shared<Quota>("shared", limit_);
    for (std::size_t i = 0; i < pools; ++i) {
      Pool::Setup setup = PoolBench::setup(static_cast<std::uint32_t>(1 + below(4)), kWorkers);
      setup.settings.server_round_robin = below(2) == 0;
      setup.quotas = {quota_};
      setup.max_connecting = static_cast<std::uint32_t>(1 + below(3));
      models_.push_back({.size = setup.settings.pool_size,
                         .parallel = setup.max_connecting,
                         .round_robin = setup.settings.server_round_robin});
      pools_.push_back(bench_.pool(std::move(setup)));
    }
    for (std::uint32_t i = 0; i < 12; ++i) {
      PoolBench::ticket(tickets_[i], static_cast<std::uint16_t>(below(kWorkers)), i);
    }
  }

  void run() {
    for (int i = 0; i < 200 && !::testing::Test::HasFailure(); ++i) {
      bench_.now += std::chrono::milliseconds(below(4) == 0 ? below(30) : below(2));
      pool_ = below(pools_.size());
      step();
      check();
    }
    end();
  }

 private:
  std::size_t below(std::size_t end) { return random_() % end; }
  Pool& pool() { return *pools_[pool_]; }
  Model& model() { return models_[pool_]; }

  void step() {
    switch (below(8)) {
      case 0:
      case 1:
        acquire();
        return;
      case 2:
        withdraw();
        return;
      case 3:
      case 4:
        release();
        return;
      case 5:
        finish_opening();
        return;
      case 6:
        retire();
        return;
      default:
        count_opening(pool().plan(bench_.now, true));
    }
  }

  void count_opening(std::uint32_t count) {
    Model& m = model();
    EXPECT_LE(m.opening + count, std::max(m.parallel, m.opening));
    // As many as wait, and no more.
    if (count > 0) {
      EXPECT_LE(m.opening + count, m.waiting.size());
    }
    m.opening += count;
    m.total += count;
  }

  // What must be taken: nobody waits while a link is idle.
  std::size_t expected_choice(std::uint16_t worker) {
    const Model& m = model();
    if (m.round_robin) {
      // The first of each worker's list is its oldest; the oldest of those.
      return 0;
    }
    for (std::size_t i = m.parked.size(); i > 0; --i) {
      if (m.parked[i - 1].worker == worker) return i - 1;
    }
    std::size_t count[kWorkers] = {};
    for (const auto& parked : m.parked) ++count[parked.worker];
    const auto longest = static_cast<std::uint16_t>(
        std::max_element(std::begin(count), std::end(count)) - std::begin(count));
    for (std::size_t i = m.parked.size(); i > 0; --i) {
      if (m.parked[i - 1].worker == longest) return i - 1;
    }
    return 0;
  }

  // The first of the link's worker, unless the first of all has waited too long.
  std::deque<std::uint32_t>::iterator expected_waiter(Model& m, std::uint16_t worker) {
    const auto first = m.waiting.begin();
    if (bench_.now - tickets_[*first].since >= FairQueue::kOvertaken) return first;
    const auto near = std::find_if(first, m.waiting.end(), [&](std::uint32_t slot) {
      return tickets_[slot].session.worker == WorkerId(worker);
    });
    return near == m.waiting.end() ? first : near;
  }

  void acquire() {
    const auto slot = static_cast<std::uint32_t>(below(12));
    Ticket& ticket = tickets_[slot];
    if (ticket.waiting) return;
    Model& m = model();
    const auto acquired = pool().acquire(ticket, bench_.now);
    if (m.waiting.empty() && !m.parked.empty()) {
      const std::size_t choice = expected_choice(ticket.session.worker.value());
      const auto since = m.parked[choice].since;
      std::size_t at = 0;
      while (at < m.parked.size() && m.parked[at].link != acquired.link) ++at;
      ASSERT_LT(at, m.parked.size()) << "a link that was not parked";
      // Of several that were parked at one moment, any.
      if (at != choice) {
        EXPECT_EQ(m.parked[at].since, since);
      }
      EXPECT_EQ(acquired.home.value(), m.parked[at].worker);
      EXPECT_EQ(acquired.kind == Acquired::here,
                m.parked[at].worker == ticket.session.worker.value());
      m.parked.erase(m.parked.begin() + static_cast<std::ptrdiff_t>(at));
      m.out.push_back(acquired.link);
      return;
    }
    EXPECT_EQ(acquired.kind, Acquired::wait);
    m.waiting.push_back(slot);
    owner_[slot] = pool_;
    count_opening(acquired.open);
  }

  void withdraw() {
    const auto slot = static_cast<std::uint32_t>(below(12));
    pool_ = owner_[slot];
    auto& waiting = model().waiting;
    const auto found = std::find(waiting.begin(), waiting.end(), slot);
    EXPECT_EQ(pool().withdraw(tickets_[slot]), found != waiting.end());
    if (found != waiting.end()) waiting.erase(found);
  }

  void release() {
    Model& m = model();
    if (m.out.empty()) return;
    const std::size_t which = below(m.out.size());
    ServerLink& link = *m.out[which];
    const auto worker = static_cast<std::uint16_t>(below(kWorkers));
    const bool worn = below(6) == 0;
    const Instant first = pool().counts().oldest_wait;
    const bool starved = quota_->claims_link({pools_[pool_], first, m.total}, bench_.now);
    const auto released = pool().release(link, WorkerId(worker), bench_.now, worn);
    m.out.erase(m.out.begin() + static_cast<std::ptrdiff_t>(which));
    if (worn || starved) {
      EXPECT_EQ(released.kind, Released::close);
    } else if (!m.waiting.empty()) {
      ASSERT_EQ(released.kind, Released::give);
      const auto served = expected_waiter(m, worker);
      EXPECT_EQ(released.to.slot, *served) << "somebody was overtaken";
      m.waiting.erase(served);
      m.out.push_back(&link);
    } else {
      EXPECT_EQ(released.kind, Released::parked);
      m.parked.push_back({&link, worker, bench_.now});
    }
    if (released.kind == Released::close) close(true);
  }

  void close(bool leaving = false) {
    EXPECT_TRUE(pool().closed(leaving).empty());
    --model().total;
    feed();
  }

  void feed() {
    const std::size_t here = pool_;
    for (const auto& starved : quota_->take_starved()) {
      for (pool_ = 0; pools_[pool_] != starved;) ++pool_;
      count_opening(starved->plan(bench_.now, true));
    }
    pool_ = here;
  }

  void finish_opening() {
    Model& m = model();
    if (m.opening == 0) return;
    --m.opening;
    switch (below(4)) {
      case 0:
        --m.total;
        pool().open_abandoned();
        feed();
        return;
      case 1: {
        const bool lasting = below(3) == 0;
        const auto told = pool().open_failed(bench_.now, {"08006", "no"}, lasting, 0.0);
        --m.total;
        if (lasting && m.total == 0) {
          EXPECT_EQ(told.size(), m.waiting.size());
          m.waiting.clear();
        } else {
          EXPECT_TRUE(told.empty() || m.total == 0);
          for (std::size_t i = 0; i < told.size(); ++i) m.waiting.pop_front();
        }
        feed();
        return;
      }
      default: {
        ServerLink& link = bench_.opened(pools_[pool_]);
        m.out.push_back(&link);
      }
    }
  }

  void retire() {
    Model& m = model();
    if (m.parked.empty()) return;
    const std::size_t which = below(m.parked.size());
    ServerLink& link = *m.parked[which].link;
    EXPECT_TRUE(pool().retire(link));
    EXPECT_FALSE(pool().retire(link));
    m.parked.erase(m.parked.begin() + static_cast<std::ptrdiff_t>(which));
    close();
  }

  void check() {
    std::uint32_t sum = 0;
    for (std::size_t i = 0; i < pools_.size(); ++i) {
      const auto counts = pools_[i]->counts();
      const Model& m = models_[i];
      EXPECT_EQ(counts.total, m.total);
      EXPECT_EQ(counts.opening, m.opening);
      EXPECT_EQ(counts.parked, m.parked.size());
      EXPECT_EQ(counts.waiting, m.waiting.size());
      EXPECT_EQ(m.total, m.opening + m.parked.size() + m.out.size());
      EXPECT_LE(m.total, m.size);
      EXPECT_TRUE(m.waiting.empty() || m.parked.empty()) << "somebody waits while a link is idle";
      sum += m.total;
    }
    EXPECT_EQ(quota_->count(), sum);
    EXPECT_LE(sum, limit_);
  }

  void end() {
    for (pool_ = 0; pool_ < pools_.size(); ++pool_) {
      for (const std::uint32_t slot : std::exchange(model().waiting, {})) {
        pool().withdraw(tickets_[slot]);
      }
      for (const auto& parked : std::exchange(model().parked, {})) pool().retire(*parked.link);
    }
  }

  std::mt19937_64 random_;
  PoolBench& bench_;
  std::shared_ptr<Quota> quota_;
  std::uint32_t limit_;
  std::vector<std::shared_ptr<Pool>> pools_;
  std::vector<Model> models_;
  Ticket tickets_[12];
  std::size_t owner_[12] = {};
  std::size_t pool_ = 0;
};

TEST(PoolProperty, agrees_with_plain_lists) {
  std::cout << "seeds 1 to 400\n";
  for (std::uint64_t seed = 1; seed <= 400; ++seed) {
    PoolBench bench;
    Schedule(seed, bench).run();
    ASSERT_FALSE(::testing::Test::HasFailure()) << "seed " << seed;
  }
}

// Several threads acquire and release: never too many links, never one link with two.
TEST(PoolThreads, share_a_pool) {
  PoolBench bench;
  Pool::Setup setup = PoolBench::setup(3, 4);
  const auto quota = std::make_shared<Quota>("shared", 2);
  setup.quotas = {quota};
  const auto pool = bench.pool(std::move(setup));
  std::vector<ServerLink*> links;
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(pool->reserve_login());
    links.push_back(&bench.opened(pool));
  }
  ASSERT_FALSE(pool->reserve_login());
  for (ServerLink* link : links) pool->release(*link, WorkerId(0), bench.now, false);

  std::atomic<int> out{0};
  std::atomic<bool> wrong{false};
  std::atomic<std::size_t> served{0};
  std::vector<std::thread> threads;
  for (std::uint16_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      const WorkerId here(t);
      Ticket ticket;
      PoolBench::ticket(ticket, t, t);
      for (int i = 0; i < 20'000; ++i) {
        const auto acquired = pool->acquire(ticket, bench.now);
        if (acquired.link == nullptr) {
          // A real session would wait; this one gives up, unless it was served meanwhile: then
          // whoever served it holds the link for it, and releases it again (below).
          static_cast<void>(pool->withdraw(ticket));
          continue;
        }
        if (out.fetch_add(1) >= 2) wrong = true;
        served.fetch_add(1);
        out.fetch_sub(1);
        auto released = pool->release(*acquired.link, here, bench.now, false);
        while (released.kind == Released::give) {
          released = pool->release(*acquired.link, here, bench.now, false);
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_FALSE(wrong);
  EXPECT_GT(served, 0u);
  EXPECT_EQ(pool->counts().parked, 2u);
  EXPECT_EQ(pool->counts().waiting, 0u);
  WorkerId home;
  while (pool->retire_idle(*quota, home) != nullptr) pool->closed();
  EXPECT_EQ(quota->count(), 0u);
}

}  // namespace
}  // namespace forebay::core
