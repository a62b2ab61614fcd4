#include "forebay/routing/sql/word_after.hpp"

#include <gtest/gtest.h>

#include <string>

namespace forebay::sql {
namespace {

std::string with_of(std::string_view text) {
  const Span span = with_words(text, {0, static_cast<std::uint32_t>(text.size())});
  return std::string(span.of(text));
}

TEST(WordAfter, WithBeginsAStatement) {
  EXPECT_EQ(with_of("with a as (select 1) select 2"), "with");
  EXPECT_EQ(with_of(" /* x /* y */ */ -- z\n WITH a as (select 1) select 2"), "WITH");
  EXPECT_EQ(with_of("With\n--\n Recursive a as (select 1) select 2"), "With\n--\n Recursive");
  EXPECT_EQ(with_of("with recursive_names as (select 1) select 2"), "with");
  EXPECT_EQ(with_of("with \"recursive\" as (select 1) select 2"), "with");
  for (const char* text : {"", "select 1", "withal as", "(with a as (select 1) select 2)", "'with'",
                           "\"with\"", "select timestamp with time zone 'now'", "/* with", "--"}) {
    EXPECT_EQ(with_of(text), "") << text;
  }
}

TEST(WordAfter, NameBehindAKeyWord) {
  const auto name_of = [](std::string_view text, std::string_view key) {
    const Span span =
        name_after(text, {0, static_cast<std::uint32_t>(text.size())}, key, StandardStrings::on);
    return std::string(span.of(text));
  };
  EXPECT_EQ(name_of("EXPLAIN (ANALYZE) EXECUTE \"a b\" (1)", "execute"), "\"a b\"");
  EXPECT_EQ(name_of("deallocate prepare x", "deallocate"), "x");
  EXPECT_EQ(name_of("deallocate prepare", "deallocate"), "prepare");
  EXPECT_EQ(name_of("execute (x)", "execute"), "");
  EXPECT_EQ(name_of("execute", "execute"), "");
}

}  // namespace
}  // namespace forebay::sql
