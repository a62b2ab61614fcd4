#pragma once

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include "forebay/config/config.hpp"
#include "support/words.hpp"

/// A `.wire` file: who says what, and what must arrive. See README.md for its grammar.
namespace forebay::test {

struct Step {
  enum class Kind : std::uint8_t {
    login,    ///< a client comes in and reads its greeting
    send,     ///< a peer says `messages`
    receive,  ///< `messages` must have arrived at a peer
    pass,     ///< time goes by
    waiting,  ///< so many clients wait for a server connection
  };
  Kind kind = Kind::send;
  std::size_t line = 0;
  std::string peer;
  std::vector<Words> messages;  ///< of login: one, with further start-up parameters
  std::chrono::milliseconds time{0};
  std::size_t count = 0;
};

struct Script {
  std::string name;
  config::Config config;
  bool scripted_logins = false;  ///< the file plays the servers' logins, too
  bool whole_only = false;       ///< what is written depends on messages that arrive whole
  std::vector<Step> steps;

  /// Everybody who is spoken of, in the order of appearance.
  [[nodiscard]] std::vector<std::string> peers() const;
};

/// Peers called S1, S2, ... are server connections, in the order in which they are opened.
bool is_server(const std::string& peer);

/// What stands in for what cannot be known: `*` is any word, `...` any further words.
bool has_placeholder(const Words& message);

/// Throws std::runtime_error, with the line, for what it cannot read.
Script read_script(const std::filesystem::path& file);

}  // namespace forebay::test
