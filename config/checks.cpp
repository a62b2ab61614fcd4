#include "config/checks.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <tuple>
#include <utility>

#include "config/address.hpp"
#include "config/secret_form.hpp"
#include "config/types.hpp"

namespace forebay::config {
namespace {

/// What process ids of clients have room for.
constexpr std::size_t kPeersMax = 31;
constexpr std::uint32_t kWorkersWithPeers = 64;

constexpr std::array<std::string_view, 3> kPasswordKeys = {"password", "password_env",
                                                           "password_file"};

std::string name_of_endpoint(const Endpoint& endpoint) {
  return quoted(to_string(endpoint));
}

bool verifies(TlsMode mode) {
  return mode == TlsMode::verify_ca || mode == TlsMode::verify_full;
}

bool wants_password(AuthMethod method) {
  return method == AuthMethod::password || method == AuthMethod::md5 ||
         method == AuthMethod::scram_sha_256;
}

/// A password key that says something.
bool says_password(const Member& member) {
  if (std::ranges::find(kPasswordKeys, member.name) == kPasswordKeys.end()) return false;
  const auto* text = member.value.as<std::string>();
  const Array* several = member.value.as<Array>();
  return !(text != nullptr && text->empty()) && !(several != nullptr && several->empty());
}

const Member* password_in(const Table& entry) {
  const auto said = std::ranges::find_if(entry, says_password);
  return said == entry.end() ? nullptr : &*said;
}

class Checker {
 public:
  Checker(const Config& config, const Table& root, Reading& reading)
      : config_(config),
        root_(root),
        reading_(reading),
        problems_(reading.problems()),
        databases_(entries_of("databases")),
        users_(entries_of("users")) {}

  void check() {
    check_listening();
    check_peers();
    check_all_tls();
    check_cert(config_.auth, key_position({"forebay", "auth"}, {"forebay"}), "[forebay] auth");
    check_databases();
    check_passwords("databases", databases_);
    check_passwords("users", users_);
    check_lookups();
    check_users_exist();
    check_trust();
    check_hashes();
    check_pool_sizes();
    check_mixed_sizes();
    check_tenants();
  }

 private:
  using Path = std::initializer_list<std::string_view>;

  /// Where a key stands, else its section, else the beginning of the file.
  Position key_position(Path key, Path section) const {
    if (const Member* member = find(root_, key)) return member->value.at;
    if (const Member* member = find(root_, section)) return member->at;
    return {};
  }

  /// Entries of [databases] or [users] that are tables, by name. All that are in the model are
  /// here; looking each of them up in the file's order would take its time with thousands.
  using Entries = std::map<std::string_view, const Member*>;

  Entries entries_of(std::string_view section) const {
    Entries result;
    const Member* member = find(root_, section);
    const Table* table = member == nullptr ? nullptr : member->value.as<Table>();
    if (table == nullptr) return result;
    for (const Member& entry : *table) {
      if (entry.value.as<Table>() != nullptr) result.emplace(entry.name, &entry);
    }
    return result;
  }

  static const Table& keys_of(const Member& entry) { return *entry.value.as<Table>(); }

  /// Where a key of an entry stands, else the entry.
  static Position position_in(const Member& entry, std::string_view key) {
    const Member* member = find(keys_of(entry), key);
    return member == nullptr ? entry.at : member->value.at;
  }

  void tenants_error(std::string_view key, const std::string& why) {
    problems_.error(key_position({"tenants", key}, {"tenants"}),
                    "[tenants] " + std::string(key) + ": " + why);
  }

