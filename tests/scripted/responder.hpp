#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "support/words.hpp"

namespace forebay::test {

/// A server connection that needs no script: logs everybody in, and answers every statement with
/// its own text, so that an answer in wrong hands shows. Follows what a script says as long as
/// there is one, and goes on from there.
class Responder {
 public:
  explicit Responder(std::size_t number);

  /// What the script had the server receive and say.
  void saw(const Words& message);
  void said(const Words& message);

  /// Takes start-up packets off the front, as far as they are whole; gives the answers. A
  /// CancelRequest stays where it is.
  std::string log_in(std::string& received);
  /// Takes and answers every whole message.
  std::string answer(std::string& received);

  [[nodiscard]] bool logged_in() const noexcept { return logged_in_; }
  void set_logged_in() noexcept { logged_in_ = true; }
  /// Said good-bye, or was a CancelRequest.
  [[nodiscard]] bool over() const noexcept { return over_; }

  [[nodiscard]] std::uint32_t process_id() const noexcept { return process_id_; }
  [[nodiscard]] const std::string& key() const noexcept { return key_; }
  /// What the answer to a statement looks like.
  static std::string tag(const std::string& text) { return "echo " + text; }

 private:
  enum class Copy : std::uint8_t { none, simple, extended };

  void take_over();
  void respond(const Words& message);
  void on_query(const std::string& text);
  void on_copy(const std::string& name);
  void fail(const std::string& sqlstate);
  void put(const std::string& text) { out_ += backend(text); }
  void ready() { put("ReadyForQuery " + status_); }
  std::string command(const std::string& text);

  std::uint32_t process_id_;
  std::string key_;
  std::string out_;
  std::map<std::string, std::string> statements_;
  std::map<std::string, std::string> portals_;
  std::string status_ = "I";
  bool extended_ = false;  ///< the request seen last is of the extended protocol
  bool skipping_ = false;
  Copy copy_ = Copy::none;
  std::size_t owed_ = 0;  ///< requests that ReadyForQuery is still to answer
  bool failed_ = false;   ///< the first of them with an error
  bool alone_ = false;
  bool logged_in_ = false;
  bool over_ = false;
};

}  // namespace forebay::test
