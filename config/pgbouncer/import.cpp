#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "config/address.hpp"
#include "config/checks.hpp"
#include "config/pgbouncer/files.hpp"
#include "config/pgbouncer/keys.hpp"
#include "config/secret_form.hpp"
#include "config/types.hpp"
#include "forebay/config/config.hpp"
#include "forebay/config/pgbouncer.hpp"

namespace forebay::config {
namespace pgbouncer {
namespace {

using Verdict = Translated::Verdict;

/// The keys of one section of ours, in the order in which they came; a key said again replaces.
class Lines {
 public:
  void set(std::string_view key, std::string value) {
    for (auto& [name, held] : lines_) {
      if (name == key) return void(held = std::move(value));
    }
    lines_.emplace_back(key, std::move(value));
  }
  [[nodiscard]] bool has(std::string_view key) const {
    return std::ranges::any_of(lines_, [key](const auto& line) { return line.first == key; });
  }
  /// Empty where it was not said.
  [[nodiscard]] std::string_view value(std::string_view key) const {
    const auto found = std::ranges::find(
        lines_, key, [](const auto& line) { return std::string_view(line.first); });
    return found == lines_.end() ? std::string_view() : found->second;
  }
  [[nodiscard]] std::string toml(const std::string& label) const {
    std::string text = "\n[" + label + "]\n";
    for (const auto& [key, value] : lines_) text += key + " = " + value + "\n";
    return text;
  }

 private:
  std::vector<std::pair<std::string, std::string>> lines_;
};

bool is_password_method(std::string_view method) {
  return method == "md5" || method == "scram-sha-256" || method == "password";
}

class Importer {
 public:
  explicit Importer(const Environment& environment) : environment_(environment) {}

  Result<Imported> import(const std::string& path) {
    file_ = path;
    auto entries = read_ini(path, environment_);
    if (!entries) return entries.error();
    for (Entry& entry : *entries) place(std::move(entry));
    // What the databases need to know of the rest.
    find_defaults();
    if (const auto done = read_users(); !done) return done.error();
    if (const auto done = read_auth(); !done) return done.error();
    for (const Entry& entry : general_) general(entry);
    fit_sizes(place_of("min_pool_size"), "[pgbouncer]", "default_pool_size", sections_["pool"]);
    for (const Entry& entry : databases_in_) {
      if (const auto done = database(entry); !done) return done.error();
    }
    for (const Entry& entry : users_in_) {
      if (const auto done = user(entry); !done) return done.error();
    }
    spread_limits();
    listen();
    finish();
    return Imported{toml(), std::move(report_)};
  }

 private:
  void note(const std::string& place, std::string subject, Verdict verdict, std::string text) {
    report_.push_back({place, std::move(subject), verdict, std::move(text)});
  }

  static std::string subject(const Entry& entry) { return "[" + entry.section + "] " + entry.key; }

  void place(Entry entry) {
    if (entry.section == "pgbouncer") {
      said_[entry.key] = entry.value;
      places_[entry.key] = entry.place;
      general_.push_back(std::move(entry));
    } else if (entry.section == "databases") {
      databases_in_.push_back(std::move(entry));
    } else if (entry.section == "users") {
      users_in_.push_back(std::move(entry));
    } else if (entry.section == "peers") {
      note(entry.place, subject(entry), Verdict::unsupported,
           "one process serves all cores, so that cancel requests find it; if the peers are on "
           "other machines, list those in [forebay] peers, with peer_id");
    } else {
      note(entry.place, subject(entry), Verdict::unsupported, "this section is unknown");
    }
  }

  [[nodiscard]] std::string said(std::string_view key, std::string_view otherwise = {}) const {
    const auto found = said_.find(key);
    return found == said_.end() ? std::string(otherwise) : found->second;
  }
  /// PgBouncer takes paths from its working directory, which need not be ours: a file beside the
  /// configuration is as good.
  [[nodiscard]] std::string file_said(std::string_view key) const {
    std::string path = said(key);
    if (path.empty() || path.starts_with('/') || environment_.check_readable(path)) return path;
    return file_.substr(0, file_.rfind('/') + 1) + path;
  }
  [[nodiscard]] std::string place_of(std::string_view key) const {
    const auto found = places_.find(key);
    return found == places_.end() ? std::string() : found->second;
  }