  void check_tenants() {
    const TenantSettings& tenants = config_.tenants;
    for (const auto& [key, why] : complaints_about(tenants)) tenants_error(key, why);
    if (tenants.databases.empty()) return;
    const bool nobody = tenants.users.empty() && tenants.user_pattern.empty() &&
                        tenants.database_pattern.empty() && tenants.startup_parameter.empty() &&
                        tenants.comment_users.empty() && tenants.setting_users.empty() &&
                        tenants.certificate_pattern.empty() && tenants.server_name_pattern.empty();
    if (!tenants.setting_users.empty() && tenants.setting.empty()) {
      tenants_error("setting_users",
                    "they say whose a transaction is by `setting`, which is empty; set it");
    }
    if (!tenants.certificate_pattern.empty() && config_.client_tls.ca_file.empty()) {
      tenants_error("certificate_pattern",
                    "no certificate of a client counts without ca_file in [tls.client]; set it");
    }
    if (nobody) {
      problems_.warning(key_position({"tenants", "databases"}, {"tenants"}),
                        "[tenants] databases: nothing says whose a session is, so each is "
                        "refused; set certificate_pattern or another pattern, or list "
                        "users in [tenants.users]");
    }
    for (const auto& [tenant, place] : tenants.places) {
      if (config_.databases.contains(place) || reading_.refused("databases", place)) continue;
      tenants_error("places",
                    "tenant " + quoted(tenant) + ": there is no [databases." + place + "]; add it");
    }
    if (tenants.firewall != FirewallMode::off) check_firewall(tenants);
  }

  /// It has to see each statement, and the one that a Bind is for.
  void check_firewall(const TenantSettings& tenants) {
    if (tenants.tables.empty() && tenants.report_tables.empty() && !tenants.tables_with_column) {
      tenants_error("firewall", "it has no tables; set tables_with_column = true, or list them");
    }
    for (const auto& [name, database] : config_.databases) {
      if (!tenants.may_be_in(name)) continue;
      if (config_.pool_settings(database, nullptr).pool_mode == PoolMode::session) {
        tenants_error("firewall", "database " + quoted(name) +
                                      " has pool_mode \"session\"; the firewall needs "
                                      "\"transaction\" or \"statement\"");
      }
    }
  }

  void check_listening() {
    for (const auto& [key, rules] : {std::pair("listen_allow_from", &config_.listen_allow_from),
                                     std::pair("listen_deny_from", &config_.listen_deny_from)}) {
      for (const auto& [name, networks] : *rules) check_listener_exists(key, name);
    }
    for (const auto& [name, target] : config_.listen_target) {
      check_listener_exists("listen_target", name);
    }
    const std::string& takeover = config_.takeover_socket;
    if (!takeover.empty() && !takeover.starts_with('/')) {
      problems_.error(key_position({"forebay", "takeover_socket"}, {"forebay"}),
                      "[forebay] takeover_socket: expected a whole path, such as "
                      "\"/run/forebay/takeover.sock\"");
    }
    if (!config_.http || reading_.refused("forebay", "listen")) return;
    for (const Endpoint& address : config_.listen) {
      if (!addresses_collide(address, *config_.http)) continue;
      problems_.error(key_position({"forebay", "http"}, {"forebay"}),
                      "[forebay] http: this address is also listed in listen as " +
                          name_of_endpoint(address) + "; choose another port");
      return;
    }
  }

  void check_listener_exists(std::string_view key, const std::string& name) {
    if (reading_.refused("forebay", "listen")) return;
    std::string names;
    for (const Endpoint& address : config_.listen) {
      if (to_string(address) == name) return;
      names += (names.empty() ? "" : ", ") + name_of_endpoint(address);
    }
    problems_.error(key_position({"forebay", key}, {"forebay"}),
                    "[forebay] " + std::string(key) + ": there is no " + quoted(name) +
                        " in listen; there is " + names);
  }

  // TLS

  struct TlsPlace {
    std::string label;
    const Table* table = nullptr;  ///< null if the section is not in the file
    Position at;                   ///< of the section
    bool towards_clients = false;

    [[nodiscard]] const Member* key(std::string_view name) const {
      return table == nullptr ? nullptr : find(*table, name);
    }
    [[nodiscard]] Position position(std::string_view name) const {
      const Member* member = key(name);
      return member == nullptr ? at : member->value.at;
    }
    [[nodiscard]] std::string subject(std::string_view name) const {
      return "[" + label + "] " + std::string(name) + ": ";
    }
  };

  TlsPlace tls_place(std::string label, const Member* member, bool towards_clients) const {
    TlsPlace place{std::move(label), nullptr, {}, towards_clients};
    if (member != nullptr) {
      place.table = member->value.as<Table>();
      place.at = member->at;
    }
    return place;
  }

