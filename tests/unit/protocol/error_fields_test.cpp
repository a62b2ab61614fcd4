#include <gtest/gtest.h>

#include <string>

#include "forebay/protocol/postgres/backend.hpp"
#include "unit/protocol/exact.hpp"

namespace forebay::pg::backend {
namespace {

using namespace std::string_literals;
using test::Exact;

TEST(Fields, gives_what_a_server_reports) {
  const Exact body(
      "SFEHLER\0VERROR\0C23505\0Mduplicate key\0DKey (id)=(1).\0HTry 2.\0snamespace\0"s +
      "tline\0nline_pkey\0Fnbtinsert.c\0L666\0R_bt_check_unique\0\0"s);
  const Fields fields = Fields::parse(body);
  EXPECT_EQ(fields.severity, "ERROR");
  EXPECT_EQ(fields.sqlstate, "23505");
  EXPECT_EQ(fields.message, "duplicate key");
  EXPECT_EQ(fields.detail, "Key (id)=(1).");
  EXPECT_EQ(fields.hint, "Try 2.");
  EXPECT_FALSE(fields.fatal());
}

TEST(Fields, needs_no_sqlstate) {
  // CVE-2026-6666 (PgBouncer): an ErrorResponse without SQLSTATE.
  const Exact body("SFATAL\0Mgo away\0\0"s);
  const Fields fields = Fields::parse(body);
  EXPECT_EQ(fields.severity, "FATAL");
  EXPECT_EQ(fields.sqlstate, "");
  EXPECT_EQ(fields.message, "go away");
  EXPECT_TRUE(fields.fatal());
}

TEST(Fields, needs_no_field_at_all) {
  for (const std::string& bytes : {""s, "\0"s, "C"s, "\0C12345\0"s}) {
    const Exact body(bytes);
    const Fields fields = Fields::parse(body);
    EXPECT_EQ(fields.severity, "");
    EXPECT_EQ(fields.sqlstate, "");
    EXPECT_EQ(fields.message, "");
    EXPECT_FALSE(fields.fatal());
  }
}

TEST(Fields, prefers_the_severity_that_is_never_translated) {
  EXPECT_EQ(Fields::parse("SFEHLER\0VERROR\0\0"s).severity, "ERROR");
  EXPECT_EQ(Fields::parse("VERROR\0SFEHLER\0\0"s).severity, "ERROR");
  EXPECT_EQ(Fields::parse("SWARNUNG\0\0"s).severity, "WARNUNG");
}

TEST(Fields, knows_what_ends_the_connection) {
  EXPECT_TRUE(Fields::parse("VFATAL\0\0"s).fatal());
  EXPECT_TRUE(Fields::parse("VPANIC\0\0"s).fatal());
  EXPECT_FALSE(Fields::parse("VERROR\0SFATAL\0\0"s).fatal());
  EXPECT_FALSE(Fields::parse("VFATAL \0\0"s).fatal());
  EXPECT_FALSE(Fields::parse("Vfatal\0\0"s).fatal());
}

TEST(Fields, takes_the_last_of_a_repeated_field) {
  const Exact body("VERROR\0VFATAL\0C00000\0C57P01\0Mone\0Mtwo\0Da\0Db\0Hc\0Hd\0\0"s);
  const Fields fields = Fields::parse(body);
  EXPECT_EQ(fields.severity, "FATAL");
  EXPECT_EQ(fields.sqlstate, "57P01");
  EXPECT_EQ(fields.message, "two");
  EXPECT_EQ(fields.detail, "b");
  EXPECT_EQ(fields.hint, "d");
}

TEST(Fields, passes_over_codes_that_nobody_knows) {
  for (int byte = 1; byte < 256; ++byte) {
    const char code = static_cast<char>(byte);
    if (Bytes("SVCMDH").find(code) != Bytes::npos) continue;
    const Exact body(code + "unknown\0C42P01\0\0"s);
    const Fields fields = Fields::parse(body);
    EXPECT_EQ(fields.sqlstate, "42P01") << byte;
    EXPECT_EQ(fields.message, "") << byte;
  }
}

TEST(Fields, takes_what_the_head_of_a_large_message_has) {
  const std::string body = "SERROR\0VERROR\0C42601\0Msyntax error\0Dlong\0Hhint\0\0"s;
  for (std::size_t size = 0; size <= body.size(); ++size) {
    const Exact head(Bytes(body).substr(0, size));
    const Fields fields = Fields::parse(head);
    EXPECT_EQ(fields.severity, size >= 7 ? "ERROR" : "") << size;
    EXPECT_EQ(fields.sqlstate, size >= 21 ? "42601" : "") << size;
    EXPECT_EQ(fields.message, size >= 35 ? "syntax error" : "") << size;
    EXPECT_EQ(fields.detail, size >= 41 ? "long" : "") << size;
    EXPECT_EQ(fields.hint, size >= 47 ? "hint" : "") << size;
  }
}

TEST(Fields, stops_at_the_terminator) {
  const Exact body("C42601\0\0Mhidden\0\0"s);
  const Fields fields = Fields::parse(body);
  EXPECT_EQ(fields.sqlstate, "42601");
  EXPECT_EQ(fields.message, "");
}

}  // namespace
}  // namespace forebay::pg::backend
