#pragma once

#include <cstdint>
#include <string>

#include "forebay/base/bytes.hpp"
#include "forebay/config/secret.hpp"

namespace forebay::auth {

/// Who a server process works for, so that nobody else can say it:
/// `<process>.<seconds since 1970>-<nonce>.<HMAC-SHA256 in hex>.<tenant>`. The key signs the
/// others.
std::string tenant_claim(const config::Secret& key, Bytes tenant, std::uint32_t process_id,
                         std::int64_t now, std::uint64_t nonce);

/// Whether a text is a claim of ours, for this process and made in that time.
bool is_claim_of(Bytes claim, std::uint32_t process_id, std::int64_t from, std::int64_t to);

/// SQL for PostgreSQL 12 and later, without extensions: function `schema`.tenant() gives the tenant
/// if the run-time parameter `setting` has a claim that this key signed, for this server process
/// and for a transaction that begins about now; else NULL. Only its owner can read the key.
std::string tenant_claim_sql(const config::Secret& key, Bytes setting, Bytes schema);

}  // namespace forebay::auth