  void check_peers() {
    const std::size_t count = config_.peers.size();
    if (reading_.refused("forebay", "peers") || reading_.refused("forebay", "peer_id")) return;
    const auto problem = [&](std::string_view key, std::string text) {
      problems_.error(key_position({"forebay", key}, {"forebay"}), std::move(text));
    };
    if (count > kPeersMax) {
      problem("peers", "there are " + std::to_string(count) + " peers; at most " +
                           std::to_string(kPeersMax) + " can be told apart");
    } else if (config_.peer_id > count) {
      problem("peer_id", "peer_id is " + std::to_string(config_.peer_id) + ", but peers has " +
                             std::to_string(count) + (count == 1 ? " entry" : " entries") +
                             "; list every node there, this one too");
    } else if (count > 0 && config_.peer_id == 0) {
      problem("peers", "which of these this one is has to be said: peer_id = 1 for the first");
    } else if (config_.peer_id > 0 && config_.workers > kWorkersWithPeers) {
      problem("workers",
              "with peers there can be " + std::to_string(kWorkersWithPeers) + " workers at most");
    }
  }

  void check_all_tls() {
    check_tls(config_.client_tls, tls_place("tls.client", find(root_, {"tls", "client"}), true));
    check_tls(config_.server_tls, tls_place("tls.server", find(root_, {"tls", "server"}), false));
    for (const auto& [name, database] : config_.databases) {
      if (!database.server_tls) continue;
      check_tls(*database.server_tls, tls_place(entry_label("databases", name) + ".tls",
                                                find(keys_of(*databases_.at(name)), "tls"), false));
    }
  }

  void check_tls(const TlsSettings& tls, const TlsPlace& place) {
    check_file(tls.certificate_file, "certificate_file", place);
    check_file(tls.key_file, "key_file", place);
    check_file(tls.ca_file, "ca_file", place);
    check_pair(place);
    const std::string mode = quoted(to_string(tls.mode));
    const bool mode_known = !reading_.refused(place.label, "mode");
    if (place.towards_clients && tls.mode >= TlsMode::require &&
        !given(tls.certificate_file, "certificate_file", place) &&
        !given(tls.key_file, "key_file", place)) {
      problems_.error(place.position("mode"),
                      place.subject("mode") + mode +
                          " needs a certificate to show to clients; set certificate_file and "
                          "key_file");
    }
    if (place.towards_clients && verifies(tls.mode) && !given(tls.ca_file, "ca_file", place)) {
      problems_.error(place.position("mode"),
                      place.subject("mode") + mode +
                          " needs the authorities that sign clients' certificates; set ca_file");
    }
    if (says(place, "ca_file") && mode_known && !verifies(tls.mode)) {
      problems_.warning(place.position("ca_file"),
                        place.subject("ca_file") + "has no effect with mode = " + mode +
                            "; certificates are only verified with \"verify-ca\" or "
                            "\"verify-full\"");
    }
  }

  /// Whether a setting has a value, or would have one if it had not been refused.
  bool given(const std::string& value, std::string_view name, const TlsPlace& place) const {
    return !value.empty() || reading_.refused(place.label, name);
  }

  /// Whether the section itself gives the key a value.
  static bool says(const TlsPlace& place, std::string_view name) {
    const Member* member = place.key(name);
    const auto* text = member == nullptr ? nullptr : member->value.as<std::string>();
    return member != nullptr && (text == nullptr || !text->empty());
  }

  /// A certificate and its key come together, from the same section.
  void check_pair(const TlsPlace& place) {
    const bool certificate = says(place, "certificate_file");
    const bool key = says(place, "key_file");
    if (certificate == key) return;
    if (certificate) {
      problems_.error(place.position("certificate_file"),
                      place.subject("certificate_file") +
                          "a certificate needs its private key; set key_file as well");
    } else {
      problems_.error(place.position("key_file"),
                      place.subject("key_file") +
                          "a private key needs its certificate; set certificate_file as well");
    }
  }

