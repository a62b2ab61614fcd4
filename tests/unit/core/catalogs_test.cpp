#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <thread>
#include <vector>

#include "core/relay/parameter_set.hpp"
#include "core/relay/prepared_statements.hpp"
#include "core/relay/statement_catalog.hpp"
#include "core/relay/tenant_tables.hpp"

// What all workers share about statements and settings.
namespace forebay::core {
namespace {

// ---------------------------------------------------------------- tables

TEST(TenantTables, another_one_at_the_same_address_is_not_taken_for_the_first) {
  const auto base = std::make_shared<const tenant::Policy>(tenant::Policy{.column = "t"});
  TenantPolicies policies;
  const auto known = [](std::string name) {
    return std::make_shared<const tenant::CatalogTables>(
        "t",
        std::vector<tenant::CatalogTables::Relation>{{.name = std::move(name), .schema = "s"}});
  };
  std::optional<TenantTables> tables(std::in_place);
  tables->publish(known("a"), 1);
  const auto first = policies.of(base, *tables, 1)->catalog;
  tables.emplace();
  const auto second = known("b");
  tables->publish(second, 1);
  EXPECT_EQ(policies.of(base, *tables, 1)->catalog, second);
  EXPECT_NE(first, second);
}

// ---------------------------------------------------------------- statements

TEST(StatementCatalog, the_same_definition_is_the_same_statement) {
  StatementCatalog catalog;
  const StatementRef a = catalog.find_or_make(Bytes("select 1\0\0\0", 11));
  const StatementRef b = catalog.find_or_make(Bytes("select 1\0\0\0", 11));
  const StatementRef c = catalog.find_or_make(Bytes("select 1\0\0\1", 11));
  EXPECT_EQ(a.get(), b.get());
  EXPECT_NE(a.get(), c.get());
  EXPECT_NE(a->server_name(), c->server_name());
  EXPECT_TRUE(a->server_name().starts_with("_forebay_"));
  EXPECT_EQ(catalog.size(), 2u);
}

TEST(StatementCatalog, forgets_a_statement_with_its_last_reference) {
  StatementCatalog catalog;
  StatementRef a = catalog.find_or_make("x");
  const std::string name = a->server_name();
  StatementRef b = a;
  a = {};
  EXPECT_EQ(catalog.size(), 1u);
  EXPECT_TRUE(catalog.find("x"));
  b = StatementRef();
  EXPECT_EQ(catalog.size(), 0u);
  EXPECT_FALSE(catalog.find("x"));
  EXPECT_NE(catalog.find_or_make("x")->server_name(), name);
}

TEST(StatementCatalog, a_statement_that_is_not_kept_is_nobody_elses) {
  StatementCatalog catalog;
  const StatementRef a = catalog.make_unkept();
  const StatementRef b = catalog.make_unkept();
  EXPECT_NE(a.get(), b.get());
  EXPECT_TRUE(a->unkept());
  EXPECT_EQ(catalog.size(), 0u);
}

TEST(StatementCatalog, threads_may_make_and_drop_the_same_statements) {
  StatementCatalog catalog;
  std::atomic<bool> wrong{false};
  std::vector<std::thread> threads;
  for (std::uint64_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      std::mt19937_64 random(t);
      std::vector<StatementRef> held(8);
      for (int i = 0; i < 20'000; ++i) {
        const std::string text = "select " + std::to_string(random() % 10);
        StatementRef& slot = held[random() % held.size()];
        switch (random() % 4) {
          case 0:
            slot = catalog.find_or_make(text);
            break;
          case 1:
            slot = catalog.find(text);
            break;
          case 2:
            slot = held[random() % held.size()];
            break;
          default:
            slot = {};
            break;
        }
        if (slot && catalog.find_or_make(slot->definition()).get() != slot.get()) wrong = true;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_FALSE(wrong);
  EXPECT_EQ(catalog.size(), 0u);
}

// ---------------------------------------------------------------- names of clients, statements of
// links

TEST(ClientStatements, only_what_counts_of_a_name_counts) {
  StatementCatalog catalog;
  ClientStatements statements;
  const std::string name(63, 'n');
  statements.set(name + "x", {catalog.find_or_make("a"), true});
  ASSERT_NE(statements.find(name), nullptr);
  EXPECT_TRUE(statements.find(name + "y")->pending);
  statements.confirm(name + "z");
  EXPECT_FALSE(statements.find(name)->pending);
  EXPECT_EQ(statements.find(name.substr(1)), nullptr);
  EXPECT_EQ(statements.name_of(statements.find(name)->statement->server_name()), name);
  EXPECT_EQ(statements.name_of("_forebay_99"), "");
  EXPECT_TRUE(statements.take(name + "x").statement);
  EXPECT_FALSE(statements.take(name).statement);
}

TEST(ClientStatements, deallocate_all_leaves_what_was_sent_after_it) {
  StatementCatalog catalog;
  ClientStatements statements;
  statements.set("old", {catalog.find_or_make("a"), false});
  statements.set("new", {catalog.find_or_make("b"), true});
  statements.deallocate_all();
  EXPECT_EQ(statements.find("old"), nullptr);
  EXPECT_NE(statements.find("new"), nullptr);
}

TEST(ClientStatements, what_was_found_last_is_not_found_when_it_is_gone) {
  StatementCatalog catalog;
  ClientStatements statements;
  const StatementRef first = catalog.find_or_make("x");
  const StatementRef second = catalog.find_or_make("y");
  statements.set("s", {.statement = first, .pending = false});
  ASSERT_NE(statements.find("s"), nullptr);
  EXPECT_EQ(statements.find("t"), nullptr);
  statements.take("s");
  EXPECT_EQ(statements.find("s"), nullptr);
  statements.set("s", {.statement = second, .pending = false});
  ASSERT_NE(statements.find("s"), nullptr);
  EXPECT_EQ(statements.find("s")->statement, second);
  statements.deallocate_all();
  EXPECT_EQ(statements.find("s"), nullptr);
}

TEST(ClientStatements, know_whether_they_hold_one_that_is_not_kept) {
  StatementCatalog catalog;
  ClientStatements statements;
  statements.set("a", {catalog.find_or_make("a"), false});
  EXPECT_FALSE(statements.hold_unkept());
  statements.set("b", {catalog.make_unkept(), false});
  EXPECT_TRUE(statements.hold_unkept());
  statements.take("b");
  EXPECT_FALSE(statements.hold_unkept());
}

TEST(LinkStatements, evict_the_one_used_longest_ago) {
  StatementCatalog catalog;
  LinkStatements statements;
  const StatementRef a = catalog.find_or_make("a");
  const StatementRef b = catalog.find_or_make("b");
  const StatementRef c = catalog.find_or_make("c");
  for (const StatementRef& statement : {a, b, c}) {
    statements.add(statement, 0, 0);
    statements.confirm(statement);
  }
  EXPECT_TRUE(statements.use(a));
  EXPECT_EQ(statements.evict(1), b);
  EXPECT_FALSE(statements.use(b));
  EXPECT_EQ(statements.size(), 2u);
  EXPECT_EQ(statements.evict(1), c);
  EXPECT_EQ(statements.evict(1), a);
  EXPECT_FALSE(statements.evict(1));
}

TEST(LinkStatements, do_not_evict_what_could_not_come_back_or_is_undecided) {
  StatementCatalog catalog;
  LinkStatements statements;
  statements.add(catalog.make_unkept(), 0, 0);
  statements.add(catalog.find_or_make("a"), 5, 0);
  EXPECT_FALSE(statements.evict(6));
  EXPECT_TRUE(statements.evict(5));
}

TEST(LinkStatements, are_undecided_for_later_batches_until_answered) {
  StatementCatalog catalog;
  LinkStatements statements;
  const StatementRef a = catalog.find_or_make("a");
  statements.add(a, 3, 0);
  EXPECT_FALSE(statements.undecided(a, 3));
  EXPECT_TRUE(statements.undecided(a, 4));
  statements.confirm(a);
  EXPECT_FALSE(statements.undecided(a, 4));
  statements.evict(5);
  EXPECT_FALSE(statements.undecided(a, 5));
  EXPECT_TRUE(statements.undecided(a, 6));
  statements.evicted(a, true);
  EXPECT_FALSE(statements.undecided(a, 6));
  EXPECT_FALSE(statements.use(a));
}

TEST(LinkStatements, an_eviction_that_did_not_happen_brings_it_back) {
  StatementCatalog catalog;
  LinkStatements statements;
  const StatementRef a = catalog.find_or_make("a");
  statements.add(a, 1, 0);
  statements.confirm(a);
  statements.evict(2);
  statements.evicted(a, false);
  EXPECT_TRUE(statements.use(a));
  EXPECT_FALSE(statements.undecided(a, 9));
}

// ---------------------------------------------------------------- settings

TEST(ParameterSets, equal_sets_are_the_same_object) {
  ParameterSets sets;
  const auto a = sets.make({{"TimeZone", "UTC"}, {"application_name", "x"}});
  const auto b = sets.make({{"application_name", "x"}, {"timezone", "UTC"}});
  EXPECT_EQ(a, b);
  EXPECT_EQ(sets.make({}), sets.empty());
  EXPECT_EQ(a->entries().size(), 2u);
  EXPECT_EQ(*a->find("timezone"), "UTC");
  EXPECT_EQ(a->find("TimeZone"), nullptr);
}

TEST(ParameterSets, the_last_word_wins) {
  ParameterSets sets;
  EXPECT_EQ(sets.make({{"a", "1"}, {"A", "2"}}), sets.make({{"a", "2"}}));
  EXPECT_EQ(*sets.with(*sets.make({{"a", "1"}}), "A", "3")->find("a"), "3");
}

TEST(ParameterSets, live_as_long_as_somebody_refers_to_them) {
  ParameterSets sets;
  auto a = sets.make({{"a", "1"}});
  auto b = sets.with(*a, "b", "2");
  EXPECT_EQ(sets.size(), 2u);
  a.reset();
  EXPECT_EQ(sets.size(), 1u);
  b.reset();
  EXPECT_EQ(sets.size(), 0u);
}

TEST(ParameterSets, threads_may_make_and_drop_the_same_sets) {
  ParameterSets sets;
  std::atomic<bool> wrong{false};
  std::vector<std::thread> threads;
  for (std::uint64_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      std::mt19937_64 random(t);
      ParameterSetRef held = sets.empty();
      for (int i = 0; i < 20'000; ++i) {
        const std::string value = std::to_string(random() % 3);
        const auto made = sets.make({{"a", value}});
        const auto again = sets.make({{"a", value}});
        if (made != again || *made->find("a") != value) wrong = true;
        held = random() % 5 == 0 ? sets.empty() : sets.with(*held, "b", value);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_FALSE(wrong);
  EXPECT_EQ(sets.size(), 0u);
}

using Model = std::map<std::string, std::string>;

void carry_out(Model& model, const std::vector<ParameterChange>& changes) {
  for (const ParameterChange& change : changes) {
    if (change.value) {
      model[std::string(change.name)] = *change.value;
    } else {
      model.erase(std::string(change.name));
    }
  }
}

TEST(ParameterSets, the_difference_makes_one_set_of_another) {
  ParameterSets sets;
  std::mt19937_64 random(7);
  const auto any = [&] {
    std::vector<ParameterSet::Entry> entries;
    for (std::size_t i = random() % 6; i > 0; --i) {
      entries.emplace_back(std::string(1, static_cast<char>('a' + random() % 6)),
                           std::to_string(random() % 3));
    }
    return sets.make(std::move(entries));
  };
  for (int i = 0; i < 3000; ++i) {
    const auto has = any();
    const auto wanted = any();
    const Model target(wanted->entries().begin(), wanted->entries().end());
    Model model(has->entries().begin(), has->entries().end());
    const auto changes = difference(*has, *wanted);
    // Nothing is done twice, and nothing that need not be done.
    std::set<std::string_view> names;
    for (const auto& change : changes) {
      EXPECT_TRUE(names.insert(change.name).second);
      const auto had = model.find(std::string(change.name));
      EXPECT_FALSE(change.value && had != model.end() && had->second == *change.value);
    }
    carry_out(model, changes);
    ASSERT_EQ(model, target);
    EXPECT_EQ(changes.empty(), has == wanted);
    // Where it is not known what is left of `has`, the result is the same whatever is left.
    Model partly(has->entries().begin(), has->entries().end());
    std::erase_if(partly, [&](const auto&) { return random() % 2 == 0; });
    carry_out(partly, all_changes(*has, *wanted));
    ASSERT_EQ(partly, target);
  }
}

}  // namespace
}  // namespace forebay::core
