#include "config/address.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <optional>

namespace forebay::config {
namespace {

constexpr std::string_view kSocketPrefix = ".s.PGSQL.";
// sun_path of sockaddr_un, without its terminator.
constexpr std::size_t kMaxSocketPath = 107;
constexpr std::size_t kMaxHostName = 253;

bool is_digits(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

bool is_ipv6(std::string_view text) {
  const std::string address(text.substr(0, text.find('%')));  // without the scope
  in6_addr parsed{};
  return ::inet_pton(AF_INET6, address.c_str(), &parsed) == 1;
}

struct HostAndPort {
  std::string_view host;
  std::optional<std::string_view> port;
  bool bracketed = false;
};

Result<HostAndPort> split_host_and_port(std::string_view text) {
  if (!text.empty() && text.front() == '[') {
    const std::size_t close = text.find(']');
    if (close == std::string_view::npos) return failure("the closing bracket is missing");
    HostAndPort parts{text.substr(1, close - 1), {}, true};
    const std::string_view rest = text.substr(close + 1);
    if (rest.empty()) return parts;
    if (rest.front() != ':') return failure("after the bracket only \":port\" may follow");
    parts.port = rest.substr(1);
    return parts;
  }
  const auto colons = std::count(text.begin(), text.end(), ':');
  if (colons > 1) return failure("an IPv6 address stands in brackets, such as \"[::1]:5432\"");
  if (colons == 0) return HostAndPort{text, {}, false};
  const std::size_t colon = text.find(':');
  return HostAndPort{text.substr(0, colon), text.substr(colon + 1), false};
}

/// Nothing if `host` can name a machine, else why not.
std::optional<std::string> refuse_host(std::string_view host, bool bracketed) {
  constexpr std::string_view kAllowed =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._";
  if (bracketed) {
    if (is_ipv6(host)) return std::nullopt;
    return "what stands in the brackets is not an IPv6 address";
  }
  if (host.empty()) return "the host is missing";
  if (host.size() > kMaxHostName) return "the host name is longer than 253 characters";
  if (is_digits(host)) return "the host is missing, this is only a number";
  if (host == "*") return "\"*\" is for listening only";
  if (host.find_first_not_of(kAllowed) != std::string_view::npos) {
    return "the host has a character that no host name has";
  }
  return std::nullopt;
}

Result<Endpoint> parse_tcp_address(std::string_view text, std::optional<std::uint16_t> port,
                                   bool listening) {
  if (text.find("://") != std::string_view::npos) {
    return failure("this is a URI, but an address such as \"db1:5432\" belongs here");
  }
  const Result<HostAndPort> parts = split_host_and_port(text);
  if (!parts) return parts.error();
  if (!(listening && parts->host == "*")) {
    if (auto problem = refuse_host(parts->host, parts->bracketed)) return failure(*problem);
  }
  if (parts->port) {
    const Result<std::uint16_t> given = parse_port(*parts->port);
    if (!given) return given.error();
    port = *given;
  }
  if (!port) return failure("the port is missing");
  return Endpoint{std::string(parts->host), *port};
}

Result<Endpoint> socket_file(std::string path, std::uint16_t port) {
  if (path.size() > kMaxSocketPath) {
    return failure("the path of a Unix socket may have at most 107 bytes, this would have " +
                   std::to_string(path.size()));
  }
  return Endpoint{std::move(path), port};
}

Result<Endpoint> socket_in(std::string_view directory, std::uint16_t port) {
  while (directory.size() > 1 && directory.back() == '/') directory.remove_suffix(1);
  std::string path(directory);
  if (path.back() != '/') path += '/';
  return socket_file(path + std::string(kSocketPrefix) + std::to_string(port), port);
}

/// A path whose last part is a socket's name. Its number is the port, if it is one.
std::optional<Result<Endpoint>> named_socket(std::string_view path) {
  const std::string_view name = path.substr(path.rfind('/') + 1);
  if (!name.starts_with(kSocketPrefix)) return std::nullopt;
  const std::string_view suffix = name.substr(kSocketPrefix.size());
  const Result<std::uint16_t> port = parse_port(suffix);
  if (!port) {
    return failure("the name of a socket file ends with its port, such as \".s.PGSQL.5432\"");
  }
  return socket_file(std::string(path), *port);
}

struct PathAndPort {
  std::string_view path;
  std::optional<std::string_view> port;
};

/// `/directory:port`. A colon that no number follows belongs to the path.
PathAndPort split_path_and_port(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || !is_digits(text.substr(colon + 1))) return {text, {}};
  return {text.substr(0, colon), text.substr(colon + 1)};
}

bool is_path(std::string_view text) {
  return !text.empty() && text.front() == '/';
}

Result<Endpoint> parse_address(std::string_view text, std::uint16_t default_port) {
  if (!is_path(text)) return parse_tcp_address(text, default_port, false);
  if (auto named = named_socket(text)) return *named;
  const auto [path, port] = split_path_and_port(text);
  if (!port) return socket_in(path, default_port);
  const Result<std::uint16_t> number = parse_port(*port);
  if (!number) return number.error();
  return socket_in(path, *number);
}

}  // namespace

Result<std::uint16_t> parse_port(std::string_view text) {
  std::uint32_t port = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (code != std::errc() || end != text.data() + text.size() || port == 0 || port > 65535) {
    return failure("the port must be a number from 1 to 65535");
  }
  return static_cast<std::uint16_t>(port);
}

Result<Endpoint> parse_server_address(std::string_view text) {
  return parse_address(text, kServerPort);
}

Result<Endpoint> parse_peer_address(std::string_view text) {
  return parse_address(text, kListenPort);
}

Result<Endpoint> parse_listen_address(std::string_view text, const Environment& environment) {
  if (!is_path(text)) return parse_tcp_address(text, kListenPort, true);
  if (auto named = named_socket(text)) return *named;
  const auto [path, port] = split_path_and_port(text);
  if (port) {
    const Result<std::uint16_t> number = parse_port(*port);
    if (!number) return number.error();
    return socket_in(path, *number);
  }
  if (path.back() == '/' || environment.is_directory(std::string(path))) {
    return socket_in(path, kListenPort);
  }
  return socket_file(std::string(path), kListenPort);
}

Result<Endpoint> parse_http_address(std::string_view text) {
  if (is_path(text)) return failure("HTTP is offered on TCP only");
  return parse_tcp_address(text, std::nullopt, true);
}

Result<HttpUrl> parse_http_url(std::string_view text, std::uint16_t default_port) {
  HttpUrl url;
  url.tls = text.starts_with("https://");
  if (!url.tls && !text.starts_with("http://")) {
    return failure("it must begin with http:// or https://");
  }
  text.remove_prefix(url.tls ? 8 : 7);
  if (text.ends_with('/')) text.remove_suffix(1);
  if (text.find('@') != std::string_view::npos) return failure("no user belongs in it");
  if (text.find_first_of("/?#") != std::string_view::npos) return failure("no path belongs in it");
  Result<Endpoint> address = parse_tcp_address(text, default_port, false);
  if (!address) return address.error();
  url.address = std::move(*address);
  return url;
}

Result<Endpoint> server_endpoint(std::string_view host, std::uint16_t port) {
  if (is_path(host)) return socket_in(host, port);
  const bool bracketed = host.size() > 1 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  const bool v6 = bracketed || host.find(':') != std::string_view::npos;
  if (auto problem = refuse_host(host, v6)) return failure(*problem);
  return Endpoint{std::string(host), port};
}

bool addresses_collide(const Endpoint& a, const Endpoint& b) {
  if (a.is_unix() || b.is_unix()) return a.host == b.host;
  return a.port == b.port && (a.host == b.host || a.host == "*" || b.host == "*");
}

}  // namespace forebay::config
