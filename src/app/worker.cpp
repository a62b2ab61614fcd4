#include "app/worker.hpp"

#include <pthread.h>
#include <signal.h>

namespace forebay::app {

void Worker::start() {
  thread_ = std::thread([this] {
    // Signals are the control thread's, but for those that say what this thread has done wrong:
    // blocked, they end the process without a word.
    sigset_t others;
    sigfillset(&others);
    for (const int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS}) {
      sigdelset(&others, fault);
    }
    pthread_sigmask(SIG_SETMASK, &others, nullptr);
    reactor_->run(*engine_);
    engine_.reset();
  });
}

void Worker::post(core::Mail mail) {
  reactor_->post([this, letter = std::move(mail)]() mutable {
    if (engine_ != nullptr) engine_->deliver(std::move(letter));
  });
}

bool Worker::turn() {
  if (turning_.exchange(true)) return false;
  reactor_->post([this] { turning_ = false; });
  return true;
}

void Worker::stop() {
  post(core::mail::Stop{});
  reactor_->stop();
}

void Worker::join() {
  if (thread_.joinable()) thread_.join();
}

Workers::~Workers() {
  stop();
  shared_.courier = nullptr;
}

Result<void> Workers::add(std::size_t count, std::shared_ptr<const core::Runtime> runtime,
                          net::Resolver& resolver) {
  for (std::size_t i = 0; i < count; ++i) {
    net::ReactorOptions options;
    options.resolver = &resolver;
    auto reactor = net::make_reactor(options);
    if (reactor.has_error()) return reactor.error();
    workers_.push_back(std::make_unique<Worker>(core::WorkerId(static_cast<std::uint16_t>(i)),
                                                shared_, runtime, std::move(reactor.value())));
  }
  return {};
}

void Workers::listen(const std::shared_ptr<const net::Listener>& listener, core::ListenerId id) {
  shared_.listeners.set(id, to_string(listener->endpoint()));
  for (const auto& worker : workers_) {
    net::Reactor& reactor = worker->reactor();
    reactor.post([this, &reactor, listener, id] {
      reactor.listen(listener, id,
                     [this](core::ListenerId) -> net::Reactor& { return least_busy().reactor(); });
    });
  }
}

void Workers::stop_listening(const std::shared_ptr<const net::Listener>& listener) {
  for (const auto& worker : workers_) {
    net::Reactor& reactor = worker->reactor();
    reactor.post([&reactor, listener] { reactor.stop_listening(*listener); });
  }
}

void Workers::reload(std::shared_ptr<const core::Runtime> runtime) {
  const auto replaced = std::make_shared<const core::Replaced>(shared_.pools.reload(runtime));
  for (const auto& worker : workers_) worker->post(core::mail::Reload{runtime, replaced});
}

// Whoever accepts a client gives it to the worker with the fewest.
Worker& Workers::least_busy() {
  Worker* best = workers_.front().get();
  std::uint64_t fewest = ~std::uint64_t{0};
  for (const auto& worker : workers_) {
    const std::uint64_t clients = worker->given.load(std::memory_order_relaxed) -
                                  shared_.counters[worker->id().value()].clients_closed.value();
    if (clients < fewest) {
      fewest = clients;
      best = worker.get();
    }
  }
  best->given.fetch_add(1, std::memory_order_relaxed);
  return *best;
}

void Workers::start() {
  for (const auto& worker : workers_) worker->start();
}

void Workers::stop_accepting() {
  for (const auto& worker : workers_) {
    net::Reactor& reactor = worker->reactor();
    reactor.post([&reactor] { reactor.stop_accepting(); });
  }
}

void Workers::host_moved(const std::string& host, const std::vector<std::string>& addresses) {
  for (const auto& worker : workers_) worker->post(core::mail::HostMoved{host, addresses});
}

void Workers::drain() {
  for (const auto& worker : workers_) worker->post(core::mail::Drain{});
}

bool Workers::all_turn() {
  bool all = true;
  for (const auto& worker : workers_) all &= worker->turn();
  return all;
}

void Workers::stop() {
  for (const auto& worker : workers_) worker->stop();
  for (const auto& worker : workers_) worker->join();
}

void Workers::send(core::WorkerId to, core::Mail mail) {
  workers_[to.value()]->post(std::move(mail));
}

}  // namespace forebay::app