  /// Those that differ from ours and that somebody would miss.
  void find_defaults() {
    for (const auto& [key, value] :
         {std::pair("pool_mode", "session"), std::pair("max_client_conn", "100")}) {
      if (!said_.contains(key)) general_.push_back({"", "pgbouncer", key, value});
    }
  }

  // ---- [pgbouncer]

  void general(const Entry& entry) {
    constexpr std::array<std::string_view, 9> kElsewhere = {"listen_addr",
                                                            "listen_port",
                                                            "unix_socket_dir",
                                                            "auth_type",
                                                            "auth_file",
                                                            "max_db_connections",
                                                            "max_db_client_connections",
                                                            "max_user_connections",
                                                            "max_user_client_connections"};
    if (std::ranges::find(kElsewhere, entry.key) != kElsewhere.end()) return;
    if (entry.key == "auth_hba_file") return;
    if (const Equivalent* known = general_equivalent(entry.key)) {
      return equivalent(entry, subject(entry), *known, std::string(known->section),
                        sections_[std::string(known->section)]);
    }
    unsupported(entry.place, subject(entry), entry.key);
  }

  void equivalent(const Entry& entry, const std::string& subject, const Equivalent& known,
                  const std::string& label, Lines& lines) {
    const bool path = known.ours.ends_with("_file") || known.ours == "file";
    if (path && entry.value.empty()) return note(entry.place, subject, Verdict::mapped, "none");
    Value value = known.convert(entry.value);
    if (value.toml.empty()) return note(entry.place, subject, Verdict::unsupported, value.note);
    std::string shown = known.ours == "password" ? "(hidden)" : value.toml;
    std::string text = "[" + label + "] " + std::string(known.ours) + " = " + shown;
    std::string why(known.note);
    if (!value.note.empty()) why = value.note;
    // What an exception is to matters only where there is something to be excepted.
    if (value.toml == "0" || value.toml == "false") why = value.note;
    if (!why.empty()) text += "; " + why;
    note(entry.place, subject, why.empty() ? Verdict::mapped : Verdict::approximated, text);
    lines.set(known.ours, std::move(value.toml));
  }

  void unsupported(const std::string& place, std::string subject, std::string_view key) {
    const Unsupported* known = find_unsupported(key);
    if (known == nullptr) {
      return note(place, std::move(subject), Verdict::unsupported, "this key is unknown");
    }
    note(place, std::move(subject), known->needless ? Verdict::mapped : Verdict::unsupported,
         (known->needless ? "not needed: " : "") + std::string(known->why));
  }

  void listen() {
    const std::string port = said("listen_port", "6432");
    std::vector<std::string> addresses;
    for (const std::string& host : split(said("listen_addr"), ',')) {
      const bool v6 = host.find(':') != std::string::npos;
      addresses.push_back((v6 ? "[" + host + "]" : host) + ":" + port);
    }
    std::string directory = said("unix_socket_dir", "/tmp");
    const bool servers = directory == "/run/postgresql" || directory == "/var/run/postgresql";
    if (servers) directory = "/run/forebay";
    if (directory.starts_with('@')) {
      note(place_of("unix_socket_dir"), "[pgbouncer] unix_socket_dir", Verdict::unsupported,
           "sockets in the abstract namespace have no permissions; name a directory");
    } else if (!directory.empty()) {
      addresses.push_back(directory + ":" + port);
    }
    std::string list;
    for (const std::string& address : addresses) {
      list += (list.empty() ? "" : ", ") + quoted(address);
    }
    sections_["forebay"].set("listen", "[" + list + "]");
    for (const std::string_view key : {"listen_addr", "listen_port", "unix_socket_dir"}) {
      if (key == "unix_socket_dir" && directory.starts_with('@')) continue;
      if (key == "unix_socket_dir" && servers) {
        note(place_of(key), "[pgbouncer] unix_socket_dir", Verdict::approximated,
             "/run/forebay in [forebay] listen: only there may the packaged service make sockets; "
             "clients say host=/run/forebay");
        continue;
      }
      note(place_of(key), "[pgbouncer] " + std::string(key), Verdict::mapped,
           "[forebay] listen = [" + list + "]");
    }
  }

