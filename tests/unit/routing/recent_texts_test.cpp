#include "forebay/routing/sql/recent_texts.hpp"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "unit/routing/corpus.hpp"
#include "unit/routing/print_facts.hpp"

namespace forebay {
namespace {

using sql::StandardStrings;

constexpr sql::HashSeed kSeed{9, 10};
constexpr std::size_t kBytes = 256 * 1024;

class RecentTexts : public ::testing::Test {
 protected:
  std::string read(Bytes text, StandardStrings standard = StandardStrings::on) {
    return test::print(texts.facts(text, standard));
  }
  std::uint64_t hits() const { return texts.hits().value(); }

  sql::FactsCache cache{kBytes, kSeed};
  sql::RecentTexts texts{cache};
};

TEST_F(RecentTexts, a_text_that_came_twice_is_known_without_lexing) {
  const std::string first = read("select a from t where b = $1");
  const std::string key(texts.shape().key());
  EXPECT_EQ(read("select a from t where b = $1"), first);
  EXPECT_EQ(hits(), 0U);
  for (std::uint64_t count = 1; count <= 3; ++count) {
    EXPECT_EQ(read("select a from t where b = $1"), first);
    EXPECT_EQ(hits(), count);
    EXPECT_EQ(texts.shape().key(), key);
  }
  EXPECT_EQ(cache.counters().misses.value(), 1U);
  EXPECT_EQ(cache.counters().hits.value(), 4U) << "what is found in front counts, too";
}

TEST_F(RecentTexts, each_text_has_its_own_literals) {
  for (int i = 0; i < 3; ++i) read("select 1");
  read("select  22");
  ASSERT_EQ(texts.shape().literals().size(), 1U);
  EXPECT_EQ(texts.shape().literals()[0].span.of("select  22"), "22");
  read("select 1");
  EXPECT_EQ(texts.shape().literals()[0].span.of("select 1"), "1");
}

TEST_F(RecentTexts, how_strings_are_read_is_part_of_it) {
  const Bytes text = R"(select 'a\' , 'b')";
  for (int i = 0; i < 3; ++i) read(text, StandardStrings::on);
  EXPECT_EQ(texts.shape().literals().size(), 2U);
  for (int i = 0; i < 3; ++i) {
    read(text, StandardStrings::off);
    EXPECT_NE(texts.shape().fault(), sql::ShapeFault::none) << "the second string does not end";
  }
}

TEST_F(RecentTexts, nothing_is_left_of_what_the_cache_forgot) {
  for (int i = 0; i < 3; ++i) read("select 1");
  EXPECT_EQ(hits(), 1U);
  cache.clear();
  read("select 1");
  EXPECT_EQ(hits(), 1U);
  EXPECT_EQ(cache.counters().misses.value(), 2U);
}

TEST_F(RecentTexts, long_texts_and_nonsense_are_for_the_cache) {
  const std::string large = "select '" + std::string(sql::RecentTexts::kTextMax, 'x') + "'";
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(read(large), read("select ''"));
    EXPECT_FALSE(texts.facts("SELEC 1", StandardStrings::on).known);
  }
  EXPECT_EQ(hits(), 1U) << "the empty string's";
}

TEST_F(RecentTexts, texts_that_do_not_come_again_displace_nothing) {
  for (int i = 0; i < 3; ++i) read("select a from t");
  for (std::size_t i = 0; i < 50 * sql::RecentTexts::kPlaces; ++i) {
    read("select " + std::to_string(i));
  }
  const std::uint64_t before = hits();
  read("select a from t");
  EXPECT_EQ(hits(), before + 1);
}

/// Whatever came before, it says what the cache says.
TEST_F(RecentTexts, says_what_the_cache_says) {
  sql::FactsCache plain(kBytes, kSeed);
  sql::Shape shape;
  std::mt19937 random(7);
  std::vector<std::string> all;
  for (const auto& entry : test::corpus()) all.push_back(entry.statement);
  ASSERT_GT(all.size(), 100U);
  for (int i = 0; i < 40000; ++i) {
    const std::string& text = all[(random() % 4 == 0 ? random() : random() % 90) % all.size()];
    const auto standard = random() % 8 == 0 ? StandardStrings::off : StandardStrings::on;
    const std::string expected = test::print(plain.facts(text, standard, shape));
    ASSERT_EQ(read(text, standard), expected) << text;
    ASSERT_EQ(texts.shape().key(), shape.key()) << text;
    ASSERT_EQ(texts.shape().hash(), shape.hash()) << text;
    ASSERT_EQ(texts.shape().parts().size(), shape.parts().size()) << text;
    ASSERT_EQ(texts.shape().literals().size(), shape.literals().size()) << text;
    if (random() % 5000 == 0) {
      cache.clear();
      plain.clear();
    }
  }
  EXPECT_GT(hits(), 1000U);
}

}  // namespace
}  // namespace forebay
