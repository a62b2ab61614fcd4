#include "support/loop.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <filesystem>
#include <mutex>

namespace forebay::net::test {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

Loop::Loop(const ReactorOptions& options) : reactor(std::move(*make_reactor(options))) {}

bool Loop::until(const std::function<bool()>& so) {
  const auto deadline = steady_clock::now() + kPatience;
  while (!so()) {
    if (steady_clock::now() > deadline) return false;
    reactor->turn(driven, milliseconds(1));
  }
  return true;
}

void Loop::settle() {
  const auto busy = [this] {
    const ReactorCounters& c = reactor->counters();
    return c.recv.value() + c.send.value() + c.epoll_ctl.value() + c.accept.value();
  };
  for (int quiet = 0; quiet < 5;) {
    const auto before = busy();
    reactor->turn(driven, milliseconds(2));
    quiet = busy() == before ? quiet + 1 : 0;
  }
}

LoopThread::LoopThread(const ReactorOptions& options)
    : loop_(options), thread_([this] { loop_.reactor->run(loop_.driven); }) {}

LoopThread::~LoopThread() {
  loop_.reactor->stop();
  thread_.join();
}

void LoopThread::run(std::function<void()> work) {
  std::promise<void> done;
  loop_.reactor->post([&] {
    work();
    done.set_value();
  });
  done.get_future().wait();
}

bool LoopThread::until(const std::function<bool()>& so) {
  std::mutex mutex;
  std::condition_variable changed;
  bool seen = false;
  run([&] {
    loop_.driven.when_turn_ends = [&] {
      if (!so()) return;
      const std::lock_guard lock(mutex);
      seen = true;
      changed.notify_all();
    };
  });
  std::unique_lock lock(mutex);
  const bool came = changed.wait_for(lock, kPatience, [&] { return seen; });
  lock.unlock();
  run([&] { loop_.driven.when_turn_ends = nullptr; });
  return came;
}

std::string name_of(Family family) {
  switch (family) {
    case Family::v4:
      return "V4";
    case Family::v6:
      return "V6";
    case Family::unix_file:
      return "Unix";
  }
  return "?";
}

void PrintTo(Family family, std::ostream* out) {
  *out << name_of(family);
}

Endpoint endpoint_for(Family family) {
  static std::atomic<int> number = 0;
  switch (family) {
    case Family::v4:
      return {"127.0.0.1", 0};
    case Family::v6:
      return {"::1", 0};
    case Family::unix_file:
      return {test_directory() + "/socket" + std::to_string(++number), 0};
  }
  return {};
}

std::shared_ptr<const Listener> listen_for(Family family) {
  auto listener = Listener::open(endpoint_for(family));
  if (!listener) {
    ADD_FAILURE() << listener.error().message;
    std::abort();
  }
  return *listener;
}

std::string numbered_text(std::size_t size) {
  std::string text;
  text.reserve(size + 16);
  for (std::size_t i = 0; text.size() < size; ++i) text += std::to_string(i) + ",";
  text.resize(size);
  return text;
}

Couple::Couple(Loop& loop, Family family) : listener(listen_for(family)) {
  loop.driven.when_accepted = [&](std::unique_ptr<core::Stream> stream, core::ListenerId) {
    loop.reactor->set_owner(*stream, server);
    server.stream = std::move(stream);
  };
  loop.reactor->listen(listener, core::ListenerId(0));
  client.stream = loop.reactor->connect(listener->endpoint(), client);
  EXPECT_TRUE(loop.until([&] { return client.connected == 1 && server.stream; })) << client.lost;
  loop.reactor->stop_accepting();
  loop.driven.when_accepted = nullptr;
}

std::string test_directory() {
  struct Directory {
    Directory() {
      std::string pattern = (std::filesystem::temp_directory_path() / "forebay-net-XXXXXX");
      path = ::mkdtemp(pattern.data());
    }
    ~Directory() { std::filesystem::remove_all(path); }
    std::string path;
  };
  static const Directory directory;
  return directory.path;
}

}  // namespace forebay::net::test
