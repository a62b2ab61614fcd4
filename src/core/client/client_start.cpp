#include "core/client/client_start.hpp"

#include <algorithm>
#include <optional>

#include "forebay/protocol/postgres/sqlstate.hpp"
#include "forebay/protocol/postgres/writer.hpp"

namespace forebay::core {
namespace {

constexpr Bytes kProtocolOption = "_pq_.";

std::optional<Replication> replication_of(Bytes value) {
  std::string lower(value);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (lower == "database") return Replication::logical;
  if (lower == "true" || lower == "on" || lower == "yes" || lower == "1") {
    return Replication::physical;
  }
  if (lower == "false" || lower == "off" || lower == "no" || lower == "0") return Replication::none;
  return std::nullopt;
}

// PostgreSQL cuts names to what fits its catalogs.
std::string cut(Bytes name) {
  return std::string(name.substr(0, pg::kNameMax));
}

}  // namespace

ClientStart::Outcome ClientStart::receive(Bytes in, const Policy& policy, std::size_t& consumed,
                                          std::string& out) {
  consumed = 0;
  for (;;) {
    if (in.size() == consumed) return NeedMore{};
    auto parsed = pg::parse_startup(in.substr(consumed));
    if (parsed.has_error()) return Refused{parsed.error().sqlstate, parsed.error().message};
    const pg::StartupPacket& packet = parsed->packet;
    if (std::holds_alternative<pg::NeedMore>(packet)) return NeedMore{};
    if (std::holds_alternative<pg::DirectTls>(packet)) {
      const bool first = !secure_ && !tls_asked_ && !gss_asked_ && consumed == 0;
      if (!first || !policy.tls_offered) return Hang{};
      return StartTls{true};
    }
    consumed += parsed->size;
    if (const auto* message = std::get_if<pg::StartupMessage>(&packet)) {
      return on_startup(*message, policy, out);
    }
    if (const auto* cancel = std::get_if<pg::CancelRequest>(&packet)) {
      return Cancel{cancel->process_id, std::string(cancel->key)};
    }
    const bool wants_tls = std::holds_alternative<pg::SslRequest>(packet);
    bool& asked = wants_tls ? tls_asked_ : gss_asked_;
    if (secure_ || asked) {
      return Refused{pg::sqlstate::kFeatureNotSupported,
                     "encryption was requested twice on one connection"};
    }
    asked = true;
    if (wants_tls && policy.tls_offered) {
      // What stands behind the request was not protected: somebody may have put it there.
      if (consumed != in.size()) {
        return Refused{pg::sqlstate::kProtocolViolation,
                       "received unencrypted data after SSL request",
                       "This could be either a client-software bug or evidence of an attempted "
                       "man-in-the-middle attack."};
      }
      out.push_back('S');
      return StartTls{false};
    }
    out.push_back('N');
  }
}

ClientStart::Outcome ClientStart::on_startup(const pg::StartupMessage& message,
                                             const Policy& policy, std::string& out) {
  StartupFacts facts;
  const std::uint16_t minor = message.minor();
  facts.version = minor >= 2 ? pg::kProtocol3_2 : pg::kProtocol3_0;

  std::vector<Bytes> unknown;
  for (const auto& [name, value] : message.parameters) {
    if (name.starts_with(kProtocolOption)) unknown.push_back(name);
  }
  if (minor > 2 || !unknown.empty()) {
    pg::write_negotiate_protocol_version(out, facts.version, unknown);
  }
  if (policy.tls_required && !secure_) {
    return Refused{pg::sqlstate::kInvalidAuthorization,
                   "this connection must use TLS",
                   {},
                   "Connect with sslmode=require, or set tls.client.mode to \"prefer\"."};
  }
  if (const Bytes options = message.value("options"); !options.empty()) {
    auto settings = pg::parse_options(options);
    if (settings.has_error()) {
      const std::string& why = settings.error().message;
      const bool invalid = why.starts_with("invalid command-line");
      return Refused{settings.error().sqlstate,
                     why,
                     {},
                     invalid ? "Try \"postgres --help\" for more information." : ""};
    }
    facts.settings = std::move(settings.value());
  }
  for (const auto& [name, value] : message.parameters) {
    if (name == "user") {
      facts.user = cut(value);
    } else if (name == "database") {
      facts.database = cut(value);
    } else if (name == "replication") {
      const auto replication = replication_of(value);
      if (!replication) {
        return Refused{
            "22023",
            "invalid value for parameter \"replication\": \"" + std::string(value) + "\"",
            {},
            "Valid values are: \"false\", 0, \"true\", 1, \"database\"."};
      }
      facts.replication = *replication;
      facts.replication_value = value;
    } else if (name != "options" && !name.starts_with(kProtocolOption)) {
      facts.settings.emplace_back(name, value);
    }
  }
  if (facts.user.empty()) {
    return Refused{pg::sqlstate::kInvalidAuthorization,
                   "no PostgreSQL user name specified in startup packet"};
  }
  if (facts.database.empty()) facts.database = facts.user;
  return facts;
}

}  // namespace forebay::core