  /// PgBouncer has them for all databases and users, we for each.
  void spread_limits() {
    spread("max_db_connections", databases_, "databases");
    spread("max_db_client_connections", databases_, "databases");
    spread("max_user_connections", users_, "users");
    spread("max_user_client_connections", users_, "users");
  }

  void spread(std::string_view key, std::map<std::string, Lines>& entries,
              const std::string& section) {
    if (!said_.contains(key)) return;
    const std::string about = "[pgbouncer] " + std::string(key);
    const Value value = count<0, 100'000>(said(key));
    if (value.toml.empty()) {
      return note(place_of(key), about, Verdict::unsupported, value.note);
    }
    if (value.toml == "0") return note(place_of(key), about, Verdict::mapped, "no limit");
    for (auto& [name, lines] : entries) {
      if (!lines.has(key)) lines.set(key, value.toml);
    }
    const bool users = section == "users";
    note(place_of(key), about, users ? Verdict::approximated : Verdict::mapped,
         std::string(key) + " = " + value.toml + " in each section of [" + section + "]" +
             (users ? "; users that are not listed have no such limit" : ""));
  }

  // ---- users and authentication

  Result<void> read_users() {
    const std::string path = file_said("auth_file");
    if (path.empty()) return {};
    const Result<std::string> text = environment_.read_file(path);
    if (!text) {
      note(place_of("auth_file"), "[pgbouncer] auth_file", Verdict::unsupported,
           text.error().message + "; import again as a user who may, or add [users] by hand");
      return {};
    }
    auto listed = parse_user_list(*text, path);
    if (!listed) return listed.error();
    note(place_of("auth_file"), "[pgbouncer] auth_file", Verdict::mapped,
         std::to_string(listed->size()) + " users in [users]");
    for (ListedUser& user : *listed) add_user(std::move(user));
    return {};
  }

  void add_user(ListedUser user) {
    const std::string about = quoted(user.name);
    const std::string label = "[" + entry_label("users", user.name) + "]";
    if (user.name.empty() || user.name.size() > kMaxNameBytes || user.name == "*") {
      return note(user.place, about, Verdict::unsupported, "no role of PostgreSQL has this name");
    }
    if (user.secret.empty()) {
      users_[user.name];
      return note(user.place, about, Verdict::mapped, label + " without a password");
    }
    if (const auto why = refuse_secret(user.secret)) {
      return note(user.place, about, Verdict::unsupported, *why);
    }
    users_[user.name].set("password", quoted(user.secret));
    secrets_[user.name] = Secret(std::move(user.secret));
    note(user.place, about, Verdict::mapped, label + " password = (hidden)");
  }

  Result<void> read_auth() {
    const std::string type = said("auth_type", "md5");
    const std::string about = "[pgbouncer] auth_type";
    const std::string& at = place_of("auth_type");
    if (type == "hba") return read_hba();
    if (said_.contains("auth_hba_file")) {
      note(place_of("auth_hba_file"), "[pgbouncer] auth_hba_file", Verdict::mapped,
           "not needed: it is read with auth_type = hba only");
    }
    std::string method = type;
    std::string note_of_it;
    if (type == "plain") {
      method = "password";
      sections_["forebay"].set("cleartext_without_tls", "true");
    } else if (type == "any") {
      method = "trust";
      note_of_it = "; the client's user name counts where a database sets no user";
    } else if (type != "md5" && type != "scram-sha-256" && type != "cert" && type != "trust") {
      method = "server";
      note_of_it = "; " + type + " is not supported: the server itself checks who comes in";
    }
    set_auth(method);
    note(at, about, note_of_it.empty() ? Verdict::mapped : Verdict::approximated,
         "[forebay] auth = " + quoted(method) + note_of_it);
    return {};
  }

