#include "forebay/auth/tenant_claim.hpp"

#include <algorithm>
#include <array>
#include <charconv>

#include "auth/crypto.hpp"
#include "forebay/auth/key.hpp"

namespace forebay::auth {
namespace {

constexpr std::size_t kBlock = 64;  ///< of SHA-256

std::string hex(Bytes bytes) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    out += kDigits[byte >> 4];
    out += kDigits[byte & 0xf];
  }
  return out;
}

/// One of HMAC's two keys (RFC 2104): what PostgreSQL lacks to do it in SQL.
std::string padded_hex(const config::Secret& key, char pad) {
  std::array<char, kBlock> block{};
  const std::string& text = key.reveal();
  if (text.size() > kBlock) {
    const Key digest = crypto::sha256(text);
    std::ranges::copy(digest.bytes(), block.begin());
  } else {
    std::ranges::copy(text, block.begin());
  }
  for (char& c : block) c = static_cast<char>(c ^ pad);
  return hex({block.data(), block.size()});
}

std::string quoted(Bytes text, char mark) {
  std::string out(1, mark);
  for (const char c : text) {
    if (c == mark) out += c;
    out += c;
  }
  return out + mark;
}

void replace_all(std::string& text, Bytes what, Bytes by) {
  for (std::size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += by.size()) {
    text.replace(at, what.size(), by);
  }
}

constexpr Bytes kSql =
    R"(-- Made by "forebay tenant-sql". It holds what signs claims: keep it as you keep the key.
-- Run it in each database with tenants, as a role that tenants are not members of. Then:
--   ALTER TABLE orders ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
--   CREATE POLICY tenant ON orders USING (tenant_id = (SELECT @schema.tenant())::integer);
-- with the type of the column in the place of integer.
BEGIN;
CREATE SCHEMA IF NOT EXISTS @schema;
REVOKE ALL ON SCHEMA @schema FROM PUBLIC;
GRANT USAGE ON SCHEMA @schema TO PUBLIC;
CREATE TABLE IF NOT EXISTS @schema.claim_key (inner_pad bytea NOT NULL, outer_pad bytea NOT NULL);
REVOKE ALL ON @schema.claim_key FROM PUBLIC;
DELETE FROM @schema.claim_key;
INSERT INTO @schema.claim_key VALUES ('\x@inner', '\x@outer');
CREATE OR REPLACE FUNCTION @schema.tenant() RETURNS text
  LANGUAGE sql STABLE PARALLEL RESTRICTED SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $forebay$
  SELECT said[5]
  FROM regexp_match(current_setting(@setting, true),
                    '^([0-9]{1,10})\.([0-9]{1,12})(-[0-9a-f]{16})?\.([0-9a-f]{64})\.(.+)$') AS said,
       @schema.claim_key AS key
  WHERE said[1] = pg_backend_pid()::text
    AND abs(extract(epoch FROM transaction_timestamp()) - said[2]::bigint) <= 60
    AND said[4] = encode(sha256(key.outer_pad || sha256(key.inner_pad ||
          convert_to(concat(said[1], '.', said[2], said[3], '.', said[5]), 'UTF8'))), 'hex')
$forebay$;
REVOKE ALL ON FUNCTION @schema.tenant() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION @schema.tenant() TO PUBLIC;
COMMIT;
)";

}  // namespace

std::string tenant_claim(const config::Secret& key, Bytes tenant, std::uint32_t process_id,
                         std::int64_t now, std::uint64_t nonce) {
  std::array<char, sizeof nonce> bytes{};
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(nonce >> 8 * i);
  const std::string head = std::to_string(process_id) + "." + std::to_string(now) + "-" +
                           hex({bytes.data(), bytes.size()}) + ".";
  std::string claim = head + hex(crypto::hmac_sha256(key.reveal(), {head, tenant}).bytes()) + ".";
  return claim.append(tenant);
}

bool is_claim_of(Bytes claim, std::uint32_t process_id, std::int64_t from, std::int64_t to) {
  const std::string head = std::to_string(process_id) + ".";
  if (!claim.starts_with(head)) return false;
  claim.remove_prefix(head.size());
  std::int64_t at = 0;
  const auto [end, code] = std::from_chars(claim.data(), claim.data() + claim.size(), at);
  return code == std::errc() && at >= from && at <= to;
}

std::string tenant_claim_sql(const config::Secret& key, Bytes setting, Bytes schema) {
  std::string sql(kSql);
  replace_all(sql, "@inner", padded_hex(key, 0x36));
  replace_all(sql, "@outer", padded_hex(key, 0x5c));
  replace_all(sql, "@setting", quoted(setting, '\''));
  replace_all(sql, "@schema", quoted(schema, '"'));
  return sql;
}

}  // namespace forebay::auth
