#include "core/statistics/audit_trail.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace forebay::core {
namespace {

audit::Events events(const config::AuditSettings& settings, Bytes text) {
  sql::Shape shape;
  sql::lex(text, sql::StandardStrings::on, {1, 2}, shape);
  return audit::events_of(*sql::understand(text, sql::StandardStrings::on, shape), settings);
}

constexpr audit::Events kDdl = audit::bit(audit::Event::ddl);
constexpr audit::Events kRole = audit::bit(audit::Event::role);
constexpr audit::Events kTable = audit::bit(audit::Event::table);
constexpr audit::Events kUnknown = audit::bit(audit::Event::unknown);

TEST(AuditEvents, ddl_and_roles) {
  const config::AuditSettings settings;
  EXPECT_EQ(events(settings, "create table t (a int)"), kDdl);
  EXPECT_EQ(events(settings, "select 1; drop table t"), kDdl);
  EXPECT_EQ(events(settings, "truncate t"), kDdl);
  EXPECT_EQ(events(settings, "do $$ begin end $$"), kDdl);
  EXPECT_EQ(events(settings, "select a into t from u"), kDdl);
  EXPECT_EQ(events(settings, "copy t from program 'true'"), kDdl);
  EXPECT_EQ(events(settings, "create role r password 'x'"), kDdl | kRole);
  EXPECT_EQ(events(settings, "alter user r rename to s"), kDdl | kRole);
  EXPECT_EQ(events(settings, "alter table t rename to s"), kDdl);
  EXPECT_EQ(events(settings, "grant a to b"), kDdl | kRole);
  EXPECT_EQ(events(settings, "set role x"), kRole);
  EXPECT_EQ(events(settings, "reset session authorization"), kRole);
  EXPECT_EQ(events(settings, "select set_config('role', 'x', false)"), kRole);
  for (const char* plain : {"select * from t", "update t set a = 1", "set search_path = x", "begin",
                            "explain select 1", ""}) {
    EXPECT_EQ(events(settings, plain), 0) << plain;
  }
}

TEST(AuditEvents, chosen_tables) {
  config::AuditSettings settings;
  settings.tables = {"pay", "app.cards"};
  for (const char* text :
       {"select * from pay", "select * from x.pay p", "delete from cards",
        "select * from app.cards", "insert into t select * from pay",
        "with q as (select * from pay) select 1", "select (select a from pay)",
        "copy (select * from pay) to stdout", "declare c cursor for select * from pay",
        "prepare p as select * from pay", "explain analyze select * from pay", "lock pay"}) {
    EXPECT_EQ(events(settings, text), kTable) << text;
  }
  EXPECT_EQ(events(settings, "drop table pay"), kDdl | kTable);
  for (const char* text : {"select * from \"PAY\"", "select * from other.cards", "select pay",
                           "explain select * from pay"}) {
    EXPECT_EQ(events(settings, text), 0) << text;
  }
  settings.tables = {"*"};
  EXPECT_EQ(events(settings, "select * from anything"), kTable);
  EXPECT_EQ(events(settings, "select 1"), 0);
}

TEST(AuditEvents, what_is_not_understood_may_be_anything) {
  config::AuditSettings settings;
  EXPECT_EQ(events(settings, "no sql at all"), kUnknown);
  EXPECT_EQ(events(settings, "execute p"), kUnknown) << "it was named elsewhere";
  EXPECT_EQ(events(settings, "explain analyze execute p"), kUnknown);
  settings.ddl = false;
  EXPECT_EQ(events(settings, "no sql at all"), kUnknown);
  EXPECT_EQ(events(settings, "create table t (a int)"), 0);
  settings.roles = false;
  EXPECT_EQ(events(settings, "no sql at all"), 0);
  EXPECT_EQ(events(settings, "create role r"), 0);
}

TEST(AuditTrail, facts_remember_until_the_settings_change) {
  AuditTrail trail;
  trail.follow({});
  EXPECT_FALSE(trail.active());
  EXPECT_EQ(trail.unknown(), nullptr);
  config::AuditSettings settings;
  settings.file = "x";
  trail.follow(settings);
  EXPECT_TRUE(trail.active());
  EXPECT_EQ(trail.unknown()->audited, kUnknown);
  sql::Facts facts;
  facts.known = true;
  EXPECT_EQ(trail.events_of(facts), 0);
  facts.known = false;
  EXPECT_EQ(trail.events_of(facts), 0) << "it is looked at once";
  trail.follow(settings);
  EXPECT_EQ(trail.events_of(facts), 0);
  settings.tables = {"t"};
  trail.follow(settings);
  EXPECT_EQ(trail.events_of(facts), kUnknown);
}

TEST(AuditTrail, what_comes_too_fast_is_counted) {
  AuditTrail trail;
  for (std::size_t i = 0; i < AuditTrail::kUnwrittenMax + 7; ++i) trail.add({.events = kDdl});
  std::vector<AuditRecord> records;
  EXPECT_EQ(trail.take(records), 7u);
  EXPECT_EQ(records.size(), AuditTrail::kUnwrittenMax);
  EXPECT_EQ(trail.take(records), 0u);
  EXPECT_EQ(records.size(), AuditTrail::kUnwrittenMax);
}

}  // namespace
}  // namespace forebay::core
