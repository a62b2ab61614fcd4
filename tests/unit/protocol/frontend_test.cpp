#include "forebay/protocol/postgres/frontend.hpp"

#include <gtest/gtest.h>

#include <initializer_list>
#include <string>

#include "unit/protocol/views.hpp"

namespace forebay::pg::frontend {
namespace {

using namespace std::string_literals;
using test::Exact;
using test::expect_from;
using test::expect_nul_wanted;
using test::expect_only_exactly;
using test::u16;
using test::u32;

TEST(Bind, gives_both_names_and_the_rest_untouched) {
  const Exact body("cursor\0stmt\0\0\1\0\1rest"s);
  const auto bind = Bind::parse(body);
  ASSERT_TRUE(bind);
  EXPECT_EQ(bind->portal, "cursor");
  EXPECT_EQ(bind->statement, "stmt");
  EXPECT_EQ(bind->values, "\0\1\0\1rest"s);
}

TEST(Bind, takes_unnamed_portal_and_statement) {
  const Exact body("\0\0"s);
  const auto bind = Bind::parse(body);
  ASSERT_TRUE(bind);
  EXPECT_EQ(bind->portal, "");
  EXPECT_EQ(bind->statement, "");
  EXPECT_EQ(bind->values, "");
}

TEST(Bind, wants_both_names) {
  expect_from<Bind>(7, "ab\0cde\0values"s);
  EXPECT_FALSE(Bind::parse(Exact("ab\0cde"s)));
  EXPECT_FALSE(Bind::parse(Exact("abcde"s)));
  expect_nul_wanted<Bind>("ab\0cd\0"s, 2);
  expect_nul_wanted<Bind>("ab\0cd\0"s, 5);
}

template <class View>
void expect_target_and_name() {
  const Exact statement("Sname\0"s);
  ASSERT_TRUE(View::parse(statement));
  EXPECT_EQ(View::parse(statement)->target, Target::statement);
  EXPECT_EQ(View::parse(statement)->name, "name");
  const Exact portal("P\0"s);
  ASSERT_TRUE(View::parse(portal));
  EXPECT_EQ(View::parse(portal)->target, Target::portal);
  EXPECT_EQ(View::parse(portal)->name, "");

  expect_only_exactly<View>("Sname\0"s);
  expect_only_exactly<View>("P\0"s);
  expect_nul_wanted<View>("Pname\0"s, 5);
  for (int byte = 0; byte < 256; ++byte) {
    const char target = static_cast<char>(byte);
    const std::string body = target + "name\0"s;
    EXPECT_EQ(View::parse(Exact(body)).has_value(), target == 'S' || target == 'P') << byte;
  }
}

TEST(Close, takes_a_statement_or_a_portal) {
  expect_target_and_name<Close>();
}

TEST(Describe, takes_a_statement_or_a_portal) {
  expect_target_and_name<Describe>();
}

/// A message that is one text.
template <class View>
void expect_text(Bytes View::*text) {
  const Exact body("some text\0"s);
  ASSERT_TRUE(View::parse(body));
  EXPECT_EQ((*View::parse(body)).*text, "some text");
  const Exact empty("\0"s);
  ASSERT_TRUE(View::parse(empty));
  EXPECT_EQ((*View::parse(empty)).*text, "");

  expect_only_exactly<View>("some text\0"s);
  expect_only_exactly<View>("\0"s);
  expect_nul_wanted<View>("some text\0"s, 9);
  EXPECT_FALSE(View::parse(Exact("some\0text\0"s)));
}

TEST(CopyFail, is_one_text) {
  expect_text(&CopyFail::reason);
}

TEST(PasswordMessage, is_one_text) {
  expect_text(&PasswordMessage::password);
}

TEST(Query, is_one_text) {
  expect_text(&Query::text);
}

TEST(Execute, gives_portal_and_row_limit) {
  const Exact body("c1\0"s + u32(500));
  const auto execute = Execute::parse(body);
  ASSERT_TRUE(execute);
  EXPECT_EQ(execute->portal, "c1");
  EXPECT_EQ(execute->max_rows, 500U);
  for (const std::uint32_t rows : {0U, 1U, 0x7fffffffU, 0x80000000U, 0xffffffffU}) {
    ASSERT_TRUE(Execute::parse(Exact("\0"s + u32(rows))));
    EXPECT_EQ(Execute::parse(Exact("\0"s + u32(rows)))->max_rows, rows);
  }
  expect_only_exactly<Execute>("c1\0"s + u32(0));
  expect_only_exactly<Execute>("\0"s + u32(0x01020304));
  expect_nul_wanted<Execute>("c1\0"s + u32(0x01020304), 2);
}

TEST(Parse, gives_name_text_types_and_definition) {
  const Exact body("s1\0select $1\0"s + u16(2) + u32(23) + u32(25));
  const auto parse = Parse::parse(body);
  ASSERT_TRUE(parse);
  EXPECT_EQ(parse->statement, "s1");
  EXPECT_EQ(parse->text, "select $1");
  EXPECT_EQ(parse->parameter_types, u16(2) + u32(23) + u32(25));
  EXPECT_EQ(parse->definition, "select $1\0"s + u16(2) + u32(23) + u32(25));
}

TEST(Parse, takes_a_statement_without_name_text_and_types) {
  const Exact body("\0\0"s + u16(0));
  const auto parse = Parse::parse(body);
  ASSERT_TRUE(parse);
  EXPECT_EQ(parse->statement, "");
  EXPECT_EQ(parse->text, "");
  EXPECT_EQ(parse->parameter_types, u16(0));
  EXPECT_EQ(parse->definition, "\0"s + u16(0));
}

TEST(Parse, has_the_same_definition_whatever_the_name) {
  const Exact one("a\0select 1\0"s + u16(0));
  const Exact other("another name\0select 1\0"s + u16(0));
  EXPECT_EQ(Parse::parse(one)->definition, Parse::parse(other)->definition);
}

TEST(Parse, wants_every_field_and_nothing_more) {
  expect_only_exactly<Parse>("s1\0select $1\0"s + u16(2) + u32(23) + u32(25));
  expect_only_exactly<Parse>("\0\0"s + u16(0));
  expect_nul_wanted<Parse>("s1\0select $1\0"s + u16(257) + std::string(4 * 257, 'x'), 2);
  expect_nul_wanted<Parse>("s1\0select $1\0"s + u16(257) + std::string(4 * 257, 'x'), 12);
}

TEST(Parse, wants_as_many_types_as_it_says) {
  const std::string front = "s1\0select $1\0"s;
  for (const std::uint16_t count :
       std::initializer_list<std::uint16_t>{0, 1, 3, 0x7fff, 0x8000, 0xffff}) {
    EXPECT_FALSE(Parse::parse(Exact(front + u16(count) + u32(23) + u32(25)))) << count;
  }
  EXPECT_TRUE(Parse::parse(Exact(front + u16(0xffff) + std::string(4 * 0xffff, 'x'))));
}

TEST(SASLInitialResponse, gives_mechanism_and_response) {
  const Exact body("SCRAM-SHA-256\0"s + u32(5) + "n,,n="s);
  const auto initial = SASLInitialResponse::parse(body);
  ASSERT_TRUE(initial);
  EXPECT_EQ(initial->mechanism, "SCRAM-SHA-256");
  EXPECT_EQ(initial->response, "n,,n=");
  expect_only_exactly<SASLInitialResponse>(body);
  expect_nul_wanted<SASLInitialResponse>("SCRAM\0"s + u32(0), 5);
}

TEST(SASLInitialResponse, tells_no_response_from_an_empty_one) {
  const Exact none("X\0"s + u32(0xffffffff));
  ASSERT_TRUE(SASLInitialResponse::parse(none));
  EXPECT_FALSE(SASLInitialResponse::parse(none)->response);
  expect_only_exactly<SASLInitialResponse>(none);

  const Exact empty("X\0"s + u32(0));
  ASSERT_TRUE(SASLInitialResponse::parse(empty));
  ASSERT_TRUE(SASLInitialResponse::parse(empty)->response);
  EXPECT_EQ(*SASLInitialResponse::parse(empty)->response, "");
  expect_only_exactly<SASLInitialResponse>(empty);
}

TEST(SASLInitialResponse, refuses_lengths_that_are_not_those_of_the_response) {
  // CVE-2026-6664 (PgBouncer): an inner length that overflows, before anybody has logged in.
  for (const std::uint32_t length : {0U, 4U, 6U, 0x7fffffffU, 0x7ffffffbU, 0x80000000U, 0xfffffff0U,
                                     0xfffffffbU, 0xfffffffeU, 0xffffffffU}) {
    EXPECT_FALSE(SASLInitialResponse::parse(Exact("SCRAM-SHA-256\0"s + u32(length) + "n,,n="s)))
        << length;
  }
  for (const std::uint32_t length : {1U, 0x7fffffffU, 0x80000000U, 0xfffffffeU}) {
    EXPECT_FALSE(SASLInitialResponse::parse(Exact("SCRAM-SHA-256\0"s + u32(length)))) << length;
  }
}

TEST(SASLResponse, is_all_of_the_body) {
  const Exact body("c=biws,r=\0x"s);
  ASSERT_TRUE(SASLResponse::parse(body));
  EXPECT_EQ(SASLResponse::parse(body)->response, "c=biws,r=\0x"s);
  ASSERT_TRUE(SASLResponse::parse(Bytes{}));
  EXPECT_EQ(SASLResponse::parse(Bytes{})->response, "");
}

}  // namespace
}  // namespace forebay::pg::frontend
