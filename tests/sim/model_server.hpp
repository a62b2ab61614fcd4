#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "sim/random.hpp"
#include "support/fake_postgres.hpp"
#include "support/memory_net.hpp"

namespace forebay::test {

/// A server process and its connection. Everything takes its time: reading, working, sending.
class ModelServer {
 public:
  ModelServer(FakePostgres& postgres, FarEnd end, std::size_t number)
      : end_(std::move(end)), backend_(postgres.connect()), number_(number) {}

  [[nodiscard]] bool can_act() const;
  void act(Random& random);

  [[nodiscard]] FakeBackend& backend() noexcept { return *backend_; }
  [[nodiscard]] FarEnd& end() noexcept { return end_; }
  [[nodiscard]] bool gone() const noexcept { return gone_; }
  [[nodiscard]] std::size_t number() const noexcept { return number_; }

  /// What it heard and said since the last call, for the log.
  std::string take_talk();

  /// Empty, or how another client's statement got into a transaction.
  [[nodiscard]] const std::string& violation() const noexcept { return violation_; }

  // Faults.
  void crash(bool reset);
  void shut_down();
  void babble(std::string_view message) { pending_ += backend_message(message); }

 private:
  static std::string backend_message(std::string_view text);
  void look_at_statements();

  FarEnd end_;
  std::unique_ptr<FakeBackend> backend_;
  std::size_t number_;
  std::string pending_;  ///< said, and not sent yet
  std::string heard_;
  std::string said_;
  std::size_t seen_ = 0;  ///< of what was executed
  std::string owner_;     ///< whose transaction it is
  std::string violation_;
  bool working_ = false;  ///< on what it has read
  bool started_ = false;  ///< of the log
  bool said_end_ = false;
  bool gone_ = false;
};

/// The client that a text speaks of: "c12-" in "select c12-3"; empty for none.
std::string mark_in(const std::string& text);

}  // namespace forebay::test
