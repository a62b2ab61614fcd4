#include <gtest/gtest.h>

#include <random>

#include "unit/routing/corpus.hpp"
#include "unit/routing/scan_reference.hpp"

/// The lexer against PostgreSQL's own scanner, which libpg_query has: every token of every text.
namespace forebay {
namespace {

constexpr sql::HashSeed kSeed{1, 2};

std::string visible(Bytes key) {
  std::string text;
  for (const char c : key) {
    text += c == sql::kLiteralMark     ? "<?>"
            : c == sql::kListMark      ? "<list>"
            : c == sql::kParameterMark ? "<params>"
                                       : std::string(1, c);
  }
  return text;
}

std::vector<sql::Span> spans(std::span<const sql::Literal> literals) {
  std::vector<sql::Span> all;
  for (const sql::Literal& literal : literals) all.push_back(literal.span);
  return all;
}

/// PostgreSQL 15 has no vertical tab among its blanks, and numbers of 16 are junk to it. Texts with
/// them are compared no further.
bool newer_than_15(const std::string& text) {
  return text.find('\v') != std::string::npos;
}

/// libpg_query's scanner makes tokens of comments, so a string does not go on after one, as it does
/// in PostgreSQL.
bool goes_on_after_comment(const std::string& text, const std::vector<test::Token>& tokens) {
  for (std::size_t i = 1; i < tokens.size(); ++i) {
    const test::Token& last = tokens[i - 1];
    if (last.kind != test::Token::Kind::literal || last.number) continue;
    const Bytes gap = Bytes(text).substr(last.end, tokens[i].begin - last.end);
    if (text[tokens[i].begin] == '\'' && gap.find("--") != Bytes::npos) return true;
  }
  return false;
}

/// False when the scanner refuses the text.
bool compare(const std::string& text) {
  const auto tokens = test::tokens_of(text);
  sql::Shape shape;
  sql::lex(text, sql::StandardStrings::on, kSeed, shape);
  if (!tokens.has_value()) return false;
  if (shape.fault() == sql::ShapeFault::too_large) return false;
  if (goes_on_after_comment(text, *tokens)) return false;
  // What the scanner passes on as a character of its own, and no grammar takes.
  for (const test::Token& token : *tokens) {
    if (token.key.size() == 1 &&
        Bytes("()[],;:.+-*/%^<>=~!@#&|`?_").find(token.key[0]) == Bytes::npos &&
        token.kind == test::Token::Kind::op) {
      EXPECT_EQ(shape.fault(), sql::ShapeFault::malformed) << text;
      return true;
    }
  }
  EXPECT_NE(shape.fault(), sql::ShapeFault::malformed) << text;
  const test::ShapeReference expected = test::ReferenceMaker(text, *tokens).make();
  EXPECT_EQ(visible(shape.key()), visible(expected.key)) << text;
  EXPECT_EQ(spans(shape.literals()), expected.literals) << text;
  EXPECT_EQ(std::vector(shape.parts().begin(), shape.parts().end()), expected.parts) << text;
  return true;
}

TEST(LexerReference, Corpus) {
  std::size_t compared = 0;
  for (const test::Expected& expected : test::corpus()) {
    if (compare(expected.statement)) ++compared;
    if (testing::Test::HasFailure()) FAIL() << "line " << expected.line;
  }
  EXPECT_GT(compared, 400U);
}

TEST(LexerReference, FilesOfThisMachine) {
  std::size_t compared = 0;
  for (const std::string& file : test::sql_files()) {
    for (const std::string& piece : test::pieces(file, sql::kTextMax)) {
      if (compare(piece)) ++compared;
      if (testing::Test::HasFailure()) return;
    }
  }
  if (compared == 0) GTEST_SKIP() << "no SQL files here";
  std::cout << compared << " texts compared\n";
}

TEST(LexerReference, BitsInAnyOrder) {
  std::mt19937_64 random(15);
  const auto& bits = test::nasty_bits();
  std::size_t compared = 0;
  for (int round = 0; round < 60000; ++round) {
    std::string text;
    for (std::size_t count = 1 + random() % 9; count > 0; --count) {
      text += bits[random() % bits.size()];
    }
    if (!newer_than_15(text) && compare(text)) ++compared;
    if (testing::Test::HasFailure()) return;
  }
  EXPECT_GT(compared, 5000U);
  std::cout << compared << " texts compared\n";
}

TEST(LexerReference, CorpusWithBitsInIt) {
  std::mt19937_64 random(16);
  const auto corpus = test::corpus();
  const auto& bits = test::nasty_bits();
  std::size_t compared = 0;
  for (int round = 0; round < 40000; ++round) {
    std::string text = corpus[random() % corpus.size()].statement;
    for (std::size_t count = 1 + random() % 3; count > 0; --count) {
      text.insert(random() % (text.size() + 1), bits[random() % bits.size()]);
    }
    if (compare(text)) ++compared;
    if (testing::Test::HasFailure()) return;
  }
  EXPECT_GT(compared, 10000U);
  std::cout << compared << " texts compared\n";
}

}  // namespace
}  // namespace forebay
