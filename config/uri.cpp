#include "forebay/config/uri.hpp"

#include <algorithm>
#include <array>
#include <map>

#include "config/address.hpp"
#include "config/types.hpp"

namespace forebay::config {
namespace {

// Debian's and Red Hat's; libpq has the same compiled in there.
constexpr std::string_view kSocketDirectory = "/var/run/postgresql";

constexpr std::array<std::string_view, 2> kSchemes = {"postgresql://", "postgres://"};

constexpr std::array<std::string_view, 10> kParameters = {
    "dbname",  "host",        "password",
    "port",    "sslcert",     "sslkey",
    "sslmode", "sslrootcert", "target_session_attrs",
    "user"};

constexpr std::array<Name<TargetSession>, 6> kTargetSessions = {
    {{TargetSession::any, "any"},
     {TargetSession::read_write, "read-write"},
     {TargetSession::read_only, "read-only"},
     {TargetSession::primary, "primary"},
     {TargetSession::standby, "standby"},
     {TargetSession::prefer_standby, "prefer-standby"}}};

using Parameters = std::map<std::string, std::string, std::less<>>;

Error uri_failure(std::string_view why) {
  return failure("the connection URI cannot be used: " + std::string(why));
}

int hex_digit(char letter) {
  if (letter >= '0' && letter <= '9') return letter - '0';
  if (letter >= 'a' && letter <= 'f') return letter - 'a' + 10;
  if (letter >= 'A' && letter <= 'F') return letter - 'A' + 10;
  return -1;
}

Result<std::string> percent_decoded(std::string_view text) {
  std::string result;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      result += text[i];
      continue;
    }
    const int high = i + 1 < text.size() ? hex_digit(text[i + 1]) : -1;
    const int low = i + 2 < text.size() ? hex_digit(text[i + 2]) : -1;
    if (high < 0 || low < 0) {
      return uri_failure(
          "after \"%\" two hexadecimal digits must follow; a percent sign itself is "
          "written %25");
    }
    if (high == 0 && low == 0) return uri_failure("%00 stands for a character that is not allowed");
    result += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return {boost::system::in_place_value, std::move(result)};
}

/// Splits at each `separator`; an empty text is one empty part.
std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (;;) {
    const std::size_t at = text.find(separator);
    parts.push_back(text.substr(0, at));
    if (at == std::string_view::npos) return parts;
    text.remove_prefix(at + 1);
  }
}

/// Cuts the beginning of a URI off piece by piece, in the manner of libpq's
/// conninfo_uri_parse_options: the same URI must mean the same to psql and to us.
class UriReader {
 public:
  explicit UriReader(std::string_view after_scheme) : rest_(after_scheme) {}

  Result<Parameters> read() {
    read_user_and_password();
    if (auto why = read_hosts()) return uri_failure(*why);
    if (!rest_.empty() && rest_.front() == '/') {
      set("dbname", cut(rest_.find('?')).substr(1));
    }
    if (rest_.empty()) return decoded();
    rest_.remove_prefix(1);  // the question mark
    Result<Parameters> parameters = decoded();
    if (!parameters) return parameters;
    for (const std::string_view pair : split(rest_, '&')) {
      if (rest_.empty()) break;
      if (auto error = add_parameter(pair, *parameters)) return *error;
    }
    return parameters;
  }

 private:
  /// Takes what stands before `end` away from the rest.
  std::string_view cut(std::size_t end) {
    const std::string_view part = rest_.substr(0, end);
    rest_.remove_prefix(part.size());
    return part;
  }

  void set(std::string_view name, std::string_view value) {
    if (!value.empty()) raw_[std::string(name)] = value;
  }

  void read_user_and_password() {
    const std::size_t end = rest_.find_first_of("@/");
    if (end == std::string_view::npos || rest_[end] != '@') return;
    has_user_part_ = true;
    const std::string_view both = cut(end);
    rest_.remove_prefix(1);  // the @
    const std::size_t colon = both.find(':');
    set("user", both.substr(0, colon));
    if (colon != std::string_view::npos) set("password", both.substr(colon + 1));
  }

