#include <gtest/gtest.h>

#include <bit>
#include <cctype>
#include <memory>
#include <random>
#include <unordered_set>

#include "routing/sql/readable.hpp"
#include "unit/routing/corpus.hpp"
#include "unit/routing/print_facts.hpp"
#include "unit/routing/scan_reference.hpp"

namespace forebay {
namespace {

using sql::StandardStrings;

constexpr sql::HashSeed kSeed{7, 8};

void check_value(const sql::Value& value, const sql::Shape& shape) {
  if (value.kind != sql::Value::Kind::literal) return;
  ASSERT_LT(value.literal, shape.literals().size());
  ASSERT_NE(shape.literals()[value.literal].kind, sql::LiteralKind::list);
}

void check_statement(const sql::Statement& statement, const sql::Shape& shape) {
  check_value(statement.argument, shape);
  for (const sql::Setting& setting : statement.settings) {
    check_value(setting.name_value, shape);
    check_value(setting.local_value, shape);
    for (const sql::Value& value : setting.values) check_value(value, shape);
  }
  for (const sql::Function& function : statement.functions) {
    for (const sql::Value& value : function.arguments) check_value(value, shape);
  }
  ASSERT_LE(statement.part + statement.part_count, shape.parts().size());
  ASSERT_GE(statement.part_count, 1U);
  for (const sql::Statement& inner : statement.inner) {
    sql::Statement copy = inner;  // parts are the outer statement's
    copy.part = 0;
    check_statement(copy, shape);
  }
}

void check_spans(Bytes text, StandardStrings standard, const sql::Shape& shape) {
  std::uint32_t last = 0;
  std::string value;
  for (const sql::Literal& literal : shape.literals()) {
    ASSERT_LE(last, literal.span.begin);
    ASSERT_LT(literal.span.begin, literal.span.end);
    ASSERT_LE(literal.span.end, text.size());
    last = literal.span.end;
    static_cast<void>(sql::literal_value(text, literal, value));
    if (literal.kind != sql::LiteralKind::list) continue;
    sql::ListReader reader(text, literal, standard);
    std::uint32_t end = literal.span.begin;
    std::size_t count = 0;
    for (sql::ListReader::Element element; reader.next(element); ++count) {
      ASSERT_GE(element.span.begin, end);
      end = element.span.end;
      ASSERT_LE(end, literal.span.end);
    }
    ASSERT_GT(count, 0U);
  }
  last = 0;
  for (const sql::Span& part : shape.parts()) {
    ASSERT_LE(last, part.begin);
    ASSERT_LT(part.begin, part.end);
    ASSERT_LE(part.end, text.size());
    last = part.end;
  }
}

/// 0b12 and 0x1.5 are a number and another one here, which PostgreSQL calls junk.
bool has_junk(Bytes text, const sql::Shape& shape) {
  for (const sql::Literal& literal : shape.literals()) {
    if (literal.span.end == text.size() || literal.kind != sql::LiteralKind::number) continue;
    const char next = text[literal.span.end];
    if (next == '.' || next == '_' || next < 0) return true;
    if (std::isalnum(static_cast<unsigned char>(next)) != 0) return true;
  }
  return false;
}

void check(const std::string& text, StandardStrings standard) {
  // A block of exactly its size, so that AddressSanitizer sees a read past the end.
  const auto block = std::make_unique<char[]>(text.size());
  std::copy(text.begin(), text.end(), block.get());
  const Bytes exact(block.get(), text.size());
  sql::Shape shape;
  sql::lex(exact, standard, kSeed, shape);
  if (shape.fault() == sql::ShapeFault::none) check_spans(exact, standard, shape);
  if (shape.fault() == sql::ShapeFault::none && !has_junk(exact, shape)) {
    // What the parser is given has the same literals in the same places.
    sql::Shape given;
    sql::lex(sql::readable(exact, standard), StandardStrings::on, kSeed, given);
    ASSERT_EQ(given.parts().size(), shape.parts().size());
    ASSERT_EQ(given.literals().size(), shape.literals().size());
    for (std::size_t i = 0; i < shape.literals().size(); ++i) {
      ASSERT_EQ(given.literals()[i].span, shape.literals()[i].span);
    }
  }
  const sql::FactsPtr facts = sql::understand(exact, standard, shape);
  for (const sql::Statement& statement : facts->statements) check_statement(statement, shape);
}

TEST(ShapeProperty, AnyBytes) {
  std::mt19937_64 random(1);
  const auto corpus = test::corpus();
  const auto& bits = test::nasty_bits();
  for (int round = 0; round < 30000; ++round) {
    std::string text = corpus[random() % corpus.size()].statement;
    for (std::size_t count = 1 + random() % 6; count > 0; --count) {
      const std::size_t at = random() % (text.size() + 1);
      switch (random() % 5) {
        case 0:
          text.insert(at, bits[random() % bits.size()]);
          break;
        case 1:
          text.erase(at, random() % 6);
          break;
        case 2:
          text.insert(at, 1, static_cast<char>(1 + random() % 255));
          break;
        case 3:
          text.resize(at);
          break;
        default:
          text.insert(at, corpus[random() % corpus.size()].statement);
      }
    }
    check(text, random() % 2 == 0 ? StandardStrings::on : StandardStrings::off);
    if (testing::Test::HasFatalFailure()) FAIL() << text;
  }
}

/// The same statement written otherwise: other blanks, comments, case, values of literals.
class Rewriter {
 public:
  explicit Rewriter(std::uint64_t seed) : random_(seed) {}

  std::string rewrite(Bytes text, const std::vector<test::Token>& tokens) {
    std::string result = blank();
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      result += word(text, tokens[i]);
      if (tokens[i].key != "N") result += " " + blank() + " ";
    }
    return result;
  }

