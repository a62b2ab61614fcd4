#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "core/engine/journal.hpp"
#include "forebay/base/result.hpp"
#include "forebay/config/config.hpp"

namespace spdlog {
class logger;
}  // namespace spdlog

namespace forebay::app {

/// The log: one line a fact, as text or as JSON, written by a thread of its own. When lines come
/// faster than they can be written the oldest are lost, and counted; nobody ever waits.
class LogJournal final : public core::Journal {
 public:
  static Result<std::unique_ptr<LogJournal>> open(const config::Config& config);
  ~LogJournal() override;

  void note(const core::Fact& fact) override;
  [[nodiscard]] bool wants_connections() const override { return log_connections_; }

  /// Writes what is still in hand.
  void flush();
  /// Lines lost since the start.
  [[nodiscard]] std::size_t lost() const;

 private:
  LogJournal() = default;

  std::shared_ptr<spdlog::logger> logger_;
  bool json_ = false;
  bool log_connections_ = true;
};

/// A fact as a line of the log, without time and level.
std::string text_line(const core::Fact& fact);
/// The same as JSON object members, without time and level.
std::string json_line(const core::Fact& fact);

}  // namespace forebay::app