  /// `host[:port][,...]` up to the path or the parameters.
  std::optional<std::string> read_hosts() {
    std::string hosts;
    std::string ports;
    for (;;) {
      if (!rest_.empty() && rest_.front() == '[') {
        const std::size_t close = rest_.find(']');
        if (close == std::string_view::npos) return "a closing bracket is missing";
        hosts += cut(close + 1);
        if (!rest_.empty() &&
            std::string_view(":/?,").find(rest_.front()) == std::string_view::npos)
          return "after the bracket of an IPv6 address only a port may follow";
      } else {
        hosts += cut(rest_.find_first_of(":/?,"));
      }
      if (!rest_.empty() && rest_.front() == ':') {
        ports += cut(rest_.find_first_of("/?,")).substr(1);
      }
      if (rest_.empty() || rest_.front() != ',') break;
      rest_.remove_prefix(1);
      hosts += ',';
      ports += ',';
    }
    set("host", hosts);
    if (ports.find_first_not_of(',') != std::string::npos) set("port", ports);
    return std::nullopt;
  }

  Result<Parameters> decoded() const {
    Parameters parameters;
    for (const auto& [name, value] : raw_) {
      Result<std::string> text = percent_decoded(value);
      if (!text) return text.error();
      parameters[name] = std::move(*text);
    }
    return parameters;
  }

  std::optional<Error> add_parameter(std::string_view pair, Parameters& parameters) const {
    const std::size_t equals = pair.find('=');
    if (equals == std::string_view::npos) {
      return uri_failure("each parameter after \"?\" has the form name=value");
    }
    if (pair.find('=', equals + 1) != std::string_view::npos) {
      return uri_failure("a parameter has a second \"=\"; within a value it is written %3D");
    }
    const Result<std::string> name = percent_decoded(pair.substr(0, equals));
    Result<std::string> value = percent_decoded(pair.substr(equals + 1));
    if (!name) return name.error();
    if (!value) return value.error();
    if (std::ranges::find(kParameters, *name) == kParameters.end()) {
      return uri_failure(unknown_parameter(*name) + "; the known ones are " + listed(kParameters));
    }
    parameters[*name] = std::move(*value);
    return std::nullopt;
  }

  /// A password with an unescaped "/" ends the authority, and its "?x=" looks like a parameter;
  /// the @ that then stands too far right gives it away.
  std::string unknown_parameter(std::string_view name) const {
    const bool misread = !has_user_part_ && rest_.find('@') != std::string_view::npos;
    const bool word =
        name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") == std::string_view::npos;
    if (misread || !word) return "it has an unknown parameter";
    return "it has the unknown parameter " + quoted(name);
  }

  std::string_view rest_;
  std::map<std::string, std::string, std::less<>> raw_;
  bool has_user_part_ = false;
};

std::string take(Parameters& parameters, std::string_view name) {
  const auto entry = parameters.find(name);
  return entry == parameters.end() ? std::string() : std::move(entry->second);
}

/// Hosts and ports pair up as in libpq: one port for all hosts, or one for each.
Result<std::vector<Endpoint>> make_hosts(std::string_view host_list, std::string_view port_list) {
  const auto hosts = split(host_list, ',');
  const auto ports = split(port_list, ',');
  if (ports.size() != 1 && ports.size() != hosts.size()) {
    return uri_failure("it has " + std::to_string(hosts.size()) + " hosts and " +
                       std::to_string(ports.size()) + " ports; give one port, or one for each");
  }
  std::vector<Endpoint> result;
  for (std::size_t i = 0; i < hosts.size(); ++i) {
    const std::string_view port_text = ports[ports.size() == 1 ? 0 : i];
    std::uint16_t port = kServerPort;
    if (!port_text.empty()) {
      const Result<std::uint16_t> parsed = parse_port(port_text);
      if (!parsed) {
        return uri_failure(parsed.error().message +
                           " (\"/\" and \"@\" in a password are written %2F and %40)");
      }
      port = *parsed;
    }
    Result<Endpoint> host = server_endpoint(hosts[i].empty() ? kSocketDirectory : hosts[i], port);
    if (!host) {
      return uri_failure(host.error().message +
                         " (\"/\" and \"@\" in a password are written %2F and %40)");
    }
    result.push_back(std::move(*host));
  }
  return result;
}

