#pragma once

#include <cstdint>
#include <string>

namespace forebay::bench {

struct LoadOptions {
  std::uint16_t port = 0;
  int clients = 1;
  int idle = 0;      ///< further ones, which log in and say nothing
  int pipeline = 1;  ///< statements that go out together
  double seconds = 2;
  double warmup = 0.3;
  std::string mode = "simple";  ///< or prepared
  std::string query = "select 1";
  std::string password;  ///< for SCRAM-SHA-256
  bool churn = false;    ///< a connection for each statement
  bool tls = false;
  bool wait = false;  ///< says "ready" after the logins, and goes on at the next line of input
  int watch = 0;      ///< the process whose CPU time is read; 0 for none

  [[nodiscard]] bool prepares() const { return mode == "prepared" && !churn; }
};

/// Ends the program with a list of the options where one is not known.
LoadOptions parse_load_options(int argc, char** argv);

}  // namespace forebay::bench
