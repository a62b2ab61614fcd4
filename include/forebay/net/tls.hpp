#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "forebay/base/result.hpp"
#include "forebay/config/config.hpp"
#include "forebay/core/io.hpp"

namespace forebay::net {

/// Key material and rules towards clients, read from the files now. Null for mode `disable`.
///
/// `verify_ca` and `verify_full` require a client certificate that our CA signed (its common name
/// is in TlsFacts; comparing it with the user is the core's). The other modes ask for one, and
/// refuse one that is not valid, when `ca_file` is set; else none is asked for. The list of
/// acceptable CAs that is sent is `ca_file` and nothing else. A client that offers protocols by
/// ALPN must offer "postgresql"; direct TLS must offer it.
///
/// The error names the file, the reason and the remedy. A private key that others can read is
/// refused, as PostgreSQL does: 0600, or 0640 when root owns it.
Result<std::shared_ptr<const core::TlsContext>> make_server_context(
    const config::TlsSettings& settings);

/// Rules towards servers, and our certificate for them when one is set. Null for mode `disable`.
///
/// `allow` and `prefer` verify nothing; `require` verifies the chain when `ca_file` is set, as
/// libpq does; `verify_ca` verifies the chain, `verify_full` also that the certificate is for the
/// host (names, wildcards for one whole label, and IP addresses of the subjectAltName; the common
/// name only in certificates without names in it). No `ca_file`: the system's CAs.
Result<std::shared_ptr<const core::TlsContext>> make_client_context(
    const config::TlsSettings& settings);

/// When the first certificate of a PEM file expires, in Unix time; 0 if that cannot be read.
std::int64_t certificate_expiry(const std::string& file);

}  // namespace forebay::net
