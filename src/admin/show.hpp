#pragma once

#include <chrono>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "admin/averages.hpp"
#include "admin/table.hpp"
#include "core/console/console.hpp"
#include "core/engine/runtime.hpp"
#include "core/engine/shared.hpp"
#include "forebay/config/config.hpp"
#include "forebay/config/load.hpp"

namespace forebay::admin {

/// What SHOW commands look at.
struct View {
  core::Shared& shared;
  const config::Config& config;
  const Averages& averages;
  Instant now;
  std::chrono::system_clock::time_point wall_now;
  /// One of each worker, when the command asks for them.
  std::vector<std::shared_ptr<const core::WorkerReport>> reports;
  const config::Sources& sources;         ///< of the configuration
  const rules::RuleSet* rules = nullptr;  ///< null: there are none
};

/// One SHOW command. To add one: its columns, a function that makes its rows, a line in
/// `shows()`.
struct ShowLine {
  std::string_view name;  ///< in capitals, single blanks: "POOLS", "POOLS EXTENDED"
  std::span<const Column> columns;
  Rows (*rows)(const View& view);
  bool asks_workers = false;  ///< it needs View::reports
  bool admin_only = false;
  bool hidden = false;  ///< not in HELP: it is there for drivers
};
[[nodiscard]] std::span<const ShowLine> shows();
/// The line for SELECT and a whole number, which probes say: the number is the only row.
inline constexpr std::string_view kSelectLiteral = "?";

/// The line for EXPLAIN ROUTE, whose argument is the rest of the text.
inline constexpr std::string_view kExplainRoute = "? ROUTE";

/// A moment as SHOW commands write it.
[[nodiscard]] std::string moment(const View& view, Instant at);

// By theme; `shows()` is the list of all.
[[nodiscard]] std::vector<ShowLine> show_pools();
[[nodiscard]] std::vector<ShowLine> show_connections();
[[nodiscard]] std::vector<ShowLine> show_statistics();
[[nodiscard]] std::vector<ShowLine> show_statements();
[[nodiscard]] std::vector<ShowLine> show_process();
[[nodiscard]] std::vector<ShowLine> show_clusters();
[[nodiscard]] std::vector<ShowLine> show_tenants();
[[nodiscard]] std::vector<ShowLine> show_rules();

}  // namespace forebay::admin