  void set_auth(const std::string& method) {
    auth_ = method;
    sections_["forebay"].set("auth", quoted(method));
  }

  /// The first method that is asked of everybody is the general one; a database whose own rules
  /// all say another has that. Never trust, which would hold for all users and addresses.
  Result<void> read_hba() {
    const std::string path = file_said("auth_hba_file");
    const Result<std::string> text = environment_.read_file(path);
    if (!text) return failure("auth_hba_file: " + text.error().message);
    auto rules = parse_hba(*text, path);
    if (!rules) return rules.error();
    std::optional<std::string> general;
    for (const HbaRule& rule : *rules) {
      const bool usable = is_password_method(rule.method) || rule.method == "cert";
      const std::vector<std::string> all{"all"};
      if (usable && rule.databases == all && rule.users == all && !general) general = rule.method;
    }
    set_auth(general.value_or("scram-sha-256"));
    for (const HbaRule& rule : *rules) judge(rule);
    note(place_of("auth_type"), "[pgbouncer] auth_type", Verdict::approximated,
         "[forebay] auth = " + quoted(auth_) + "; see what became of each line of " + path);
    note(place_of("auth_hba_file"), "[pgbouncer] auth_hba_file", Verdict::approximated,
         "[forebay] auth and [databases.NAME] auth; for addresses see allow_from and deny_from");
    return {};
  }

  void judge(const HbaRule& rule) {
    const std::string about = rule.type + " rule with " + rule.method;
    if (rule.method == "reject") {
      return note(rule.place, about, Verdict::unsupported,
                  "not taken over; addresses are kept out by allow_from and deny_from");
    }
    if (!is_password_method(rule.method) && rule.method != "cert") {
      if (rule.method == "trust") {
        for (const std::string& name : rule.databases) hba_[name].insert(rule.method);
        return note(rule.place, about, Verdict::unsupported,
                    "not taken over: auth = \"trust\" would let in all users from everywhere");
      }
      return note(rule.place, about, Verdict::unsupported, "this method is not supported");
    }
    const bool everybody = rule.databases == std::vector<std::string>{"all"};
    std::vector<std::string> reasons;
    if (everybody && rule.method != auth_) reasons.push_back("all databases have one method");
    if (!everybody) {
      for (const std::string& name : rule.databases) hba_[name].insert(rule.method);
    }
    if (rule.users != std::vector<std::string>{"all"}) reasons.push_back("it holds for all users");
    const bool anywhere = rule.address.empty() || rule.address == "all" ||
                          rule.address == "0.0.0.0/0" || rule.address == "::/0";
    if (!anywhere) reasons.push_back("it holds for all addresses");
    if (rule.type == "hostssl") {
      reasons.push_back("TLS is asked of everybody by mode in [tls.client]");
    }
    std::string why;
    for (const std::string& reason : reasons) why += "; " + reason;
    note(rule.place, about, reasons.empty() ? Verdict::mapped : Verdict::approximated,
         (everybody ? "[forebay] auth = " + quoted(auth_)
                    : "auth = " + quoted(rule.method) + " of its databases") +
             why);
  }

  // ---- [databases]

