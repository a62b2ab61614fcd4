#include "app/options.hpp"

#include <CLI/CLI.hpp>
#include <iostream>

#include "app/version.hpp"
#include "forebay/config/load.hpp"
#include "forebay/config/names.hpp"
#include "forebay/config/uri.hpp"

namespace forebay::app {
namespace {

constexpr char kAbout[] =
    "Forebay, a proxy and connection pooler for PostgreSQL\n"
    "\n"
    "Applications connect to Forebay as if it were the database; many clients share few server\n"
    "connections.\n"
    "\n"
    "  forebay run --to postgresql://db.example.com   in front of a server, without any file\n"
    "  forebay serve -c forebay.toml                  with a configuration file\n"
    "  forebay config > forebay.toml                  a commented file to begin with\n"
    "  forebay check forebay.toml                     is the file right?\n"
    "  forebay diff old.toml new.toml                 what would a reload change, and for whom?";

constexpr char kRunAbout[] =
    "Serves every database and role of a server, without a configuration file. Clients come in as\n"
    "the server itself would let them in: it checks their passwords.";

void add_run(CLI::App& app, Options& options) {
  CLI::App* run = app.add_subcommand("run", kRunAbout);
  run->add_option("--to", options.to,
                  "The server: postgresql://host:5432, host:5432 or a socket folder. Several are "
                  "hosts of one cluster, of which the primary is used.")
      ->required()
      ->type_name("URI");
  run->add_option("--listen", options.listen,
                  "Where clients come in: 127.0.0.1:6432 (the default), *:6432, [::1]:6432 or a "
                  "socket path such as /run/forebay/.s.PGSQL.6432. May be given several times.")
      ->type_name("ADDR:PORT");
  run->add_option("--pool-mode", options.pool_mode,
                  "When a server connection goes back to the pool: transaction, session, statement")
      ->capture_default_str()
      ->type_name("MODE");
  run->add_option("--pool-size", options.pool_size,
                  "Server connections for each database and role, at most")
      ->check(CLI::Range(1u, 10000u))
      ->capture_default_str()
      ->type_name("N");
  run->add_flag("--server-round-robin", options.server_round_robin,
                "Use server connections in turn, not the one used last first");
  run->add_flag("--split-reads", options.split_reads,
                "Send statements that only read to the replicas among the servers of --to");
  run->add_option("--workers", options.workers, "Threads; 0 for one a core")
      ->check(CLI::Range(0u, 127u))
      ->capture_default_str()
      ->type_name("N");
  run->add_option("--max-client-conn", options.max_client_conn,
                  "Clients at most (default: what the limit of open files allows)")
      ->check(CLI::Range(1u, 1000000u))
      ->type_name("N");
  run->add_option("--tls-cert", options.tls_cert, "Certificate for clients that use TLS (PEM)")
      ->type_name("FILE");
  run->add_option("--tls-key", options.tls_key, "Its private key (PEM)")->type_name("FILE");
  run->add_option("--http", options.http, "Serve health checks and metrics here")
      ->type_name("ADDR:PORT");
  run->add_option("--log-level", options.log_level, "debug, info, warning or error")
      ->capture_default_str()
      ->type_name("LEVEL");
  run->add_flag("--passwordless-from-anywhere", options.passwordless_from_anywhere,
                "Where the server asks Forebay for no password, let in clients of other machines, "
                "too");
  run->callback([&options] { options.command = Options::Command::run; });
}

void add_health(CLI::App& app, Options& options) {
  CLI::App* health = app.add_subcommand(
      "health", "Asks a running Forebay over HTTP whether it is well: exit code 0 when it is");
  health->add_option("--http", options.health_at, "Where it serves health checks")
      ->capture_default_str()
      ->type_name("ADDR:PORT");
  health->add_flag("--ready", options.health_ready,
                   "Whether it takes new clients, not only whether it is alive");
  health->callback([&options] { options.command = Options::Command::health; });
}

void add_import(CLI::App& app, Options& options) {
  CLI::App* command = app.add_subcommand(
      "import",
      "Reads PgBouncer's configuration, with its user list and HBA file, and prints one of "
      "Forebay's; says on standard error what became of each key");
  command->add_option("file", options.config_file, "pgbouncer.ini")->required()->type_name("FILE");
  command->callback([&options] { options.command = Options::Command::import; });
}

void add_tenant_sql(CLI::App& app, Options& options) {
  CLI::App* command = app.add_subcommand(
      "tenant-sql",
      "Prints SQL that makes a function tenant(), for policies of row level security: it checks "
      "the claims that [tenants] claim_key signs");
  command->add_option("-c,--config,file", options.config_file, "The configuration file")
      ->required()
      ->type_name("FILE");
  command->add_option("--schema", options.schema, "The schema of the function")
      ->capture_default_str()
      ->type_name("NAME");
  command->callback([&options] { options.command = Options::Command::tenant_sql; });
}

template <class Enumeration>
Result<Enumeration> word(std::span<const config::Name<Enumeration>> names, const std::string& text,
                         const std::string& option) {
  std::string known;
  for (const auto& name : names) {
    if (name.text == text) return name.value;
    known += (known.empty() ? "" : ", ") + std::string(name.text);
  }
  return failure(option + ": \"" + text + "\" is none of " + known);
}

}  // namespace

Options parse_options(int argc, char** argv, std::optional<int>& exit_code) {
  Options options;
  CLI::App app(kAbout, "forebay");
  app.set_version_flag("--version,-V", "forebay " FOREBAY_VERSION);
  app.require_subcommand(1);
  app.get_formatter()->column_width(34);
  add_run(app, options);

  CLI::App* serve = app.add_subcommand("serve", "Serves what a configuration file says");
  serve->add_option("-c,--config", options.config_file, "The configuration file")
      ->required()
      ->type_name("FILE");
  serve->add_flag("--takeover", options.takeover,
                  "Take the place of the Forebay that waits at takeover_socket: get its listening "
                  "sockets, so that no client is refused, and let it end");
  serve->callback([&options] { options.command = Options::Command::serve; });

  CLI::App* check =
      app.add_subcommand("check", "Reads a configuration file and says what is wrong with it");
  check->add_option("-c,--config,file", options.config_file, "The configuration file")
      ->required()
      ->type_name("FILE");
  check->callback([&options] { options.command = Options::Command::check; });

  CLI::App* diff = app.add_subcommand(
      "diff",
      "Says what a reload would change from one configuration file to another, and for whom");
  diff->add_option("old", options.config_file, "The file as it was")->required()->type_name("FILE");
  diff->add_option("new", options.changed_file, "The file as it is to be")
      ->required()
      ->type_name("FILE");
  diff->callback([&options] { options.command = Options::Command::diff; });

  add_health(app, options);
  add_import(app, options);
  add_tenant_sql(app, options);

  app.add_subcommand("config", "Prints a commented configuration file with every key")
      ->callback([&options] { options.command = Options::Command::sample; });

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    exit_code = app.exit(error) == 0 ? 0 : 2;
  }
  return options;
}

