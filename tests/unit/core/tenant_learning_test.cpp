#include "core/statistics/tenant_learning.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "forebay/routing/sql/facts_cache.hpp"

namespace forebay::core {
namespace {

using ::testing::ElementsAre;

class TenantLearningTest : public ::testing::Test {
 protected:
  /// Whether there was anything new in it.
  bool see(Bytes text, const std::string& tenant = "acme") {
    const std::uint64_t before = learnings_.changes();
    sql::Shape shape;
    lex(text, sql::StandardStrings::on, {1, 2}, shape);
    learnings_.find_or_make(tenant)->see(*sql::understand(text, sql::StandardStrings::on, shape),
                                         shape);
    return learnings_.changes() != before;
  }
  Learned learned(std::size_t i = 0) { return learnings_.all().at(i).second; }
  static std::uint64_t bit(sql::Kind kind) {
    return std::uint64_t{1} << static_cast<unsigned>(kind);
  }

  TenantLearnings learnings_;
};

TEST_F(TenantLearningTest, keeps_names_and_kinds) {
  EXPECT_TRUE(see("SELECT lower(note) FROM orders, app.items WHERE id = 1"));
  EXPECT_FALSE(see("select lower(note) from orders, app.items where id = 2")) << "the same shape";
  EXPECT_FALSE(see("SELECT * FROM orders"));
  EXPECT_TRUE(see("EXPLAIN WITH d AS (DELETE FROM notes RETURNING 1) SELECT pg_catalog.now()"));
  EXPECT_THAT(learned().tables, ElementsAre("app.items", "notes", "orders"));
  EXPECT_THAT(learned().functions, ElementsAre("lower", "pg_catalog.now"));
  EXPECT_EQ(learned().kinds & bit(sql::Kind::delete_from), bit(sql::Kind::delete_from));
  EXPECT_EQ(learned().kinds & bit(sql::Kind::update), 0U);
  EXPECT_FALSE(learned().unknown);
}

TEST_F(TenantLearningTest, says_what_it_does_not_know) {
  EXPECT_TRUE(see("SELECT 'x"));
  EXPECT_TRUE(learned().unknown);
  EXPECT_TRUE(see("SELECT * FROM \"a.b\""));
  EXPECT_TRUE(learned().unwritable);
  EXPECT_TRUE(see("SELECT * FROM \"\xC3\xA9\"")) << "UTF-8";
  for (const char* name : {"\xFF", "\xC0\x80", "\xED\xA0\x80", "\xE9", "\xF4\x90\x80\x80"}) {
    EXPECT_FALSE(see("SELECT * FROM \"" + std::string(name) + "\"")) << name;
  }
  EXPECT_THAT(learned().tables, ElementsAre("\xC3\xA9"));
  const std::uint64_t before = learnings_.changes();
  learnings_.find_or_make("bolt")->see_unknown();
  EXPECT_NE(learnings_.changes(), before);
}

TEST_F(TenantLearningTest, tells_tenants_apart) {
  see("SELECT * FROM orders", "acme");
  EXPECT_TRUE(see("SELECT * FROM orders", "bolt"));
  EXPECT_THAT(learned(1).tables, ElementsAre("orders"));
}

TEST_F(TenantLearningTest, is_bounded) {
  for (std::size_t i = 0; i <= TenantLearning::kNamesMax; ++i) {
    see("SELECT * FROM t" + std::to_string(i));
  }
  EXPECT_EQ(learned().tables.size(), TenantLearning::kNamesMax);
  EXPECT_TRUE(learned().full);
}

}  // namespace
}  // namespace forebay::core
