#pragma once

#include <cstdint>

#include "forebay/base/result.hpp"
#include "forebay/config/config.hpp"

namespace forebay::app {

/// How many clients there may be, after raising the limit of open files as far as it goes. An
/// explicit max_client_conn that does not fit is an error, with advice.
Result<std::uint32_t> provide_descriptors(const config::Config& config, std::size_t workers);

}  // namespace forebay::app