Result<Endpoint> parse_listen(const std::string& text) {
  // The configuration file knows how addresses are written; ask it.
  std::string quoted;
  for (const char c : text) {
    if (c == '"' || c == '\\') quoted.push_back('\\');
    quoted.push_back(c);
  }
  const auto loaded = config::load(
      "[forebay]\nlisten = [\"" + quoted + "\"]\n[databases.x]\nhosts = [\"127.0.0.1\"]\n", "",
      config::SystemEnvironment());
  if (!loaded.ok()) return failure(loaded.errors.front().message);
  return loaded.config->listen.front();
}

Result<config::Config> config_for_run(const Options& options) {
  config::Config config;
  config.auth = config::AuthMethod::server;
  config.passwordless_from_anywhere = options.passwordless_from_anywhere;
  config.workers = options.workers;
  config.max_client_conn = options.max_client_conn;

  config::Database database;
  std::optional<std::string> name;
  for (const std::string& to : options.to) {
    const auto uri = config::endpoints_from_uri(to);
    if (uri.has_error()) return failure("--to: " + uri.error().message);
    if (uri->user || uri->password) {
      return failure(
          "--to: a user or password has no use here, because clients log in as themselves; to have "
          "all clients share one role, use a configuration file (forebay config)");
    }
    if (!database.hosts.empty() && (uri->dbname != name || uri->tls != config.server_tls)) {
      return failure(
          "--to: several servers are hosts of one cluster, so that database name and "
          "TLS parameters must be the same for all");
    }
    name = uri->dbname;
    config.server_tls = uri->tls;
    database.hosts.insert(database.hosts.end(), uri->hosts.begin(), uri->hosts.end());
  }
  config.databases.emplace(name.value_or("*"), std::move(database));

  const auto mode = word<config::PoolMode>(config::kPoolModes, options.pool_mode, "--pool-mode");
  if (mode.has_error()) return mode.error();
  config.pool.pool_mode = *mode;
  config.pool.pool_size = options.pool_size;
  config.pool.server_round_robin = options.server_round_robin;
  if (options.split_reads) config.pool.split_reads = true;
  const auto level = word<config::LogLevel>(config::kLogLevels, options.log_level, "--log-level");
  if (level.has_error()) return level.error();
  config.log_level = *level;

  if (!options.listen.empty()) config.listen.clear();
  for (const std::string& listen : options.listen) {
    const auto endpoint = parse_listen(listen);
    if (endpoint.has_error()) return failure("--listen: " + endpoint.error().message);
    config.listen.push_back(*endpoint);
  }
  if (!options.http.empty()) {
    const auto endpoint = parse_listen(options.http);
    if (endpoint.has_error()) return failure("--http: " + endpoint.error().message);
    config.http = *endpoint;
  }
  if (options.tls_cert.empty() != options.tls_key.empty()) {
    return failure("--tls-cert and --tls-key go together");
  }
  config.client_tls.certificate_file = options.tls_cert;
  config.client_tls.key_file = options.tls_key;
  if (options.tls_cert.empty()) config.client_tls.mode = config::TlsMode::disable;
  return config;
}

}  // namespace forebay::app
