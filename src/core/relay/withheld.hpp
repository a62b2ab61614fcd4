#pragma once

#include "core/engine/conduit.hpp"
#include "core/relay/relay_state.hpp"
#include "forebay/base/bytes.hpp"

namespace forebay::core {

/// An error of a statement that a tenant's firewall has let through. The server may evaluate a
/// client's condition for rows of other tenants, before it drops them, and quotes what it could not
/// compute: tells the client the error (the body of the message) without that. False, and nothing
/// is told, where it says nothing of rows: it is about the text, or the session.
bool tell_without_values(const ClientRelayState* client, LinkRelayState& link, Bytes error,
                         Conduit& to_client);

}  // namespace forebay::core
