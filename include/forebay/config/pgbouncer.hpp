#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "forebay/base/result.hpp"
#include "forebay/config/environment.hpp"

namespace forebay::config {

/// What became of one thing that a PgBouncer configuration says.
struct Translated {
  enum class Verdict : std::uint8_t { mapped, approximated, unsupported };
  std::string place;    ///< "pgbouncer.ini:12"; empty for a default of PgBouncer's
  std::string subject;  ///< "[pgbouncer] pool_mode"
  Verdict verdict;
  std::string text;  ///< the line it became, and where it means something else, what; no secrets
};

/// `pgbouncer.ini:12: [pgbouncer] pool_mode: mapped: [pool] pool_mode = "session"`
[[nodiscard]] std::string to_string(const Translated& translated);

struct Imported {
  std::string toml;  ///< with the passwords of the user list
  std::vector<Translated> report;
};

/// Reads pgbouncer.ini and what it names: included files, the user list, the HBA file. The TOML
/// says everything that PgBouncer's file says, and those of its defaults that differ from ours. An
/// error is a file that PgBouncer could not read either.
[[nodiscard]] Result<Imported> import_pgbouncer(const std::string& path,
                                                const Environment& environment);

}  // namespace forebay::config
