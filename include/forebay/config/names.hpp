#pragma once

#include <array>
#include <span>
#include <string_view>

#include "forebay/config/config.hpp"

/// The words of the configuration file for each enumeration: one list for reading, for writing and
/// for error texts.
namespace forebay::config {

template <class Enumeration>
struct Name {
  Enumeration value;
  std::string_view text;
};

inline constexpr std::array<Name<PoolMode>, 3> kPoolModes = {
    {{PoolMode::session, "session"},
     {PoolMode::transaction, "transaction"},
     {PoolMode::statement, "statement"}}};

inline constexpr std::array<Name<TimeoutAction>, 2> kTimeoutActions = {
    {{TimeoutAction::cancel, "cancel"}, {TimeoutAction::close, "close"}}};

inline constexpr std::array<Name<OnSessionState>, 3> kOnSessionStates = {
    {{OnSessionState::pin, "pin"},
     {OnSessionState::error, "error"},
     {OnSessionState::warn, "warn"}}};

inline constexpr std::array<Name<ReadConsistency>, 3> kReadConsistencies = {
    {{ReadConsistency::none, "none"},
     {ReadConsistency::session, "session"},
     {ReadConsistency::strong, "strong"}}};

inline constexpr std::array<Name<ReadTarget>, 3> kReadTargets = {
    {{ReadTarget::any, "any"}, {ReadTarget::primary, "primary"}, {ReadTarget::replica, "replica"}}};

inline constexpr std::array<Name<TlsMode>, 6> kTlsModes = {{{TlsMode::disable, "disable"},
                                                            {TlsMode::allow, "allow"},
                                                            {TlsMode::prefer, "prefer"},
                                                            {TlsMode::require, "require"},
                                                            {TlsMode::verify_ca, "verify-ca"},
                                                            {TlsMode::verify_full, "verify-full"}}};

inline constexpr std::array<Name<AuthMethod>, 6> kAuthMethods = {
    {{AuthMethod::trust, "trust"},
     {AuthMethod::password, "password"},
     {AuthMethod::md5, "md5"},
     {AuthMethod::scram_sha_256, "scram-sha-256"},
     {AuthMethod::cert, "cert"},
     {AuthMethod::server, "server"}}};

inline constexpr std::array<Name<LogLevel>, 4> kLogLevels = {{{LogLevel::debug, "debug"},
                                                              {LogLevel::info, "info"},
                                                              {LogLevel::warning, "warning"},
                                                              {LogLevel::error, "error"}}};

inline constexpr std::array<Name<LogFormat>, 2> kLogFormats = {
    {{LogFormat::text, "text"}, {LogFormat::json, "json"}}};

inline constexpr std::array<Name<FirewallMode>, 3> kFirewallModes = {
    {{FirewallMode::off, "off"},
     {FirewallMode::report, "report"},
     {FirewallMode::enforce, "enforce"}}};

inline constexpr std::array<Name<TenantType>, 3> kTenantTypes = {
    {{TenantType::text, "text"}, {TenantType::integer, "integer"}, {TenantType::uuid, "uuid"}}};

inline constexpr std::array<Name<CertificateField>, 3> kCertificateFields = {
    {{CertificateField::common_name, "common_name"},
     {CertificateField::organizational_unit, "organizational_unit"},
     {CertificateField::alternative_name, "alternative_name"}}};

inline constexpr std::array<Name<SlowQueryText>, 2> kSlowQueryTexts = {
    {{SlowQueryText::redacted, "redacted"}, {SlowQueryText::full, "full"}}};

inline constexpr std::array<Name<SlowQueryParameters>, 3> kSlowQueryParameters = {
    {{SlowQueryParameters::off, "off"},
     {SlowQueryParameters::redacted, "redacted"},
     {SlowQueryParameters::full, "full"}}};

/// The word for a value; "?" for one that is not in the list, which no loaded Config has.
template <class Enumeration>
constexpr std::string_view name_of(std::span<const Name<Enumeration>> names, Enumeration value) {
  for (const Name<Enumeration>& name : names) {
    if (name.value == value) return name.text;
  }
  return "?";
}

constexpr std::string_view to_string(PoolMode mode) {
  return name_of<PoolMode>(kPoolModes, mode);
}
constexpr std::string_view to_string(TimeoutAction action) {
  return name_of<TimeoutAction>(kTimeoutActions, action);
}
constexpr std::string_view to_string(ReadConsistency consistency) {
  return name_of<ReadConsistency>(kReadConsistencies, consistency);
}
constexpr std::string_view to_string(ReadTarget target) {
  return name_of<ReadTarget>(kReadTargets, target);
}
constexpr std::string_view to_string(TlsMode mode) {
  return name_of<TlsMode>(kTlsModes, mode);
}
constexpr std::string_view to_string(AuthMethod method) {
  return name_of<AuthMethod>(kAuthMethods, method);
}
constexpr std::string_view to_string(LogLevel level) {
  return name_of<LogLevel>(kLogLevels, level);
}
constexpr std::string_view to_string(SlowQueryText text) {
  return name_of<SlowQueryText>(kSlowQueryTexts, text);
}
constexpr std::string_view to_string(LogFormat format) {
  return name_of<LogFormat>(kLogFormats, format);
}

}  // namespace forebay::config