  /// Only what this section says itself: what it inherits is complained of where it stands.
  void check_file(const std::string& path, std::string_view name, const TlsPlace& place) {
    if (path.empty() || place.key(name) == nullptr) return;
    const Result<void> readable = reading_.environment().check_readable(path);
    if (!readable) {
      problems_.error(place.position(name), place.subject(name) + readable.error().message);
    }
  }

  // Databases and users

  void check_cert(AuthMethod method, Position at, const std::string& subject) {
    if (method != AuthMethod::cert || verifies(config_.client_tls.mode)) return;
    if (reading_.refused("tls.client", "mode")) return;
    problems_.error(at, subject +
                            ": \"cert\" needs verified certificates; set mode = \"verify-ca\" or "
                            "\"verify-full\" in [tls.client]");
  }

  /// What a database says of each of its hosts, unless it says nothing.
  void check_one_for_each(const std::string& name, const Member& entry, std::string_view key,
                          std::size_t count, std::string_view what) {
    const std::string section = entry_label("databases", name);
    const std::size_t hosts = config_.databases.find(name)->second.hosts.size();
    if (count == 0 || count == hosts || reading_.refused(section, "hosts")) return;
    problems_.error(position_in(entry, key), "[" + section + "] " + std::string(key) + ": has " +
                                                 std::to_string(count) + " " + std::string(what) +
                                                 " for " + std::to_string(hosts) +
                                                 " hosts; give one for each host, or leave it out");
  }

  void check_databases() {
    const Member* section = find(root_, "databases");
    const Table* listed = section == nullptr ? nullptr : section->value.as<Table>();
    if (section == nullptr || (listed != nullptr && listed->empty())) {
      problems_.error(section == nullptr ? Position{} : section->at,
                      "no database is configured; add a section such as [databases.app] with "
                      "hosts = [\"127.0.0.1:5432\"]");
    }
    for (const auto& [name, database] : config_.databases) {
      const Member& entry = *databases_.at(name);
      const std::string section_name = entry_label("databases", name);
      if (database.auth) {
        check_cert(*database.auth, position_in(entry, "auth"), "[" + section_name + "] auth");
      }
      if (!database.password.empty() && database.user.empty() &&
          !reading_.refused(section_name, "user")) {
        const Member* said = password_in(keys_of(entry));
        problems_.error(said->value.at, "[" + section_name + "] " + said->name +
                                            ": a password is for one user; set user as well");
      }
      check_one_for_each(name, entry, "weights", database.weights.size(), "numbers");
      check_one_for_each(name, entry, "zones", database.zones.size(), "zones");
      check_patroni(database, section_name, entry, reading_);
      if (!database.monitor_password.empty() && database.monitor_user.empty() &&
          !reading_.refused(section_name, "monitor_user")) {
        problems_.error(entry.at, "[" + section_name +
                                      "] monitor_password: a password is for one user; set "
                                      "monitor_user as well");
      }
    }
  }

  /// The three ways to give a password exclude one another.
  void check_passwords(std::string_view section, const Entries& entries) {
    for (const auto& [name, entry] : entries) {
      const Member* first = password_in(keys_of(*entry));
      for (const Member& other : keys_of(*entry)) {
        if (&other == first || !says_password(other)) continue;
        problems_.error(other.at, "[" + entry_label(section, name) + "] " + other.name + ": " +
                                      first->name +
                                      " is already set; use only one of password, password_env, "
                                      "password_file");
      }
    }
  }

  void check_lookups() {
    check_lookup(
        config_.lookup,
        [&](std::string_view key) {
          return key_position({"forebay", key}, {"forebay"});
        },
        "forebay", config_.lookup.auth_user);
    for (const auto& [name, database] : config_.databases) {
      const Member& entry = *databases_.at(name);
      check_lookup(
          database.lookup, [&](std::string_view key) { return position_in(entry, key); },
          entry_label("databases", name), config_.lookup_for(name).auth_user);
    }
  }

