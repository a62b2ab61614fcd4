#include <algorithm>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <vector>

#include "bench/macro/client.hpp"
#include "bench/macro/load_options.hpp"
#include "bench/macro/sockets.hpp"

/// Clients in a closed loop: each says the next thing when it has the whole answer to the last.
/// Prints one JSON object: what was done, how long it took, and what CPU the watched process used
/// for it.
namespace forebay::bench {
namespace {

using std::chrono::duration;
using std::chrono::duration_cast;
using std::chrono::microseconds;

/// CPU time of all threads of a process so far.
double cpu_seconds_of(int process) {
  if (process == 0) return 0;
  double nanoseconds = 0;
  const std::string tasks = "/proc/" + std::to_string(process) + "/task";
  for (const auto& task : std::filesystem::directory_iterator(tasks)) {
    double ran = 0;
    std::ifstream(task.path() / "schedstat") >> ran;
    nanoseconds += ran;
  }
  return nanoseconds / 1e9;
}

double resident_mib_of(int process) {
  std::uint64_t total = 0;
  std::uint64_t resident = 0;
  if (process != 0) {
    std::ifstream("/proc/" + std::to_string(process) + "/statm") >> total >> resident;
  }
  return static_cast<double>(resident) * 4096 / (1 << 20);
}

class Load {
 public:
  explicit Load(const LoadOptions& options) : options_(options), plan_(options) {}

  void run() {
    for (int i = 0; i < options_.idle + options_.clients; ++i) {
      begin(static_cast<std::uint32_t>(i));
      // Logins one after another but for a few, so that none waits for long.
      while (logging_in_ > 64) turn();
    }
    const bool churn = options_.churn;
    while (logging_in_ > 0 && !churn) turn();
    if (options_.wait) {
      std::puts("ready");
      std::fflush(stdout);
      std::getchar();
    }
    busy_ = true;
    for (std::uint32_t i = 0; i < clients_.size() && !churn; ++i) say(i);
    spend(options_.warmup);
    measuring_ = true;
    const double cpu = cpu_seconds_of(options_.watch);
    const Clock::time_point begun = Clock::now();
    spend(options_.seconds);
    const double seconds = duration<double>(Clock::now() - begun).count();
    report(seconds, cpu_seconds_of(options_.watch) - cpu);
  }

 private:
  [[nodiscard]] bool idles(std::uint32_t number) const {
    return number < static_cast<std::uint32_t>(options_.idle);
  }

  void begin(std::uint32_t number) {
    if (number == clients_.size()) clients_.emplace_back();
    clients_[number] = std::make_unique<Client>(plan_, connect_to(options_.port));
    clients_[number]->since = Clock::now();
    poll_.add(clients_[number]->socket(), number, EPOLLIN | EPOLLOUT);
    ++logging_in_;
  }

  void say(std::uint32_t number) {
    if (idles(number)) return;
    Client& client = *clients_[number];
    if (!options_.churn) client.since = Clock::now();
    client.say();
    settle(number);
  }

  void spend(double seconds) {
    const auto until = Clock::now() + duration_cast<Clock::duration>(duration<double>(seconds));
    while (Clock::now() < until) turn();
  }

  void turn() {
    for (const epoll_event& event : poll_.wait(10)) {
      const std::uint32_t number = event.data.u32;
      clients_[number]->on_ready();
      settle(number);
    }
  }

  /// What the client's state asks for.
  void settle(std::uint32_t number) {
    Client& client = *clients_[number];
    switch (client.state()) {
      case Client::State::logged_in:
        --logging_in_;
        client.rest();
        if (options_.prepares() && !client.prepared()) {
          ++logging_in_;
          client.prepare();
        } else if (busy_ || options_.churn) {
          return say(number);
        }
        break;
      case Client::State::done:
        finished(client);
        if (options_.churn) {
          client.leave();
          return begin(number);
        }
        return say(number);
      case Client::State::failed:
        ++errors_;
        if (errors_ < 5) std::fprintf(stderr, "a client failed: %s\n", client.failure().c_str());
        if (errors_ > 1000) fail("too many failures");
        --logging_in_;
        return begin(number);
      default:
        break;
    }
    if (client.for_room != client.wants_room()) {
      client.for_room = client.wants_room();
      poll_.change(client.socket(), number, EPOLLIN | (client.for_room ? EPOLLOUT : 0U));
    }
  }

  void finished(Client& client) {
    all_ += static_cast<std::uint64_t>(options_.pipeline);
    if (!measuring_) return;
    done_ += static_cast<std::uint64_t>(options_.pipeline);
    bytes_ += client.received();
    client.forget_received();
    const auto took = duration_cast<microseconds>(Clock::now() - client.since).count();
    micros_.push_back(static_cast<std::uint32_t>(took));
  }

  [[nodiscard]] std::uint32_t at(double share) {
    if (micros_.empty()) return 0;
    const auto which = static_cast<std::ptrdiff_t>(share * static_cast<double>(micros_.size() - 1));
    std::nth_element(micros_.begin(), micros_.begin() + which, micros_.end());
    return micros_[static_cast<std::size_t>(which)];
  }

  void report(double seconds, double cpu) {
    const double done = static_cast<double>(std::max<std::uint64_t>(1, done_));
    std::printf(
        "{\"per_second\": %.1f, \"done\": %llu, \"all\": %llu, \"mib_per_second\": %.2f, "
        "\"p50\": %u, \"p95\": %u, \"p99\": %u, \"cpu_us\": %.4f, \"cpu_share\": %.3f, "
        "\"cpu_ms_per_mib\": %.4f, \"resident_mib\": %.2f, \"errors\": %llu}\n",
        done / seconds, static_cast<unsigned long long>(done_),
        static_cast<unsigned long long>(all_), static_cast<double>(bytes_) / (1 << 20) / seconds,
        at(0.5), at(0.95), at(0.99), cpu * 1e6 / done, cpu / seconds,
        bytes_ == 0 ? 0.0 : cpu * 1e3 / (static_cast<double>(bytes_) / (1 << 20)),
        resident_mib_of(options_.watch), static_cast<unsigned long long>(errors_));
  }

  const LoadOptions options_;
  const ClientPlan plan_;
  Poll poll_;
  std::vector<std::unique_ptr<Client>> clients_;
  int logging_in_ = 0;
  bool busy_ = false;
  bool measuring_ = false;
  std::uint64_t all_ = 0;
  std::uint64_t done_ = 0;
  std::uint64_t bytes_ = 0;
  std::uint64_t errors_ = 0;
  std::vector<std::uint32_t> micros_;
};

}  // namespace
}  // namespace forebay::bench

int main(int argc, char** argv) {
  forebay::bench::Load(forebay::bench::parse_load_options(argc, argv)).run();
}
