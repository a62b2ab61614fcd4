#pragma once

#include <chrono>
#include <string_view>

#include "app/takeover.hpp"

namespace forebay::app {

/// Tells the service manager that started us (systemd, Type=notify) what we are at: "READY=1",
/// "RELOADING=1", "STOPPING=1", "WATCHDOG=1". Does nothing where there is none.
void tell_service_manager(std::string_view state);

/// How often it wants to hear that we live (WatchdogSec=); zero: never.
std::chrono::microseconds watchdog_interval();

/// The sockets that it listens with for us (a .socket unit), by the addresses that they have.
HandedSockets activated_sockets();

}  // namespace forebay::app