  Result<void> database(const Entry& entry) {
    const auto pairs = parse_connect_string(entry.value);
    if (!pairs) return failure(entry.place + ": " + pairs.error().message);
    const std::string label = entry_label("databases", entry.key);
    const std::string about = "[databases] " + entry.key;
    if (std::ranges::find(kConsoleDatabases, entry.key) != std::end(kConsoleDatabases)) {
      note(entry.place, about, Verdict::unsupported, "this name is the console's");
      return {};
    }
    Lines& lines = databases_[entry.key] = {};
    std::string host;
    std::string port = "5432";
    std::string user;
    for (const Pair& pair : *pairs) {
      const Entry part{entry.place, "databases", pair.key, pair.value};
      const std::string each = about + ": " + pair.key;
      if (pair.key == "host" || pair.key == "port") {
        (pair.key == "host" ? host : port) = pair.value;
      } else if (const Equivalent* known = database_equivalent(pair.key)) {
        if (pair.key == "user") user = pair.value;
        if (pair.key == "password" && secret_form(pair.value) == SecretForm::scram_sha_256) {
          note(entry.place, each, Verdict::unsupported,
               "nobody can log in to a server with a SCRAM verifier; give the password itself");
        } else {
          equivalent(part, each, *known, label, lines);
        }
      } else {
        unsupported(entry.place, each, pair.key);
      }
    }
    if (!set_hosts(entry, label, host, port, lines)) {
      databases_.erase(entry.key);
      note(entry.place, about, Verdict::unsupported, "left out: it has no host that can be used");
      return {};
    }
    fit_sizes(entry.place, about, "pool_size", lines);
    if (!user.empty() && !lines.has("password")) lend_password(entry, label, user, lines);
    set_database_auth(entry, lines);
    return {};
  }

  bool set_hosts(const Entry& entry, const std::string& label, const std::string& host,
                 const std::string& port, Lines& lines) {
    const std::string about = "[databases] " + entry.key + ": host";
    std::vector<std::string> hosts = split(host, ',');
    // Without a host PgBouncer takes the socket in the directory of its own.
    if (hosts.empty()) hosts.push_back(said("unix_socket_dir", "/tmp"));
    const auto number = parse_port(port);
    std::string list;
    for (const std::string& name : hosts) {
      const auto endpoint = number ? server_endpoint(name, *number) : Result<Endpoint>(Endpoint{});
      if (!number || !endpoint) {
        note(entry.place, about, Verdict::unsupported,
             number ? endpoint.error().message : number.error().message);
        continue;
      }
      list += (list.empty() ? "" : ", ") + quoted(to_string(*endpoint));
    }
    if (list.empty()) return false;
    lines.set("hosts", "[" + list + "]");
    const bool several = hosts.size() > 1;
    note(
        entry.place, about, several ? Verdict::approximated : Verdict::mapped,
        "[" + label + "] hosts = [" + list + "]" +
            (several ? "; PgBouncer takes them in turn, Forebay uses the primary among them" : ""));
    return true;
  }

  /// PgBouncer takes a minimum above the size for the size.
  void fit_sizes(const std::string& place, const std::string& about, std::string_view size_key,
                 Lines& lines) {
    const std::uint32_t least = number_of(lines.value("min_pool_size"),
                                          number_of(sections_["pool"].value("min_pool_size"), 0));
    const std::uint32_t size = number_of(
        lines.value(size_key),
        number_of(sections_["pool"].value("default_pool_size"), PoolSettings{}.pool_size));
    if (least <= size) return;
    lines.set("min_pool_size", std::to_string(size));
    note(place, about + ": min_pool_size", Verdict::approximated,
         "min_pool_size = " + std::to_string(size) + ", which is the pool's size");
  }

  static std::uint32_t number_of(std::string_view text, std::uint32_t otherwise) {
    std::from_chars(text.data(), text.data() + text.size(), otherwise);
    return otherwise;
  }

  /// PgBouncer takes the password of a forced user from its list.
  void lend_password(const Entry& entry, const std::string& label, const std::string& user,
                     Lines& lines) {
    const auto found = secrets_.find(user);
    if (found == secrets_.end()) return;
    const std::string about = "[databases] " + entry.key + ": user";
    if (secret_form(found->second.reveal()) == SecretForm::scram_sha_256) {
      return note(entry.place, about, Verdict::unsupported,
                  "the list has a SCRAM verifier for it, with which nobody can log in to a server; "
                  "set password in [" +
                      label + "]");
    }
    lines.set("password", quoted(found->second.reveal()));
    note(entry.place, about, Verdict::mapped,
         "[" + label + "] password = (hidden), from the list of users");
  }

