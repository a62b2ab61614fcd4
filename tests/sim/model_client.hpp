#pragma once

#include <string>
#include <utility>
#include <vector>

#include "sim/program.hpp"
#include "sim/random.hpp"
#include "support/memory_net.hpp"

namespace forebay::test {

/// A client that follows its program, and remembers every byte.
class ModelClient {
 public:
  ModelClient(std::size_t id, Program program, FarEnd end)
      : id_(id), program_(std::move(program)), end_(std::move(end)), outgoing_(program_.startup) {
    sent_asks_ = 1;  // the greeting
  }

  [[nodiscard]] bool can_act() const;
  /// Gives what it did, for the log.
  std::string act(Random& random);
  /// It wants what runs to be cancelled; once.
  bool wants_cancel() { return std::exchange(wants_cancel_, false); }

  [[nodiscard]] bool done() const noexcept { return done_; }
  [[nodiscard]] std::size_t id() const noexcept { return id_; }
  [[nodiscard]] std::string mark() const { return "c" + std::to_string(id_) + "-"; }
  [[nodiscard]] const Program& program() const noexcept { return program_; }
  [[nodiscard]] const std::string& sent() const noexcept { return sent_; }
  [[nodiscard]] const std::string& received() const noexcept { return received_; }
  [[nodiscard]] FarEnd& end() noexcept { return end_; }
  /// It broke its connection: the last bytes that it sent may be lost.
  [[nodiscard]] bool broke_off() const noexcept { return program_.breaks_off; }
  [[nodiscard]] std::size_t cancels() const noexcept { return cancels_; }
  /// From the greeting.
  [[nodiscard]] const std::string& key() const noexcept { return key_; }
  [[nodiscard]] std::uint32_t process_id() const noexcept { return process_id_; }
  [[nodiscard]] std::string state() const;

 private:
  [[nodiscard]] bool may_go_on() const;
  void next_move();
  void after(const Move& move);
  void understand();

  std::size_t id_;
  Program program_;
  FarEnd end_;
  std::string outgoing_;
  std::string sent_;
  std::string received_;
  std::string unread_;  ///< received, and not understood yet
  std::string key_;
  std::uint32_t process_id_ = 0;
  std::size_t at_ = 0;  ///< the next move
  std::size_t sent_asks_ = 0;
  std::size_t readies_ = 0;
  std::size_t cancels_ = 0;
  Move::Then then_ = Move::Then::readies;
  bool copy_answered_ = false;
  bool first_byte_ = true;
  bool wants_cancel_ = false;
  bool half_closed_ = false;
  bool done_ = false;
};

}  // namespace forebay::test
