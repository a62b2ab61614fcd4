#include "forebay/routing/sql/facts_cache.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <thread>

#include "unit/routing/corpus.hpp"
#include "unit/routing/print_facts.hpp"

namespace forebay {
namespace {

using sql::StandardStrings;

constexpr sql::HashSeed kSeed{9, 10};
constexpr std::size_t kBytes = 256 * 1024;

TEST(FactsCache, SecondTextOfAShapeIsAHit) {
  sql::FactsCache cache(kBytes, kSeed);
  sql::Shape shape;
  const sql::Facts* first = &cache.facts("SELECT a FROM t WHERE b = 1", StandardStrings::on, shape);
  EXPECT_EQ(cache.counters().misses.value(), 1U);
  const sql::Facts* second =
      &cache.facts("select A  from T where B=77", StandardStrings::on, shape);
  EXPECT_EQ(second, first);
  EXPECT_EQ(cache.counters().hits.value(), 1U);
  EXPECT_EQ(cache.counters().misses.value(), 1U);
  EXPECT_EQ(cache.size(), 1U);
  EXPECT_EQ(test::print(*second), "select PLAIN no-write tables=r:t");
}

TEST(FactsCache, NonsenseInAShapeDoesNotSpoilIt) {
  sql::FactsCache cache(kBytes, kSeed);
  sql::Shape shape;
  const Bytes bad = "FETCH 1.5 FROM c";
  const Bytes good = "FETCH 3 FROM c";
  EXPECT_FALSE(cache.facts(bad, StandardStrings::on, shape).known);
  const std::string key(shape.key());
  EXPECT_TRUE(cache.facts(good, StandardStrings::on, shape).known);
  ASSERT_EQ(shape.key(), key) << "the test needs two texts of one shape";
  EXPECT_EQ(cache.counters().rejected.value(), 1U);
}

TEST(FactsCache, RejectedTextsAreRemembered) {
  sql::FactsCache cache(kBytes, kSeed);
  sql::Shape shape;
  EXPECT_FALSE(cache.facts("SELEC 1", StandardStrings::on, shape).known);
  EXPECT_FALSE(cache.facts("SELEC 1", StandardStrings::on, shape).known);
  EXPECT_EQ(cache.counters().misses.value(), 1U);
  EXPECT_EQ(cache.counters().hits.value(), 1U);
  EXPECT_FALSE(cache.facts("SELEC 2", StandardStrings::on, shape).known);
  EXPECT_EQ(cache.counters().misses.value(), 2U);
  // Whatever their size, they take little.
  const std::size_t before = cache.bytes();
  const std::string large = "SELECT 1 a " + std::string(30000, 'x');
  EXPECT_EQ(cache.facts(large, StandardStrings::on, shape).reason.size(), 200U);
  EXPECT_EQ(cache.size(), 3U);
  EXPECT_LT(cache.bytes(), before + 1024);
}

TEST(FactsCache, WhatIsNotLexedIsRefused) {
  sql::FactsCache cache(kBytes, kSeed);
  sql::Shape shape;
  EXPECT_FALSE(cache.facts("SELECT '", StandardStrings::on, shape).known);
  EXPECT_FALSE(cache.facts(std::string(sql::kTextMax + 1, ' '), StandardStrings::on, shape).known);
  EXPECT_EQ(shape.fault(), sql::ShapeFault::too_large);
  EXPECT_EQ(cache.counters().refused.value(), 2U);
  EXPECT_EQ(cache.size(), 0U);
}

/// What is really allocated for entries is what is counted, within what allocators add.
TEST(FactsCache, StaysWithinItsBytes) {
  std::mt19937_64 random(3);
  const auto corpus = test::corpus();
  for (const std::size_t limit : {std::size_t{16} * 1024, kBytes}) {
    sql::FactsCache cache(limit, kSeed);
    sql::Shape shape;
    for (int round = 0; round < 20000; ++round) {
      std::string text = corpus[random() % corpus.size()].statement;
      text += " x" + std::to_string(random() % 5000);  // a shape of its own, or nonsense
      cache.facts(text, StandardStrings::on, shape);
      ASSERT_LE(cache.bytes(), limit);
      if (round % 64 == 0) {
        ASSERT_TRUE(cache.consistent());
      }
    }
    EXPECT_GT(cache.counters().evicted.value(), 1000U);
    EXPECT_GT(cache.bytes(), limit / 2) << "the room is used";
    EXPECT_GT(cache.size(), 10U);
    cache.clear();
    EXPECT_EQ(cache.size(), 0U);
    EXPECT_LT(cache.bytes(), 4096U);
  }
}

/// Against a plain table of all that was ever asked, so that a slot moved wrongly shows.
TEST(FactsCache, SaysTheSameAsWithoutIt) {
  std::mt19937_64 random(4);
  const auto corpus = test::corpus();
  sql::FactsCache cache(64 * 1024, kSeed);
  sql::Shape shape;
  for (int round = 0; round < 30000; ++round) {
    const test::Expected& expected = corpus[random() % corpus.size()];
    ASSERT_EQ(test::print(cache.facts(expected.statement, StandardStrings::on, shape)),
              expected.facts)
        << expected.statement;
  }
  EXPECT_GT(cache.counters().evicted.value(), 1000U);
  EXPECT_GT(cache.counters().hits.value(), 1000U);
}

TEST(FactsCache, WhatIsUsedStays) {
  sql::FactsCache cache(32 * 1024, kSeed);
  sql::Shape shape;
  cache.facts("SELECT used FROM t", StandardStrings::on, shape);
  for (int i = 0; i < 2000; ++i) {
    cache.facts("SELECT other_" + std::to_string(i), StandardStrings::on, shape);
    cache.facts("SELECT used FROM t", StandardStrings::on, shape);
  }
  EXPECT_GT(cache.counters().evicted.value(), 1000U);
  EXPECT_EQ(cache.counters().misses.value(), 2001U);
}

TEST(FactsCache, KeptFactsOutliveTheirEntry) {
  sql::FactsCache cache(16 * 1024, kSeed);
  sql::Shape shape;
  const sql::FactsPtr kept(&cache.facts("SELECT kept FROM t", StandardStrings::on, shape));
  for (int i = 0; i < 500; ++i) {
    cache.facts("SELECT other_" + std::to_string(i), StandardStrings::on, shape);
  }
  cache.clear();
  EXPECT_EQ(test::print(*kept), "select PLAIN no-write tables=r:t");
}

TEST(FactsCache, OneStatementDoesNotEmptyIt) {
  sql::FactsCache cache(16 * 1024, kSeed);
  sql::Shape shape;
  cache.facts("SELECT small", StandardStrings::on, shape);
  std::string large = "SELECT large";
  while (large.size() < 4096) large += ", a_long_name_of_a_column";
  EXPECT_TRUE(cache.facts(large, StandardStrings::on, shape).known);
  EXPECT_EQ(cache.size(), 1U);
  EXPECT_EQ(cache.counters().evicted.value(), 0U);
}

/// Who knew the seed could make keys of one hash: a block of 16 bytes that makes both halves forget
/// what came before. Nobody does, and the cache compares keys all the same.
TEST(FactsCache, KeysOfOneHashAreToldApart) {
  __extension__ using Wide = unsigned __int128;
  const auto fold = [](std::uint64_t a, std::uint64_t b) {
    const Wide product = static_cast<Wide>(a) * b;
    return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
  };
  std::mt19937_64 random(6);
  sql::HashSeed seed;
  std::string block(16, '\0');
  while (block.find_first_of(std::string("\0\"", 2)) != std::string::npos) {
    seed = {random(), random()};
    const std::uint64_t words[2] = {fold(seed.first ^ 0xaef17502108ef2d9, seed.second | 1),
                                    seed.second ^ 0xd1b54a32d192ed03};
    std::memcpy(block.data(), words, 16);
  }
  const std::string first = "select \"aaaaaaaa" + block + "\" from t";
  const std::string second = "select \"bbbbbbbb" + block + "\" from t";
  sql::FactsCache cache(kBytes, seed);
  sql::Shape shape;
  cache.facts(first, StandardStrings::on, shape);
  const sql::Hash128 hash = shape.hash();
  cache.facts(second, StandardStrings::on, shape);
  ASSERT_TRUE(shape.hash() == hash) << "the test needs two keys of one hash";
  EXPECT_EQ(cache.counters().hits.value(), 0U);
  EXPECT_EQ(cache.size(), 2U);
  cache.facts(first, StandardStrings::on, shape);
  cache.facts(second, StandardStrings::on, shape);
  EXPECT_EQ(cache.counters().hits.value(), 2U);
}

/// libpg_query keeps its memory for each thread. AddressSanitizer's leak check and
/// ThreadSanitizer watch.
TEST(FactsCache, EachThreadHasItsParser) {
  const auto corpus = test::corpus();
  const auto work = [&corpus](std::size_t from) {
    sql::FactsCache cache(8 * 1024, kSeed);
    sql::Shape shape;
    for (std::size_t i = 0; i < corpus.size(); ++i) {
      const test::Expected& expected = corpus[(from + i) % corpus.size()];
      const sql::Facts& facts = cache.facts(expected.statement, StandardStrings::on, shape);
      if (shape.fault() != sql::ShapeFault::none) continue;
      EXPECT_EQ(test::print(facts), expected.facts);
    }
  };
  for (int round = 0; round < 3; ++round) {
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < 8; ++i) threads.emplace_back(work, i * 37);
    for (std::thread& thread : threads) thread.join();
  }
}

}  // namespace
}  // namespace forebay
