#include "admin/show.hpp"

#include <ctime>

namespace forebay::admin {

std::span<const ShowLine> shows() {
  static const std::vector<ShowLine> lines = [] {
    std::vector<ShowLine> all;
    for (const auto part : {show_pools, show_connections, show_statistics, show_statements,
                            show_clusters, show_tenants, show_rules, show_process}) {
      for (const ShowLine& line : part()) all.push_back(line);
    }
    return all;
  }();
  return lines;
}

// As PgBouncer: local time is of no use to whoever compares hosts.
std::string moment(const View& view, Instant at) {
  const auto wall = view.wall_now - (view.now - at);
  const std::time_t seconds = std::chrono::system_clock::to_time_t(
      std::chrono::time_point_cast<std::chrono::system_clock::duration>(wall));
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  char text[32];
  const std::size_t size = std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S UTC", &parts);
  return {text, size};
}

}  // namespace forebay::admin
