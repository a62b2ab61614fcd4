#pragma once

#include <cstdint>
#include <string>
#include <string_view>

/// Values of PgBouncer's keys as values of ours.
namespace forebay::config::pgbouncer {

struct Value {
  std::string toml;  ///< empty: there is none
  std::string note;  ///< in what it differs; empty: it does not
};
using Convert = Value (*)(std::string_view);

template <std::uint32_t least, std::uint32_t most>
Value count(std::string_view text);
[[nodiscard]] Value count_within(std::string_view text, std::uint32_t least, std::uint32_t most);
/// Seconds, also with a fraction.
[[nodiscard]] Value seconds(std::string_view text);
/// The same, where 0 means "used once", for which we have the shortest time.
[[nodiscard]] Value lifetime(std::string_view text);
[[nodiscard]] Value flag(std::string_view text);
[[nodiscard]] Value text(std::string_view text);
[[nodiscard]] Value pool_mode(std::string_view text);
[[nodiscard]] Value tls_mode(std::string_view text);
[[nodiscard]] Value client_tls_mode(std::string_view text);
[[nodiscard]] Value tls_versions(std::string_view text);
[[nodiscard]] Value ciphers(std::string_view text);
[[nodiscard]] Value file_mode(std::string_view text);
[[nodiscard]] Value log_file(std::string_view text);
[[nodiscard]] Value prepared_statements(std::string_view text);
[[nodiscard]] Value auth_query(std::string_view text);
[[nodiscard]] Value log_level(std::string_view text);

template <std::uint32_t least, std::uint32_t most>
Value count(std::string_view text) {
  return count_within(text, least, most);
}

}  // namespace forebay::config::pgbouncer
