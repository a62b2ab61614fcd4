#pragma once

#include "core/engine/conduit.hpp"
#include "core/relay/relay_state.hpp"
#include "forebay/protocol/postgres/framer.hpp"

namespace forebay::core {

/// Whether a tenant's firewall keeps other tenants' rows from the client. The server may evaluate a
/// client's condition for them, before it drops them, and quotes what it could not compute.
[[nodiscard]] bool withholds_values(const ClientRelayState* client) noexcept;

/// Tells the client an error of a statement that the firewall has let through without what it
/// quotes. False, and nothing is told, where it says nothing of rows: it is about the text, or the
/// session.
bool tell_without_values(const ClientRelayState* client, LinkRelayState& link,
                         const pg::Message& error, Conduit& to_client);

/// Whether a notice is to be kept from the client for the same reason: there may be one for each
/// row, so that their number alone tells of them.
[[nodiscard]] bool withholds_notice(const ClientRelayState* client, const LinkRelayState& link,
                                    const pg::Message& notice);

}  // namespace forebay::core
