#include <gtest/gtest.h>

#include "forebay/routing/sql/shape.hpp"

namespace forebay {
namespace {

using sql::StandardStrings;

constexpr sql::HashSeed kSeed{5, 6};

sql::Shape shape_of(Bytes text, StandardStrings standard = StandardStrings::on) {
  sql::Shape shape;
  sql::lex(text, standard, kSeed, shape);
  return shape;
}

std::string key_of(Bytes text, StandardStrings standard = StandardStrings::on) {
  const sql::Shape shape = shape_of(text, standard);
  return shape.fault() == sql::ShapeFault::none ? sql::printable(shape.key()) : "FAULT";
}

TEST(Lexer, Keys) {
  const std::pair<const char*, const char*> cases[] = {
      {"", ""},
      {"SELECT  A ,\tb\n FROM \"Ab\" . T", "select a, b from \"Ab\".t"},
      {"select 1, -1, 'x', 1.5e3 + .5", "select ?, -?, ?, ?+?"},
      {"select 1;", "select ?"},
      {";;select 1;; ; select 2;", "select ?;select ?"},
      {"select a+b, a + - b, a+-b, a- -b", "select a+b, a+ -b, a+ -b, a- -b"},
      {"select a<@b, a@-b, a*-b, a||b", "select a<@b, a@-b, a* -b, a||b"},
      {"select a - /* x */ b -- y", "select a-b"},
      {"select t.*, a.b.c, x::int, y[1:2]", "select t.*, a.b.c, x::int, y[?:?]"},
      {"f(a := 1, b => 2)", "f(a:=?, b=>?)"},
      {"where a in (1, 2,3)", "where a in(...)"},
      {"where a in (1)", "where a in(...)"},
      {"where a in (-1, + 2, 'x', E'y', $$z$$, null, TRUE, false, default)", "where a in(...)"},
      {"where a in (1 + 1)", "where a in(?+?)"},
      {"where a in (b, 1)", "where a in(b, ?)"},
      {"where a in (select 1)", "where a in(select ?)"},
      {"where a in ()", "where a in()"},
      {"where a in /* c */ (1, -- d\n 2)", "where a in(...)"},
      {"values (1, 2), (3, 4)", "values(..., ...)"},
      {"values (1), (2), (3, 4)", "values(...), (?, ?)"},
      {"values (1, 2), (f(3), 4)", "values(..., ...), (f(?), ?)"},
      {"values (now(), 1)", "values(now(), ?)"},
      {"select $1, $2::int", "select $1, $2::int"},
      {"select a$1, $1$2, _a$", "select a$1, $1 $2, _a$"},
      {"SELECT N'x', n 'x', NCHAR 'x'", "select N ?, n ?, nchar ?"},
      {"select U&\"a\" UESCAPE '!'", "select u&\"a\" uescape ?'!'?"},
      {"create rule r as on insert to t do (select 1; select 2)",
       "create rule r as on insert to t do(select ?;select ?)"},
      {"select été, ÉTÉ", "select été, ÉtÉ"},
      {"select 'a' 'b'", "select ??"},
      {"select 'a'\n'b', 'c'\r -- d\n  'e'", "select ?, ?"},
      {"select 1..10, 1.5.3", "select ?..?, ??"},
      {"select 0x1F, 1_000, 0b1, 0o7, 1__0", "select ?, ?, ?, ?, ?__0"},
      {"select $$a$b$$, $x$ $y$ $x$", "select ?, ?"},
      {"select 'unterminated", "FAULT"},
      {"select E'a\\'", "FAULT"},
      {"select \"a", "FAULT"},
      {"select /* /* */", "FAULT"},
      {"select $a$ $b$", "FAULT"},
      {"select {", "FAULT"},
      {"select \x01", "FAULT"},
      {"select $", "FAULT"},
  };
  for (const auto& [text, expected] : cases) EXPECT_EQ(key_of(text), expected) << text;
}

TEST(Lexer, StandardStringsDecideWhereAStringEnds) {
  EXPECT_EQ(key_of("select 'a\\', 'b'"), "select ?, ?");
  EXPECT_EQ(key_of("select 'a\\', 'b'", StandardStrings::off), "FAULT");
  EXPECT_EQ(key_of("select 'a\\', 'b', '", StandardStrings::off), "select ??");
  EXPECT_EQ(key_of("select U&'a\\', B'\\', $$\\$$", StandardStrings::off), "select ?, ?, ?");
}

/// Texts that mean different things have different keys, however alike they look.
TEST(Lexer, KeysThatMustDiffer) {
  const std::pair<const char*, const char*> cases[] = {
      {"select a ? b", "select a 'x' b"},
      {"select $1", "select 1"},
      {"select \"a\"", "select \"A\""},
      {"select \"select\"", "select select"},
      {"select a - -b", "select a --b"},
      {"select a.b", "select a . . b"},
      {"select a :: b", "select a : : b"},
      {"where a in (1)", "where a in ($1)"},
      {"where a in (1, 2)", "where a in (1, $1)"},
      {"values (1, 2)", "values (1, 2, 3)"},
      {"values (1), (2, 3)", "values (1), (2)"},
      {"select U&\"d!0061\" uescape '!'", "select U&\"d!0061\" uescape '?'"},
      {"select U&\"d!0061\" uescape '!'", "select U&\"d!0061\" uescape $$!$$"},
      {"select U&\"d!0061\" uescape $$!$$", "select U&\"d!0061\" uescape $$?$$"},
      {"select U&\"d!0061\" uescape '!'", "select U&\"d!0061\" uescape '!' ''"},
      {"select n'x'", "select n 'x'"},
      {"select 1; select 2", "select 1 select 2"},
      {"select (1; 2)", "select (1); 2"},
      {"select \"\x01\"", "select \"a\""},
      {"select \"a\x01\"\"b\"", "select \"a\x02\"\"b\""},
      {"set a to b, c", "set a to \"b, c\""},
  };
  for (const auto& [first, second] : cases) {
    const sql::Shape a = shape_of(first);
    const sql::Shape b = shape_of(second);
    EXPECT_NE(a.key(), b.key()) << first;
    EXPECT_FALSE(a.hash() == b.hash()) << first;
  }
}

TEST(Lexer, Comments) {
  const auto leading = [](Bytes text) {
    return std::string(shape_of(text).leading_comment().of(text));
  };
  EXPECT_EQ(leading("/* hint */ select 1"), "/* hint */");
  EXPECT_EQ(leading(" \n-- hint\nselect 1 /* no */"), "-- hint");
  EXPECT_EQ(leading("/* a */ /* b */ select 1"), "/* a */");
  EXPECT_EQ(leading("select /* no */ 1"), "");
  EXPECT_EQ(leading("; /* no part before it */ select 1"), "/* no part before it */");
  EXPECT_EQ(leading("select 1; /* no */ select 1"), "");

  const Bytes traced = "select 1 /* x */ /*app='a',traceparent='00-1-2-01'*/ -- traceparent";
  EXPECT_EQ(shape_of(traced).trace_comment().of(traced), "/*app='a',traceparent='00-1-2-01'*/");
  EXPECT_TRUE(shape_of("select 'traceparent'").trace_comment().empty());
  EXPECT_TRUE(shape_of("select 1 /* traceparen */").trace_comment().empty());
}

TEST(Lexer, Parameters) {
  EXPECT_EQ(shape_of("select 1").parameter_max(), 0U);
  EXPECT_EQ(shape_of("select $3, $1").parameter_max(), 3U);
  EXPECT_EQ(shape_of("select a in ($1, $7) or b = $2").parameter_max(), 7U);
  EXPECT_EQ(shape_of("values ($1, $2), ($9, f($4))").parameter_max(), 9U);
  EXPECT_EQ(shape_of("select $99999999999999999999").parameter_max(), 65536U);
  EXPECT_EQ(shape_of("select '$1', $$ $2 $$").parameter_max(), 0U);
}

TEST(Lexer, Values) {
  const std::pair<const char*, const char*> cases[] = {
      {"'a''b'", "a'b"},
      {"'a'\n 'b'", "ab"},
      {"'a' -- c\n 'b'\n'c'", "abc"},
      {"'a\\n'", "a\\n"},
      {"E'a\\n\\x41\\101\\'\\\\\\u00e9\\U0001F600\\q'", "a\nAA'\\é😀q"},
      {"E'\\ud83d\\ude00'\n'\\t'", "😀\t"},
      {"$$a'b$$", "a'b"},
      {"$x$a$$b$x$", "a$$b"},
      {"U&'d\\0061t\\+000061\\\\'''", "data\\'"},
      {"U&'d!0061\\' UESCAPE '!'", "da\\"},
      {"12.5", "12.5"},
      {"B'01'", "B'01'"},
  };
  std::string value;
  for (const auto& [text, expected] : cases) {
    const sql::Shape shape = shape_of(text);
    ASSERT_GE(shape.literals().size(), 1U) << text;
    EXPECT_TRUE(sql::literal_value(text, shape.literals()[0], value)) << text;
    EXPECT_EQ(value, expected) << text;
  }
  for (const char* text : {"E'\\u12'", "E'\\ud800'", "E'\\ude00'", "E'\\u0000'", "U&'\\00'",
                           "U&'\\'", "U&'a' UESCAPE 'a'", "E'\\ud83dx'", "U&'\\110000'"}) {
    const sql::Shape shape = shape_of(text);
    ASSERT_GE(shape.literals().size(), 1U) << text;
    EXPECT_EQ(sql::literal_value(text, shape.literals()[0], value),
              Bytes(text) == "U&'\\110000'")
        << text;  // the last one is four digits and two plain ones
  }
}

TEST(Lexer, Lists) {
  const Bytes text = "values (1, 'a,b', $3) , (-2,/*c*/NULL, $$)$$)";
  const sql::Shape shape = shape_of(text);
  ASSERT_EQ(shape.literals().size(), 1U);
  ASSERT_EQ(shape.literals()[0].kind, sql::LiteralKind::list);
  std::string seen;
  sql::ListReader reader(text, shape.literals()[0], StandardStrings::on);
  for (sql::ListReader::Element element; reader.next(element);) {
    seen += std::to_string(element.row) + "." + std::to_string(element.column) + "=" +
            std::string(element.span.of(text)) + (element.literal ? "! " : " ");
    EXPECT_EQ(element.parameter, element.span.of(text) == "$3" ? 3U : 0U);
  }
  EXPECT_EQ(seen, "0.0=1! 0.1='a,b'! 0.2=$3 1.0=-2! 1.1=NULL 1.2=$$)$$! ");
}

TEST(Lexer, Encodings) {
  for (const char* name : {"UTF8", "utf-8", "LATIN1", "EUC_JP", "SQL_ASCII", "WIN1252", ""}) {
    EXPECT_TRUE(sql::lexable_encoding(name)) << name;
  }
  for (const char* name :
       {"SJIS", "sjis", "Shift_JIS", "BIG5", "GBK", "UHC", "JOHAB", "GB18030", "SHIFT_JIS_2004",
        "gb-18030", "Mskanji", "WIN936", "sj\xc3\xa9is", "\xe9sjis"}) {
    EXPECT_FALSE(sql::lexable_encoding(name)) << name;
  }
}

// PostgreSQL's scanner, too, takes a time that grows with the square of such a run.
TEST(Lexer, LongRunsOfOperatorsAreNotRead) {
  EXPECT_EQ(shape_of("select 1 " + std::string(250, '+') + " 1").fault(), sql::ShapeFault::none);
  for (const char sign : {'+', '*', '<'}) {
    EXPECT_EQ(shape_of("select 1 " + std::string(60'000, sign) + " 1").fault(),
              sql::ShapeFault::malformed);
  }
}

TEST(Lexer, OneShapeForManyTexts) {
  sql::Shape shape;
  sql::lex(std::string(2000, ' ') + "select 1", StandardStrings::on, kSeed, shape);
  const char* const buffer = shape.key().data();
  sql::lex("select a in (1, 2) -- c", StandardStrings::on, kSeed, shape);
  EXPECT_EQ(sql::printable(shape.key()), "select a in(...)");
  EXPECT_EQ(shape.key().data(), buffer) << "the buffer is used again";
  sql::lex("select '", StandardStrings::on, kSeed, shape);
  EXPECT_EQ(shape.fault(), sql::ShapeFault::malformed);
  EXPECT_TRUE(shape.key().empty());
}

}  // namespace
}  // namespace forebay
