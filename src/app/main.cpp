#include <array>
#include <cstdio>
#include <iostream>

#include "app/health.hpp"
#include "app/lifecycle.hpp"
#include "app/options.hpp"
#include "app/runtime_factory.hpp"
#include "forebay/auth/tenant_claim.hpp"
#include "forebay/config/difference.hpp"
#include "forebay/config/load.hpp"
#include "forebay/config/pgbouncer.hpp"
#include "forebay/config/sample.hpp"
#include "forebay/routing/sql/facts.hpp"

namespace forebay::app {
namespace {

int complain(const std::string& what) {
  std::cerr << "forebay: " << what << '\n';
  return 1;
}

// A configuration from a file, with everything that is wrong with it on standard error.
config::LoadedConfig read(const std::string& path) {
  auto loaded = config::load_file(path);
  for (const auto& warning : loaded.warnings) {
    std::cerr << "warning: " << to_string(warning) << '\n';
  }
  for (const auto& error : loaded.errors) std::cerr << "error: " << to_string(error) << '\n';
  if (!loaded.ok()) {
    const std::size_t count = loaded.errors.size();
    std::cerr << "forebay: " << path << " has " << count << (count == 1 ? " error" : " errors")
              << '\n';
  }
  return loaded;
}

int serve(config::LoadedConfig loaded, Lifecycle::Load load, bool takeover = false) {
  // A parser that is not the one this was built for would say wrong things about every statement.
  if (const auto tested = sql::self_test(); tested.has_error()) {
    return complain("the parser of SQL (libpg_query) does not work: " + tested.error().message);
  }
  const auto ended = Lifecycle(std::move(loaded), std::move(load), takeover).run();
  return ended.has_error() ? complain(ended.error().message) : 0;
}

int check(const std::string& path) {
  auto loaded = read(path);
  if (!loaded.ok()) return 1;
  std::vector<std::string> notes;
  const auto runtime = make_runtime(std::move(*loaded.config), notes);
  for (const std::string& note : notes) std::cerr << "warning: " << note << '\n';
  if (runtime.has_error()) return complain(path + ": " + runtime.error().message);
  std::cout << path << ": right\n";
  return 0;
}

int diff(const std::string& old_path, const std::string& new_path) {
  const auto before = read(old_path);
  const auto after = read(new_path);
  if (!before.ok() || !after.ok()) return 1;
  const auto changes = config::difference(*before.config, *after.config);
  for (const config::Change& change : changes) std::cout << to_string(change) << '\n';
  if (changes.empty()) std::cout << "nothing changes\n";
  return 0;
}

int import(const std::string& path) {
  const config::SystemEnvironment environment;
  const auto imported = config::import_pgbouncer(path, environment);
  if (imported.has_error()) return complain(imported.error().message);
  std::array<std::size_t, 3> counts{};
  for (const config::Translated& each : imported->report) {
    ++counts[static_cast<std::size_t>(each.verdict)];
    std::cerr << to_string(each) << '\n';
  }
  std::cout << imported->toml;
  const auto loaded = config::load(imported->toml, "the result", environment);
  for (const auto& error : loaded.errors) {
    std::cerr << "to be mended by hand: " << to_string(error) << '\n';
  }
  for (const auto& warning : loaded.warnings) {
    std::cerr << "to be looked at: " << to_string(warning) << '\n';
  }
  std::cerr << "forebay: " << counts[0] << " mapped, " << counts[1] << " approximated, "
            << counts[2] << " unsupported\n";
  return loaded.ok() ? 0 : 1;
}

int tenant_sql(const Options& options) {
  const auto loaded = read(options.config_file);
  if (!loaded.ok()) return 1;
  const config::TenantSettings& tenants = loaded.config->tenants;
  if (tenants.claim_key.empty()) {
    return complain(options.config_file +
                    ": [tenants] claim_key is not set; make one with: " + "openssl rand -hex 32");
  }
  std::cout << auth::tenant_claim_sql(tenants.claim_key, tenants.setting, options.schema);
  return 0;
}

int health(const Options& options) {
  const auto at = parse_listen(options.health_at);
  if (at.has_error()) return complain("--http: " + at.error().message);
  const auto asked = ask_health(*at, options.health_ready ? "/readyz" : "/livez");
  return asked.has_error() ? complain(asked.error().message) : 0;
}

int run(int argc, char** argv) {
  std::optional<int> exit_code;
  const Options options = parse_options(argc, argv, exit_code);
  if (exit_code) return *exit_code;
  switch (options.command) {
    case Options::Command::sample:
      std::cout << config::sample_config();
      return 0;
    case Options::Command::health:
      return health(options);
    case Options::Command::check:
      return check(options.config_file);
    case Options::Command::diff:
      return diff(options.config_file, options.changed_file);
    case Options::Command::import:
      return import(options.config_file);
    case Options::Command::tenant_sql:
      return tenant_sql(options);
    case Options::Command::serve: {
      auto loaded = read(options.config_file);
      if (!loaded.ok()) return 1;
      return serve(
          std::move(loaded), [path = options.config_file] { return config::load_file(path); },
          options.takeover);
    }
    case Options::Command::run: {
      auto config = config_for_run(options);
      if (config.has_error()) return complain(config.error().message);
      // Without a file there is key material to be read again, and the log to be opened.
      config::LoadedConfig loaded;
      loaded.config = std::move(config.value());
      return serve(loaded, [loaded] { return loaded; });
    }
  }
  return 2;
}

}  // namespace
}  // namespace forebay::app

int main(int argc, char** argv) {
  try {
    return forebay::app::run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "forebay: %s\n", error.what());
    return 1;
  }
}
