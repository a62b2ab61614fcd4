#pragma once

#include <string>
#include <vector>

namespace forebay::config {

/// [audit]: which statements are written down, with who ran them and what came of it.
struct AuditSettings {
  std::string file;                 ///< empty: nothing is
  bool ddl = true;                  ///< CREATE, ALTER, DROP, TRUNCATE ..., DO
  bool roles = true;                ///< of roles, rights, and who the session is
  bool refusals = true;             ///< what the policy for tenants refused or reported
  bool rules = true;                ///< what met one of [[rules]] that refuses or logs
  std::vector<std::string> tables;  ///< whose reads and writes are; "*" for all
  bool operator==(const AuditSettings&) const = default;
};

}  // namespace forebay::config
