#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "forebay/base/result.hpp"
#include "forebay/base/time.hpp"

namespace boost::asio {
class io_context;
}  // namespace boost::asio

namespace forebay::net {

/// Host names to addresses, for all workers, without blocking any of them. An answer is kept for a
/// while; the last good one serves as long as new look-ups fail; several who ask for one name at
/// the same time share one look-up. All functions may be called by any thread. It must live until
/// all look-ups that it began are answered or dropped.
class Resolver {
 public:
  /// As text, numeric ("192.0.2.1", "fe80::1%eth0"), in the order in which to try them.
  using Addresses = std::vector<std::string>;
  /// Told once, by any thread, possibly within the call that asked.
  using Answer = std::function<void(const Result<Addresses>&)>;
  /// How a name is really looked up; it must answer, possibly on another thread.
  using LookUp = std::function<void(const std::string& host, Answer answer)>;

  static constexpr Duration kKeepAnswers = std::chrono::seconds(15);

  explicit Resolver(LookUp look_up, Duration keep = kKeepAnswers);

  /// From now on good answers are kept so long, and bad ones.
  void keep_for(Duration good, Duration bad);

  /// What changed address after it was looked up again, called by whoever answers that.
  using Moved = std::function<void(const std::string& host, const Addresses& now)>;
  void on_moved(Moved moved) { moved_ = std::move(moved); }
  /// At none of its addresses a server could be reached: they may be others by now. What is known
  /// is kept no longer than kLookAgain since it was asked.
  void unreachable(const std::string& host);
  static constexpr Duration kLookAgain = std::chrono::seconds(1);
  /// Looks up again every name of which the answer is no longer kept.
  void refresh();

  struct Known {
    std::string host;
    Addresses addresses;  ///< the last good answer
    Duration kept;        ///< from now; negative: it is over
  };
  [[nodiscard]] std::vector<Known> known() const;

  /// The error says: could not resolve host name "x": <the system's reason>.
  void resolve(const std::string& host, Answer answer);

 private:
  struct Name {
    std::optional<Addresses> good;  ///< the last good answer
    Instant good_since{};
    Instant good_until{};
    std::string bad;  ///< what the last look-up said, if that was no address
    Instant bad_until{};
    std::vector<Answer> waiting;  ///< not empty: a look-up is under way
  };

  void looked_up(const std::string& host, const Result<Addresses>& found);

  LookUp look_up_;
  Moved moved_;
  mutable std::mutex mutex_;
  Duration keep_;
  Duration keep_bad_{};
  std::map<std::string, Name> names_;
};

/// Look-ups by the system's resolver, begun on and answered by the thread that runs `control`,
/// which must outlive the resolver's use. They are made one after another.
Resolver::LookUp system_look_up(boost::asio::io_context& control);

}  // namespace forebay::net