 private:
  std::string blank() {
    static const char* const kBlanks[] = {"",           " ",        "\n",  "\t\r\n",
                                          "/* c; ' */", "-- d;'\n", "/**/"};
    return kBlanks[random_() % std::size(kBlanks)];
  }

  std::string word(Bytes text, const test::Token& token) {
    const std::string written(text.substr(token.begin, token.end - token.begin));
    if (token.kind == test::Token::Kind::literal) return literal(written, token.number);
    if (token.kind != test::Token::Kind::word || written.find('"') != std::string::npos) {
      return written;
    }
    std::string other = written;
    for (char& c : other) {
      const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
      if (letter && random_() % 2 == 0) c = static_cast<char>(c ^ 32);
    }
    return other;
  }

  std::string literal(const std::string& written, bool number) {
    static const char* const kStrings[] = {"'x'",     "'it''s'", "E'\\'\\n'",  "$$ ' $$",
                                           "$q$;$q$", "''",      "'a'\n  'b'", "'a' -- b\n 'c'"};
    static const char* const kNumbers[] = {"0", "7", "123456", "42"};
    if (number) {
      // Where PostgreSQL wants an integer it has one already.
      const bool whole = written.find_first_not_of("0123456789") == std::string::npos;
      return whole ? kNumbers[random_() % std::size(kNumbers)] : "1.5";
    }
    const bool special = written[0] != '\'' && written[0] != '$' && (written[0] | 32) != 'e';
    return special ? written : kStrings[random_() % std::size(kStrings)];
  }

  std::mt19937_64 random_;
};

TEST(ShapeProperty, EqualForTextsThatDifferInValuesOnly) {
  std::size_t compared = 0;
  for (const test::Expected& expected : test::corpus()) {
    const auto tokens = test::tokens_of(expected.statement);
    if (!tokens.has_value() || expected.facts.starts_with("UNKNOWN")) continue;
    if (test::lower_ascii(expected.statement).find("uescape") != std::string::npos) continue;
    sql::Shape shape;
    sql::lex(expected.statement, StandardStrings::on, kSeed, shape);
    const std::string key(shape.key());
    const sql::FactsPtr facts = sql::understand(expected.statement, StandardStrings::on, shape);
    Rewriter rewriter(compared);
    for (int round = 0; round < 20; ++round) {
      const std::string other = rewriter.rewrite(expected.statement, *tokens);
      sql::lex(other, StandardStrings::on, kSeed, shape);
      ASSERT_EQ(sql::printable(shape.key()), sql::printable(key)) << other;
      ASSERT_EQ(shape.key(), key) << other;
      const sql::FactsPtr again = sql::understand(other, StandardStrings::on, shape);
      ASSERT_EQ(test::print(*again), test::print(*facts)) << other;
      ASSERT_EQ(again->statements, facts->statements) << other;
    }
    ++compared;
  }
  EXPECT_GT(compared, 400U);
}

TEST(ShapeProperty, HashesAreDistinctInBothHalves) {
  std::unordered_set<std::uint64_t> high;
  std::unordered_set<std::uint64_t> low;
  std::string text = "select a from table_0000000 where b = ?";
  constexpr std::size_t kCount = 300000;
  for (std::size_t i = 0; i < kCount; ++i) {
    for (std::size_t digit = 0, rest = i; digit < 7; ++digit, rest /= 10) {
      text[25 - digit] = static_cast<char>('0' + rest % 10);
    }
    const sql::Hash128 hash = sql::hash_of(text, kSeed);
    high.insert(hash.high);
    low.insert(hash.low);
  }
  EXPECT_EQ(high.size(), kCount);
  EXPECT_EQ(low.size(), kCount);
}

TEST(ShapeProperty, EachBitOfTextAndSeedChangesHalfOfTheHash) {
  std::mt19937_64 random(2);
  const auto differ = [](sql::Hash128 a, sql::Hash128 b) {
    return std::pair(std::popcount(a.high ^ b.high), std::popcount(a.low ^ b.low));
  };
  double high = 0;
  double low = 0;
  double between = 0;
  int count = 0;
  for (std::size_t size : {1, 7, 8, 15, 16, 17, 31, 33, 100}) {
    std::string text(size, ' ');
    for (char& c : text) c = static_cast<char>(random());
    const sql::HashSeed seed{random(), random()};
    const sql::Hash128 hash = sql::hash_of(text, seed);
    for (std::size_t bit = 0; bit < 8 * size; ++bit) {
      std::string other = text;
      other[bit / 8] = static_cast<char>(other[bit / 8] ^ (1 << (bit % 8)));
      const auto [a, b] = differ(hash, sql::hash_of(other, seed));
      EXPECT_GT(a, 8) << size;
      EXPECT_GT(b, 8) << size;
      between += std::popcount(hash.high ^ hash.low);
      high += a, low += b, ++count;
    }
    for (unsigned bit = 0; bit < 128; ++bit) {
      sql::HashSeed other = seed;
      (bit < 64 ? other.first : other.second) ^= std::uint64_t{1} << (bit % 64);
      const auto [a, b] = differ(hash, sql::hash_of(text, other));
      EXPECT_GT(a + b, 24) << size << " seed bit " << bit;
    }
  }
  EXPECT_NEAR(high / count, 32, 1);
  EXPECT_NEAR(low / count, 32, 1);
  EXPECT_NEAR(between / count, 32, 6) << "the halves have nothing to do with each other";
  // Bytes that are not there do not count as zeros.
  const auto [a, b] =
      differ(sql::hash_of(Bytes("a", 1), kSeed), sql::hash_of(Bytes("a\0", 2), kSeed));
  EXPECT_GT(a, 8);
  EXPECT_GT(b, 8);
}

}  // namespace
}  // namespace forebay
