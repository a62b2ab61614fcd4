#pragma once

#include <string_view>

#include "app/http_server.hpp"
#include "forebay/config/config.hpp"

namespace forebay::core {
struct Shared;
}  // namespace forebay::core

namespace forebay::app {

class HostChecks;

/// Whether clients are served: in the database of "database=NAME", or else in any. By what is
/// known: the monitor's view, an operator's word, the last attempts to open a connection. Where
/// nobody has tried for a while its host is asked whether it takes connections.
void ask_readiness(core::Shared& shared, const config::Config& config, std::string_view query,
                   HostChecks& checks, HttpPages::ReadinessDone done);

}  // namespace forebay::app
