#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sim/random.hpp"

namespace forebay::test {

/// One thing that a client does.
struct Move {
  enum class Then : std::uint8_t {
    go_on,       ///< without waiting
    readies,     ///< when ReadyForQuery has come for everything that asked for one
    copy_in,     ///< when the server reads data, or has refused
    cancel,      ///< asks for a cancel, and goes on
    half_close,  ///< sends no more, reads to the end
    reset,       ///< is gone
  };
  std::string bytes;
  std::size_t asks = 0;  ///< so many messages of it are answered by ReadyForQuery
  Then then = Then::readies;
  std::string what;
};

/// What a client does in its life, decided before it begins.
struct Program {
  std::string startup;
  bool has_settings = false;  ///< start-up parameters of its own
  bool breaks_off = false;    ///< in the middle of something
  std::vector<Move> moves;
};

struct ProgramRules {
  bool transactions = true;  ///< else pool_mode = "statement"
  bool leaves_abruptly = true;
  bool keeps = false;  ///< also what a session has by SQL, and what keeps its server connection
  std::string user = "u";
};

/// Everything that the client says carries its mark, c<id>-.
Program make_program(Random& random, std::size_t id, const ProgramRules& rules);

}  // namespace forebay::test