  template <class PositionOf>
  void check_lookup(const AuthQuery& said, PositionOf position_of, const std::string& label,
                    const std::string& auth_user) {
    const std::string subject = "[" + label + "] ";
    if (!said.auth_query.empty() && said.auth_query.find("$1") == std::string::npos) {
      problems_.error(position_of("auth_query"),
                      subject + "auth_query: $1, which stands for the user's name, is missing");
    }
    if (!said.auth_query.empty() && auth_user.empty()) {
      problems_.warning(position_of("auth_query"),
                        subject + "auth_query: nobody asks it; set auth_user as well");
    }
    if (!said.auth_dbname.empty() && config_.find_database(said.auth_dbname) == nullptr) {
      problems_.error(position_of("auth_dbname"), subject + "auth_dbname: there is no database " +
                                                      quoted(said.auth_dbname) + " in [databases]");
    }
  }

  bool anybody_has_a_password() const {
    return std::ranges::any_of(
        users_, [](const auto& user) { return password_in(keys_of(*user.second)) != nullptr; });
  }

  void check_users_exist() {
    if (anybody_has_a_password()) return;
    constexpr std::string_view kRemedy =
        " asks clients for a password, but no entry of [users] has one: nobody can log in; add "
        "users, or set auth = \"server\" to let the server decide";
    bool general = false;
    for (const auto& [name, database] : config_.databases) {
      if (!config_.lookup_for(name).auth_user.empty()) continue;
      if (!database.auth) general = true;
      if (!database.auth || !wants_password(*database.auth)) continue;
      problems_.warning(position_in(*databases_.at(name), "auth"),
                        "[" + entry_label("databases", name) +
                            "] auth: " + quoted(to_string(*database.auth)) + std::string(kRemedy));
    }
    if (general && wants_password(config_.auth)) {
      problems_.warning(
          key_position({"forebay", "auth"}, {"forebay"}),
          "[forebay] auth: " + quoted(to_string(config_.auth)) + std::string(kRemedy));
    }
  }

  void check_trust() {
    const auto open = std::ranges::find_if(config_.listen, [](const Endpoint& address) {
      return !address.is_unix() && address.host != "localhost" && address.host != "::1" &&
             !address.host.starts_with("127.");
    });
    if (open == config_.listen.end()) return;
    const std::string consequence =
        "auth: \"trust\" lets in everybody who can reach " + name_of_endpoint(*open) +
        ", as whatever user they say; set another method, or listen on a Unix socket only";
    if (config_.auth == AuthMethod::trust) {
      problems_.warning(key_position({"forebay", "auth"}, {"forebay"}), "[forebay] " + consequence);
    }
    for (const auto& [name, database] : config_.databases) {
      if (database.auth != AuthMethod::trust) continue;
      problems_.warning(position_in(*databases_.at(name), "auth"),
                        "[" + entry_label("databases", name) + "] " + consequence);
    }
  }

  /// A hash of MD5 cannot answer a SCRAM exchange.
  void check_hashes() {
    const bool scram = std::ranges::any_of(config_.databases, [this](const auto& entry) {
      return entry.second.auth.value_or(config_.auth) == AuthMethod::scram_sha_256;
    });
    if (!scram) return;
    for (const auto& [name, user] : config_.users) {
      const bool only_md5 = !user.passwords.empty() &&
                            std::ranges::all_of(user.passwords, [](const Secret& password) {
                              return secret_form(password.reveal()) == SecretForm::md5;
                            });
      if (!only_md5) continue;
      const Member* said = password_in(keys_of(*users_.at(name)));
      problems_.warning(said->value.at, "[" + entry_label("users", name) + "] " + said->name +
                                            ": an MD5 hash is of no use with auth = "
                                            "\"scram-sha-256\"; set a SCRAM verifier or the "
                                            "password, or auth = \"md5\"");
    }
  }

  // Sizes

  void check_pool_sizes() {
    check_size({}, "pool", find(root_, "pool"), "default_pool_size");
    for (const auto& [name, database] : config_.databases) {
      check_size(database.pool, entry_label("databases", name), databases_.at(name), "pool_size");
    }
    for (const auto& [name, user] : config_.users) {
      check_size(user.pool, entry_label("users", name), users_.at(name), "pool_size");
    }
  }

