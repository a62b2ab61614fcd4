#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "forebay/base/result.hpp"
#include "forebay/config/environment.hpp"

/// The files of PgBouncer, as they are written. Errors begin with the place and never quote the
/// text: it may hold a password.
namespace forebay::config::pgbouncer {

struct Entry {
  std::string place;    ///< "pgbouncer.ini:12"
  std::string section;  ///< "pgbouncer", "databases", "users", "peers"
  std::string key;
  std::string value;
};

/// pgbouncer.ini with the files that it includes. Of keys given twice, both are there: the last one
/// counts.
[[nodiscard]] Result<std::vector<Entry>> read_ini(const std::string& path,
                                                  const Environment& environment);

struct Pair {
  std::string key;
  std::string value;
};

/// `host=db1 port=5432 password='it''s'`
[[nodiscard]] Result<std::vector<Pair>> parse_connect_string(std::string_view text);

struct ListedUser {
  std::string place;
  std::string name;
  std::string secret;
};

/// `"user" "secret"`, one a line.
[[nodiscard]] Result<std::vector<ListedUser>> parse_user_list(std::string_view text,
                                                              const std::string& path);

struct HbaRule {
  std::string place;
  std::string type;  ///< local, host, hostssl, hostnossl
  std::vector<std::string> databases;
  std::vector<std::string> users;
  std::string address;  ///< 10.0.0.0/8, all; empty for local
  std::string method;
};

[[nodiscard]] Result<std::vector<HbaRule>> parse_hba(std::string_view text,
                                                     const std::string& path);

/// The parts of a list, without the space around them; empty ones are left out.
[[nodiscard]] std::vector<std::string> split(std::string_view text, char separator);

}  // namespace forebay::config::pgbouncer
