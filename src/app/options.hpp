#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "forebay/base/result.hpp"
#include "forebay/config/config.hpp"

namespace forebay::app {

/// What the program was asked to do.
struct Options {
  enum class Command : std::uint8_t { run, serve, check, diff, sample, health, import, tenant_sql };
  Command command = Command::run;

  std::string config_file;   ///< serve, check, import; diff: the old one
  std::string changed_file;  ///< diff: the new one
  bool takeover = false;     ///< serve

  std::string schema = "forebay";  ///< tenant-sql

  // health
  std::string health_at = "127.0.0.1:9127";
  bool health_ready = false;

  // run
  std::vector<std::string> to;
  std::vector<std::string> listen;
  std::string pool_mode = "transaction";
  std::uint32_t pool_size = 20;
  bool server_round_robin = false;
  bool split_reads = false;
  std::uint32_t workers = 0;
  std::optional<std::uint32_t> max_client_conn;
  std::string tls_cert;
  std::string tls_key;
  std::string http;
  std::string log_level = "info";
  bool passwordless_from_anywhere = false;
};

/// Reads the command line. When there is nothing to do (help, version, a mistake), `exit_code` is
/// set and the text has been printed.
Options parse_options(int argc, char** argv, std::optional<int>& exit_code);

/// The configuration that `forebay run` stands for. Errors are for people.
Result<config::Config> config_for_run(const Options& options);

/// An address to listen on, as people write it: "127.0.0.1:6432", "[::1]:6432", "*:6432",
/// "/run/forebay/.s.PGSQL.6432".
Result<Endpoint> parse_listen(const std::string& text);

}  // namespace forebay::app
