#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace forebay::core {

/// How much a fact matters.
enum class Weight : std::uint8_t { detail, normal, warning, error };

/// Something that happened, for the operator. Never holds a secret.
struct Fact {
  Weight weight = Weight::normal;
  std::string_view event;  ///< a word for machines: "client_connected", "server_login_failed", ...
  std::string text;        ///< for people
  std::string_view database = {};
  std::string_view user = {};
  std::string_view tenant = {};
  std::string_view peer = {};  ///< "192.0.2.1:4711"
  std::string_view host = {};  ///< the server, "db1:5432"
  std::string_view sqlstate = {};
};

/// Where facts go: the log, or a test's list. Thread-safe; never blocks.
class Journal {
 public:
  virtual ~Journal() = default;
  virtual void note(const Fact& fact) = 0;
  /// Whether connects and disconnects of clients are wanted.
  [[nodiscard]] virtual bool wants_connections() const { return true; }
};

}  // namespace forebay::core
