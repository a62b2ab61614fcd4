#include "forebay/routing/split/access.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <string>

namespace forebay {
namespace {

using split::Access;
using split::FunctionVolatility;

constexpr sql::HashSeed kSeed{3, 4};

sql::FactsPtr facts_of(Bytes text) {
  sql::Shape shape;
  sql::lex(text, sql::StandardStrings::on, kSeed, shape);
  return sql::understand(text, sql::StandardStrings::on, shape);
}

char letter(Access access) {
  return "PRBOS"[static_cast<std::size_t>(access)];
}

TEST(Access, OfTheCorpus) {
  std::ifstream file(FOREBAY_ACCESS_CORPUS);
  std::size_t count = 0;
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line.front() == '#') continue;
    const std::string text = line.size() > 2 ? line.substr(2) : std::string();
    EXPECT_EQ(letter(access_of(*facts_of(text), FunctionVolatility::built_in())), line.front())
        << text;
    ++count;
  }
  EXPECT_GT(count, 330U);
}

TEST(Access, FunctionsCountByWhatTheDatabaseSays) {
  const FunctionVolatility functions({{"app", "calm", false},
                                      {"app", "wild", true},
                                      {"app", "both", false},
                                      {"other", "both", true},
                                      {"app", "forms", false},
                                      {"app", "forms", true},
                                      {"pg_catalog", "txid_current", false},
                                      {"pg_catalog", "lower", false},
                                      {"app", "lower", true}});
  const auto judged = [&](Bytes text) { return access_of(*facts_of(text), functions); };
  EXPECT_EQ(judged("SELECT calm(1)"), Access::read);
  EXPECT_EQ(judged("SELECT app.calm(1)"), Access::read);
  EXPECT_EQ(judged("SELECT other.calm(1)"), Access::write);
  EXPECT_EQ(judged("SELECT wild(1)"), Access::write);
  EXPECT_EQ(judged("SELECT both(1)"), Access::write);
  EXPECT_EQ(judged("SELECT app.both(1)"), Access::read);
  EXPECT_EQ(judged("SELECT forms(1)"), Access::write);
  EXPECT_EQ(judged("SELECT app.forms(1)"), Access::write);
  EXPECT_EQ(judged("SELECT lower('a')"), Access::write) << "app.lower may be meant";
  EXPECT_EQ(judged("SELECT pg_catalog.lower('a')"), Access::read);
  EXPECT_EQ(judged("SELECT txid_current()"), Access::write) << "no standby has one";
  EXPECT_EQ(judged("SELECT upper('a')"), Access::write) << "the database does not have it";
}

TEST(Access, IsJudgedAnewByOtherFunctions) {
  const FunctionVolatility before({{"app", "f", true}});
  const FunctionVolatility after({{"app", "f", false}});
  const sql::FactsPtr facts = facts_of("SELECT f(1)");
  EXPECT_EQ(access_of(*facts, before), Access::write);
  EXPECT_EQ(access_of(*facts, after), Access::read);
  EXPECT_EQ(access_of(*facts, before), Access::write);
  EXPECT_NE(before.serial(), after.serial());
}

}  // namespace
}  // namespace forebay
