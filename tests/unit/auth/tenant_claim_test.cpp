#include "forebay/auth/tenant_claim.hpp"

#include <gtest/gtest.h>

namespace forebay::auth {
namespace {

TEST(TenantClaim, names_process_time_and_tenant_and_signs_them) {
  const config::Secret key("0123456789abcdef0123456789abcdef");
  // printf 4711.1700000000-0807060504030201.acme | openssl dgst -sha256 -hmac
  // 0123456789abcdef0123456789abcdef
  EXPECT_EQ(tenant_claim(key, "acme", 4711, 1'700'000'000, 0x0102030405060708),
            "4711.1700000000-0807060504030201."
            "6279ae77d6cecd55fa969f3b856b8462d97657295781dbefe420d8f5ca06a6bb.acme");
  EXPECT_NE(tenant_claim(key, "acme", 4711, 1, 1).substr(0, 90),
            tenant_claim(key, "acme", 4711, 1, 2).substr(0, 90));
  const std::string other = tenant_claim(key, "acme", 4712, 1'700'000'000, 5);
  EXPECT_TRUE(is_claim_of(other, 4712, 1'699'999'999, 1'700'000'000));
  EXPECT_FALSE(is_claim_of(other, 4711, 1'699'999'999, 1'700'000'000));
  EXPECT_FALSE(is_claim_of(other, 4712, 1'700'000'001, 1'700'000'002));
  EXPECT_FALSE(is_claim_of("acme", 4712, 0, 1'700'000'000));
  EXPECT_EQ(other.find("6279ae77d6cecd55fa969f3b856b8462d97657295781dbefe420d8f5ca06a6bb"),
            std::string::npos);
}

TEST(TenantClaim, sql_has_the_pads_of_the_key_and_not_the_key) {
  const config::Secret key("0123456789abcdef0123456789abcdef");
  const std::string sql = tenant_claim_sql(key, "app.o'brien", "a\"b");
  EXPECT_EQ(sql.find(key.reveal()), std::string::npos);
  EXPECT_NE(sql.find("'\\x060704050203"), std::string::npos) << sql;
  EXPECT_NE(sql.find("current_setting('app.o''brien', true)"), std::string::npos) << sql;
  EXPECT_NE(sql.find("FUNCTION \"a\"\"b\".tenant()"), std::string::npos) << sql;
  EXPECT_EQ(sql.find('@'), std::string::npos) << sql;
}

}  // namespace
}  // namespace forebay::auth
