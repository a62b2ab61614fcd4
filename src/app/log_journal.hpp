#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "app/event_limits.hpp"
#include "core/engine/journal.hpp"
#include "forebay/base/result.hpp"
#include "forebay/config/config.hpp"

namespace forebay::app {

/// The log: one line a fact, as text or as JSON, written by a thread of its own. When lines come
/// faster than they can be written the oldest are lost, and counted; nobody ever waits. Of each
/// event only so many a second are written.
class LogJournal final : public core::Journal {
 public:
  static Result<std::unique_ptr<LogJournal>> open(const config::Config& config);
  ~LogJournal() override;

  /// Where lines go and how they look. A file is opened anew: the old one may have been moved away.
  struct Output;
  static Result<std::shared_ptr<const Output>> open_output(const config::Config& config);
  /// From now on lines go there.
  void use(std::shared_ptr<const Output> output);

  void note(const core::Fact& fact) override;
  [[nodiscard]] bool wants_connections() const override {
    return log_connections_.load(std::memory_order_relaxed);
  }

  /// Says how many lines were left out, because there were too many of an event. Called now and
  /// then.
  void tell_left_out();
  /// Writes what is still in hand.
  void flush();
  /// Lines left out since the start, by event.
  [[nodiscard]] std::vector<std::pair<std::string, std::uint64_t>> left_out() const {
    return limits_.totals();
  }
  /// Lines lost since the start.
  [[nodiscard]] std::size_t lost() const;
  /// Times that something could not be written, since the start.
  [[nodiscard]] std::uint64_t failures() const { return failures_->load(); }

 private:
  LogJournal() = default;
  [[nodiscard]] std::shared_ptr<const Output> output() const;
  void tell(const std::vector<EventLimits::LeftOut>& left_out);
  void write(const core::Fact& fact);

  EventLimits limits_;
  std::shared_ptr<std::atomic<std::uint64_t>> failures_ =
      std::make_shared<std::atomic<std::uint64_t>>(0);  ///< also counted by the thread that writes
  mutable std::mutex mutex_;
  std::shared_ptr<const Output> output_;
  std::atomic<bool> log_connections_{true};
  std::atomic<config::LogLevel> level_{config::LogLevel::info};
};

/// A fact as a line of the log, without time and level.
std::string text_line(const core::Fact& fact);
/// The same as JSON object members, without time and level.
std::string json_line(const core::Fact& fact);

}  // namespace forebay::app
