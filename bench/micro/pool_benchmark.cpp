#include <benchmark/benchmark.h>

#include <memory>
#include <vector>

#include "core/pool/pool.hpp"
#include "forebay/base/assert.hpp"
#include "support/world.hpp"

/// Taking a link and giving it back, by several workers at once, with a link for each.
namespace {

using namespace forebay;
using namespace forebay::core;

constexpr std::size_t kWorkersMax = 8;
constexpr std::uint32_t kLinks = 20;

class SharedPool : public benchmark::Fixture {
 public:
  void SetUp(const benchmark::State& state) override {
    if (state.thread_index() != 0) return;
    world_ = std::make_unique<test::World>();
    Pool::Setup setup;
    setup.key = {"app", "u"};
    setup.target.hosts = {test::kHost};
    setup.settings.pool_size = kLinks;
    setup.workers = kWorkersMax;
    setup.credential = auth::Credential{auth::NoCredential{}};
    pool_ = std::make_shared<Pool>(std::move(setup));
    for (std::uint32_t i = 0; i < kLinks; ++i) {
      FB_ASSERT(pool_->reserve_login());
      pool_->opened(now_);
      links_.push_back(std::make_unique<ServerLink>(world_->engine(), pool_));
      pool_->release(*links_.back(), WorkerId(static_cast<std::uint16_t>(i % kWorkersMax)), now_,
                     false);
    }
  }
  void TearDown(const benchmark::State& state) override {
    if (state.thread_index() != 0) return;
    for (const auto& link : links_) pool_->retire(*link);
    links_.clear();
    pool_.reset();
    world_.reset();
  }

 protected:
  const Instant now_{std::chrono::hours(1)};
  std::unique_ptr<test::World> world_;
  std::shared_ptr<Pool> pool_;
  std::vector<std::unique_ptr<ServerLink>> links_;
};

BENCHMARK_DEFINE_F(SharedPool, acquire_and_release)(benchmark::State& state) {
  const WorkerId here(static_cast<std::uint16_t>(state.thread_index()));
  Ticket ticket;
  ticket.session = {here, 1, 1};
  for (auto _ : state) {
    const Pool::Acquired acquired = pool_->acquire(ticket, now_);
    FB_ASSERT(acquired.link != nullptr);
    pool_->release(*acquired.link, here, now_, false);
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK_REGISTER_F(SharedPool, acquire_and_release)->ThreadRange(1, kWorkersMax)->UseRealTime();

}  // namespace