  void set_database_auth(const Entry& entry, Lines& lines) {
    const auto own = hba_.find(entry.key);
    if (own == hba_.end()) return;
    if (own->second == std::set<std::string>{auth_}) return;
    if (own->second.size() == 1 && !own->second.contains("trust"))
      return lines.set("auth", quoted(*own->second.begin()));
    note(entry.place, "[databases] " + entry.key, Verdict::approximated,
         "its rules name several methods; [forebay] auth = " + quoted(auth_) + " holds");
  }

  // ---- [users]

  Result<void> user(const Entry& entry) {
    const auto pairs = parse_connect_string(entry.value);
    if (!pairs) return failure(entry.place + ": " + pairs.error().message);
    Lines& lines = users_[entry.key];
    for (const Pair& pair : *pairs) {
      const Entry part{entry.place, "users", pair.key, pair.value};
      const std::string each = "[users] " + entry.key + ": " + pair.key;
      if (const Equivalent* known = user_equivalent(pair.key)) {
        equivalent(part, each, *known, entry_label("users", entry.key), lines);
      } else {
        unsupported(entry.place, each, pair.key);
      }
    }
    fit_sizes(entry.place, "[users] " + entry.key, "pool_size", lines);
    return {};
  }

  // ---- the end

  void finish() {
    if (databases_in_.empty()) {
      const std::string host = quoted(said("unix_socket_dir", "/tmp") + ":5432");
      databases_["*"].set("hosts", "[" + host + "]");
      note("", "[databases]", Verdict::approximated,
           "[databases.\"*\"] hosts = [" + host +
               "]; PgBouncer serves nobody without databases, and a file of ours needs one");
    }
    const auto client_tls = sections_.find("tls.client");
    // Certificates alone switch TLS on here, and not there.
    if (client_tls != sections_.end() && !client_tls->second.has("mode")) {
      client_tls->second.set("mode", quoted("disable"));
    }
  }

  [[nodiscard]] std::string toml() const {
    std::string text =
        "# Made by \"forebay import\" from PgBouncer's configuration. It may hold passwords: let "
        "nobody\n# else read it (chmod 0640).\n";
    for (const std::string section : {"forebay", "log", "tls.client", "tls.server", "pool"}) {
      const auto found = sections_.find(section);
      if (found != sections_.end()) text += found->second.toml(section);
    }
    for (const auto& [name, lines] : databases_) text += lines.toml(entry_label("databases", name));
    for (const auto& [name, lines] : users_) text += lines.toml(entry_label("users", name));
    return text;
  }

  const Environment& environment_;
  std::string file_;  ///< that is imported
  std::vector<Entry> general_;
  std::vector<Entry> databases_in_;
  std::vector<Entry> users_in_;
  std::map<std::string, std::string, std::less<>> said_;  ///< of [pgbouncer]
  std::map<std::string, std::string, std::less<>> places_;
  std::string auth_;
  std::map<std::string, std::set<std::string>> hba_;  ///< other methods, by database
  std::map<std::string, Secret> secrets_;

  std::map<std::string, Lines> sections_;
  std::map<std::string, Lines> databases_;
  std::map<std::string, Lines> users_;
  std::vector<Translated> report_;
};

}  // namespace
}  // namespace pgbouncer

std::string to_string(const Translated& translated) {
  constexpr std::string_view kVerdicts[] = {"mapped", "approximated", "unsupported"};
  const std::string place = translated.place.empty() ? "PgBouncer's default" : translated.place;
  return place + ": " + translated.subject + ": " +
         std::string(kVerdicts[static_cast<std::size_t>(translated.verdict)]) + ": " +
         translated.text;
}

Result<Imported> import_pgbouncer(const std::string& path, const Environment& environment) {
  return pgbouncer::Importer(environment).import(path);
}

}  // namespace forebay::config