  /// One section over the general one. Complains at the key that this section sets.
  void check_size(const PoolOverrides& said, const std::string& label, const Member* section,
                  std::string_view size_name) {
    const Table* table = section == nullptr ? nullptr : section->value.as<Table>();
    if (table == nullptr) return;
    const Member* size_key = find(*table, size_name);
    const Member* least_key = find(*table, "min_pool_size");
    if (size_key == nullptr && least_key == nullptr) return;
    if (size_refused("pool", "default_pool_size") || size_refused(label, size_name)) return;
    const auto [size, least] = sizes(said);
    if (least <= size) return;
    const Member* at = least_key != nullptr ? least_key : size_key;
    problems_.error(at->value.at, "[" + label + "] " + at->name + ": min_pool_size is " +
                                      std::to_string(least) + ", more than the pool's size of " +
                                      std::to_string(size) + "; set both so that they fit");
  }

  bool size_refused(const std::string& label, std::string_view size_name) const {
    return reading_.refused(label, size_name) || reading_.refused(label, "min_pool_size");
  }

  struct Sizes {
    std::uint32_t size;
    std::uint32_t least;
  };

  /// What holds with one section over the general one, before the minimum is cut to the size.
  Sizes sizes(const PoolOverrides& said) const {
    const PoolSettings otherwise;
    return {
        said.pool_size.value_or(config_.pool.pool_size.value_or(otherwise.pool_size)),
        said.min_pool_size.value_or(config_.pool.min_pool_size.value_or(otherwise.min_pool_size))};
  }

  /// A user's size may meet a database's minimum in one pool. Each is right where it stands.
  /// Looks at the databases that are hardest to fit only: the greatest minimum, the least size.
  void check_mixed_sizes() {
    const auto misfit = [this](const PoolOverrides& pool) {
      const auto [size, least] = sizes(pool);
      return least > size;
    };
    std::pair<std::string_view, std::uint32_t> greatest_minimum;
    std::pair<std::string_view, std::uint32_t> least_size = {{}, UINT32_MAX};
    for (const auto& [name, database] : config_.databases) {
      if (misfit(database.pool)) continue;
      const std::uint32_t minimum = database.pool.min_pool_size.value_or(0);
      const std::uint32_t size = database.pool.pool_size.value_or(UINT32_MAX);
      if (minimum > greatest_minimum.second) greatest_minimum = {name, minimum};
      if (size < least_size.second) least_size = {name, size};
    }
    for (const auto& [name, user] : config_.users) {
      const auto& [size, minimum] = std::tie(user.pool.pool_size, user.pool.min_pool_size);
      if (size.has_value() == minimum.has_value() || misfit(user.pool)) continue;
      if (size && greatest_minimum.second > *size) {
        warn_of_mix(name, "pool_size", greatest_minimum.first, {*size, greatest_minimum.second});
      }
      if (minimum && *minimum > least_size.second) {
        warn_of_mix(name, "min_pool_size", least_size.first, {least_size.second, *minimum});
      }
    }
  }

  void warn_of_mix(std::string_view user, std::string_view key, std::string_view database,
                   Sizes sizes) {
    const std::string size = std::to_string(sizes.size);
    problems_.warning(position_in(*users_.at(user), key),
                      "[" + entry_label("users", user) + "] " + std::string(key) + ": in [" +
                          entry_label("databases", database) +
                          "] the pool of this user has min_pool_size " +
                          std::to_string(sizes.least) + " and pool_size " + size +
                          "; the minimum counts as " + size + " there");
  }

  const Config& config_;
  const Table& root_;
  Reading& reading_;
  Problems& problems_;
  Entries databases_;
  Entries users_;
};

}  // namespace

std::string entry_label(std::string_view section, std::string_view name) {
  constexpr std::string_view kBare =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
  const bool bare = !name.empty() && name.find_first_not_of(kBare) == std::string_view::npos;
  return std::string(section) + "." + (bare ? std::string(name) : quoted(name));
}

void check_together(const Config& config, const Table& root, Reading& reading) {
  Checker(config, root, reading).check();
}

}  // namespace forebay::config
