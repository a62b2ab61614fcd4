#include "app/descriptors.hpp"

#include <sys/resource.h>

#include <algorithm>
#include <string>

namespace forebay::app {
namespace {

/// Open files when nothing is said and the system allows it.
constexpr std::uint64_t kOpenFilesDefault = 200'000;
/// For log, HTTP, listeners, and whatever libraries open.
constexpr std::uint64_t kReserve = 64;
constexpr std::uint64_t kEachWorker = 4;

// Server connections that must fit beside the clients. Wildcards make pools without number, of
// which a few are expected to be busy at a time.
std::uint64_t expected_links(const config::Config& config) {
  std::uint64_t links = 0;
  for (const auto& [name, database] : config.databases) {
    const auto settings = config.pool_settings(database, nullptr);
    const std::uint64_t pools = name == "*" ? 4 : std::max<std::size_t>(1, config.users.size());
    std::uint64_t most = pools * (settings.pool_size + settings.reserve());
    if (database.max_db_connections > 0) {
      most = std::min<std::uint64_t>(most, database.max_db_connections);
    }
    links += most;
  }
  return std::min<std::uint64_t>(links, 4096);
}

}  // namespace

Result<std::uint32_t> provide_descriptors(const config::Config& config, std::size_t workers) {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return failure("cannot read the limit of open files");
  const std::uint64_t others = expected_links(config) + kReserve + kEachWorker * workers;
  const std::uint64_t wanted =
      config.max_client_conn ? *config.max_client_conn + others : kOpenFilesDefault;
  if (limit.rlim_cur < wanted) {
    limit.rlim_cur = std::min<rlim_t>(wanted, limit.rlim_max);
    setrlimit(RLIMIT_NOFILE, &limit);
    getrlimit(RLIMIT_NOFILE, &limit);
  }
  const std::uint64_t fits = limit.rlim_cur > others ? limit.rlim_cur - others : 0;
  if (!config.max_client_conn && fits > 0) return static_cast<std::uint32_t>(fits);
  if (config.max_client_conn && *config.max_client_conn <= fits) return *config.max_client_conn;
  return failure("max_client_conn = " + std::to_string(config.max_client_conn.value_or(1)) +
                 " needs " + std::to_string(config.max_client_conn.value_or(1) + others) +
                 " open files (clients, and " + std::to_string(others) +
                 " for servers and ourselves), but the limit is " + std::to_string(limit.rlim_cur) +
                 ": raise it (ulimit -n, LimitNOFILE= in a systemd unit) or lower "
                 "max_client_conn to " +
                 std::to_string(fits));
}

}  // namespace forebay::app
