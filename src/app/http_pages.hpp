#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "app/http_server.hpp"
#include "forebay/config/secret.hpp"
#include "metrics/metrics.hpp"

namespace forebay::core {
struct Shared;
}  // namespace forebay::core

namespace forebay::app {

/// The page at "/": live, with no assets but itself.
HttpPage status_page();

/// The value of a parameter in "a=1&b=2", as it stands there; empty without.
std::string_view query_parameter(std::string_view query, std::string_view name);

/// The first line of the file `http_token_file`; empty for no file.
Result<config::Secret> read_http_token(const std::string& file);

/// /, /metrics, /pools, /hosts, /statements and /slow; nothing for other paths. Metrics are
/// OpenMetrics where that is accepted.
std::optional<HttpPage> page_of(core::Shared& shared, const metrics::Process& process,
                                std::string_view path, std::string_view query,
                                std::string_view accepted);

}  // namespace forebay::app