template <class Enumeration>
Result<Enumeration> choose(std::string_view parameter, std::string_view word,
                           std::span<const Name<Enumeration>> names) {
  std::vector<std::string_view> words;
  for (const Name<Enumeration>& name : names) {
    if (name.text == word) return name.value;
    words.push_back(name.text);
  }
  return uri_failure(std::string(parameter) + " must be one of " + listed(words));
}

Result<TlsSettings> make_tls(Parameters& parameters) {
  TlsSettings tls;
  const std::string mode = take(parameters, "sslmode");
  if (!mode.empty()) {
    const Result<TlsMode> chosen = choose<TlsMode>("sslmode", mode, kTlsModes);
    if (!chosen) return chosen.error();
    tls.mode = *chosen;
  }
  tls.ca_file = take(parameters, "sslrootcert");
  tls.certificate_file = take(parameters, "sslcert");
  tls.key_file = take(parameters, "sslkey");
  if (tls.certificate_file.empty() != tls.key_file.empty()) {
    return uri_failure("sslcert and sslkey are only of use together");
  }
  if (tls.ca_file == "system") {
    if (!mode.empty() && tls.mode != TlsMode::verify_full) {
      return uri_failure("sslrootcert=system needs sslmode=verify-full");
    }
    tls.ca_file.clear();
    tls.mode = TlsMode::verify_full;
  } else if (!tls.ca_file.empty() && tls.mode == TlsMode::require) {
    tls.mode = TlsMode::verify_ca;
  }
  return tls;
}

std::optional<Error> refuse_name(const UriEndpoints& result) {
  for (const auto* name : {&result.dbname, &result.user}) {
    if (*name && (*name)->size() > kMaxNameBytes) {
      return uri_failure("PostgreSQL's names have at most 63 bytes; dbname or user is longer");
    }
  }
  return std::nullopt;
}

Result<UriEndpoints> from_parameters(Parameters parameters) {
  UriEndpoints result;
  auto hosts = make_hosts(take(parameters, "host"), take(parameters, "port"));
  if (!hosts) return hosts.error();
  result.hosts = std::move(*hosts);
  auto tls = make_tls(parameters);
  if (!tls) return tls.error();
  result.tls = std::move(*tls);
  if (auto user = take(parameters, "user"); !user.empty()) result.user = std::move(user);
  if (auto name = take(parameters, "dbname"); !name.empty()) result.dbname = std::move(name);
  if (auto password = take(parameters, "password"); !password.empty()) {
    result.password = Secret(std::move(password));
  }
  if (auto error = refuse_name(result)) return *error;
  if (const auto target = take(parameters, "target_session_attrs"); !target.empty()) {
    const Result<TargetSession> chosen =
        choose<TargetSession>("target_session_attrs", target, kTargetSessions);
    if (!chosen) return chosen.error();
    result.target_session = *chosen;
  }
  return result;
}

/// `host:port`, `/socket/directory`, several with commas.
Result<UriEndpoints> from_addresses(std::string_view text) {
  constexpr std::string_view kForm =
      "expected host:port, /socket/directory, or "
      "postgresql://user@host:port/dbname";
  UriEndpoints result;
  for (const std::string_view part : split(text, ',')) {
    Result<Endpoint> address = parse_server_address(part);
    if (!address) return failure(std::string(kForm) + ": " + address.error().message);
    result.hosts.push_back(std::move(*address));
  }
  return result;
}

}  // namespace

Result<UriEndpoints> endpoints_from_uri(std::string_view uri) {
  if (uri.find('\0') != std::string_view::npos) return uri_failure("it contains a NUL character");
  for (const std::string_view scheme : kSchemes) {
    if (!uri.starts_with(scheme)) continue;
    Result<Parameters> parameters = UriReader(uri.substr(scheme.size())).read();
    if (!parameters) return parameters.error();
    return from_parameters(std::move(*parameters));
  }
  if (uri.find("://") != std::string_view::npos) {
    return uri_failure("it must begin with postgresql:// or postgres://");
  }
  if (uri.find('=') != std::string_view::npos) {
    return failure(
        "keyword=value strings are not understood; write the same as a URI: "
        "postgresql://user@host:port/dbname");
  }
  return from_addresses(uri);
}

}  // namespace forebay::config
