#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/document.hpp"
#include "config/reading.hpp"
#include "forebay/config/config.hpp"

namespace forebay::config {

/// `databases.app`, `databases."my app"`: as the section's header is written in the file.
[[nodiscard]] std::string entry_label(std::string_view section, std::string_view name);

/// What can only be judged when all keys are read: settings that need or exclude one another,
/// and files that must be there. Runs after errors too, and then says nothing that is only a
/// consequence of them.
void check_together(const Config& config, const Table& root, Reading& reading);

/// What must hold between the keys about Patroni of the database that stands at `entry`.
void check_patroni(const Database& database, std::string section, const Member& entry,
                   Reading& reading);

/// Keys of [tenants] that do not fit together, and why.
[[nodiscard]] std::vector<std::pair<std::string_view, std::string>> complaints_about(
    const TenantSettings& tenants);

/// What must hold within a rule, which stands at `at`.
void check_rule(const Rule& rule, const Table& table, Position at, Problems& problems);

}  // namespace forebay::config
