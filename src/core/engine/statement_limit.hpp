#pragma once

#include <boost/intrusive/list.hpp>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "core/pool/ticket.hpp"
#include "forebay/base/time.hpp"
#include "forebay/config/statement_limits.hpp"

namespace forebay::core {

/// max_statements, max_statements_per_second and max_bytes_per_second of one user, database or
/// tenant: which of its statements may begin now, and which wait, asked once for each transaction
/// or statement alone; and when what it sends and receives may go on. Thread-safe and exact.
class StatementLimit {
 public:
  /// `name` and `section` are for errors: user "alice", [users.alice].
  StatementLimit(std::string name, std::string section)
      : name_(std::move(name)), section_(std::move(section)) {}

  [[nodiscard]] static std::string name_of_tenant(const std::string& tenant) {
    return "tenant \"" + tenant + "\"";
  }

  /// `section`: where they are set.
  void set(const config::StatementLimits& terms, const std::string& section);
  [[nodiscard]] config::StatementLimits terms() const;
  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  [[nodiscard]] std::string section() const;

  // ---- how many begin within a second

  /// When the next statement may begin, at or after `now`; it is taken to begin then. kNever: too
  /// many wait already.
  Instant begin(Instant now);
  /// A transaction had so many statements more, which were not held up: what comes next is, for a
  /// second at most.
  void count_more(std::uint32_t statements, Instant now);

  // ---- how many bytes within a second

  /// So many went their way: when the next may. At or before `now`: at once.
  Instant move(std::size_t bytes, Instant now);

  // ---- how many run at a time

  enum class Entered : std::uint8_t { yes, waits, refused };
  /// Takes a place, or one in the queue, oldest first. `keeps_link`: who asks has a link that those
  /// with places may be waiting for, so that it must not wait for them: it gets a place beyond the
  /// limit if need be, which others then wait for. `unbounded`: whoever else waits is not the
  /// reason why nothing goes on, and another limit says how many may wait.
  Entered enter(Ticket& ticket, bool keeps_link = false, bool unbounded = false);
  /// Leaves the queue. False when a place has been given meanwhile: it is on its way.
  bool withdraw(Ticket& ticket);
  /// Gives a place back. Those that have places now, without having to ask.
  std::vector<SessionKey> leave();
  /// None may begin from now on, or again: then, those that have places now.
  std::vector<SessionKey> pause(bool paused);
  [[nodiscard]] bool paused() const;
  /// There may be more places: those that have one now.
  std::vector<SessionKey> admit_more();

  struct Counts {
    std::uint32_t running = 0;
    std::size_t waiting = 0;
  };
  [[nodiscard]] Counts counts() const;
  /// It has nothing to remember: a new one would do as well.
  [[nodiscard]] bool blank(Instant now) const;

 private:
  [[nodiscard]] Duration apart() const noexcept;
  std::vector<SessionKey> serve(bool resumed);

  const std::string name_;
  std::string section_;
  mutable std::mutex mutex_;
  config::StatementLimits terms_;
  Instant next_{};         ///< when the bucket is full again
  Instant bytes_until_{};  ///< when that of the bytes is empty no more, if that is not over
  std::uint32_t running_ = 0;
  bool paused_ = false;
  WaitQueue queue_;
};

/// Those of the process, by name. Thread-safe.
class StatementLimitDirectory {
 public:
  /// The one of that name, with these terms from now on.
  std::shared_ptr<StatementLimit> find_or_make(const std::string& name, const std::string& section,
                                               const config::StatementLimits& terms, Instant now);
  [[nodiscard]] std::vector<std::shared_ptr<const StatementLimit>> all() const;

  /// Those that nobody needs are forgotten when there are so many, and again at twice as many.
  static constexpr std::size_t kForgetAt = 1024;

 private:
  mutable std::mutex mutex_;
  std::map<std::string, std::shared_ptr<StatementLimit>> limits_;
  std::size_t forget_at_ = kForgetAt;
};

}  // namespace forebay::core
