#pragma once

#include <string>
#include <vector>

#include "forebay/base/endpoint.hpp"

namespace forebay::config {

/// Whom to ask by HTTP: `http://host:port` or `https://host:port`.
struct HttpUrl {
  bool tls = false;
  Endpoint address;
  bool operator==(const HttpUrl&) const = default;
};

[[nodiscard]] inline std::string to_string(const HttpUrl& url) {
  return (url.tls ? "https://" : "http://") + to_string(url.address);
}

/// Where Patroni, which manages a database's hosts, says what it knows of them.
struct PatroniSettings {
  std::vector<HttpUrl> rest;  ///< its REST API; one that answers will do
  std::string rest_ca_file;   ///< PEM; empty for the system's
  std::vector<HttpUrl> etcd;  ///< where it keeps its keys
  std::string etcd_ca_file;
  std::string etcd_namespace = "/service";
  std::string etcd_scope;

  [[nodiscard]] bool none() const noexcept { return rest.empty() && etcd.empty(); }
  bool operator==(const PatroniSettings&) const = default;
};

}  // namespace forebay::config
