#pragma once

#include <string_view>

namespace forebay::app {

/// Tells the service manager that started us (systemd, Type=notify) what we are at: "READY=1",
/// "RELOADING=1", "STOPPING=1". Does nothing where there is none.
void tell_service_manager(std::string_view state);

}  // namespace forebay::app
