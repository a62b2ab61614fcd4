#include "admin/show.hpp"

namespace forebay::admin {

std::span<const ShowLine> shows() {
  static const std::vector<ShowLine> lines = [] {
    std::vector<ShowLine> all;
    for (const auto part :
         {show_pools, show_connections, show_statistics, show_clusters, show_process}) {
      for (const ShowLine& line : part()) all.push_back(line);
    }
    return all;
  }();
  return lines;
}

}  // namespace forebay::admin
