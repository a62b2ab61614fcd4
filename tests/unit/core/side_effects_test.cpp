#include "core/relay/side_effects.hpp"

#include <gtest/gtest.h>

#include <chrono>

#include "core/relay/session_work.hpp"
#include "core/server/effects_question.hpp"
#include "forebay/protocol/postgres/writer.hpp"
#include "forebay/routing/sql/facts_cache.hpp"

namespace forebay::core {
namespace {

using Of = SideEffect::Of;
using Kind = SessionStep::Kind;
using std::chrono::milliseconds;
using std::chrono::seconds;

class SideEffectsTest : public ::testing::Test {
 protected:
  /// What the text does, as "hold setting", "look", "define f 2": each step.
  std::string work(std::string_view text, const SideEffectNames& names) {
    sql::Shape shape;
    const sql::Facts& facts = cache_.facts(text, sql::StandardStrings::on, shape);
    const SessionWorkRef work = session_work(facts, shape, text, {&names, kPool});
    return work == nullptr ? "" : steps(*work);
  }
  static std::string steps(const SessionWork& work) {
    std::string all;
    for (const SessionStep& step : work.steps) {
      if (!all.empty()) all += ", ";
      if (step.kind == Kind::hold) {
        all += step.reason == PinReason::setting ? "hold setting" : "hold unknown";
      } else if (step.kind == Kind::look) {
        all += "look";
      } else if (step.kind == Kind::notify) {
        all += "notify";
      } else if (step.kind == Kind::define) {
        all += "define " + step.effect->name + " " + std::to_string(step.effect->effects);
      } else if (step.kind == Kind::prepare) {
        all += "prepare (" + (step.inner == nullptr ? "" : steps(*step.inner)) + ")";
      } else {
        all += "other";
      }
    }
    return all;
  }

  static constexpr std::uint64_t kPool = 7;
  sql::FactsCache cache_{1 << 20, {1, 2}};
  SideEffectNames names_{{{Of::function, kMaySet, "app", "sets"},
                          {Of::function, kMayLeave, "app", "locks"},
                          {Of::function, kMayStay | kMayNotify, "app", "seeds"},
                          {Of::use, kMayLeave, "app", "seen"},
                          {Of::write, kMaySet, "app", "fired"}}};
};

TEST_F(SideEffectsTest, what_is_called_or_used_does_what_its_code_does) {
  EXPECT_EQ(work("select 1", names_), "");
  EXPECT_EQ(work("select sets()", names_), "hold setting");
  EXPECT_EQ(work("select app.sets()", names_), "hold setting");
  EXPECT_EQ(work("select other.sets()", names_), "");
  EXPECT_EQ(work("select \"Sets\"()", names_), "");
  EXPECT_EQ(work("select a from b where c = (select locks())", names_), "look");
  EXPECT_EQ(work("select seeds()", names_), "hold unknown, notify");
  EXPECT_EQ(work("select * from seen", names_), "look");
  EXPECT_EQ(work("select * from fired", names_), "");
  EXPECT_EQ(work("with x as (delete from fired returning a) select * from x", names_),
            "hold setting");
  EXPECT_EQ(work("copy fired from stdin", names_), "hold setting");
  EXPECT_EQ(work("explain select sets()", names_), "");
  EXPECT_EQ(work("explain analyze select sets()", names_), "hold setting");
  EXPECT_EQ(work("prepare p as select sets()", names_), "prepare (hold setting)");
  EXPECT_EQ(work("do $$ begin perform sets(); end $$", names_), "look, hold setting");
}

// What was found of a shape is found anew when something else is known.
TEST_F(SideEffectsTest, later_names_count_for_known_texts) {
  const SideEffectNames none({});
  EXPECT_EQ(work("select sets()", none), "");
  EXPECT_EQ(work("select sets()", names_), "hold setting");
  EXPECT_EQ(work("select sets()", none), "");
}

TEST_F(SideEffectsTest, what_a_text_defines_counts_behind_it) {
  const SideEffectNames none({});
  EXPECT_EQ(
      work("create function f() returns void language sql as 'set a.b = 1'; select f()", none),
      "define f 2, hold setting");
  EXPECT_EQ(work("create or replace function f() returns int language sql as 'select 1'", none),
            "");
  EXPECT_EQ(work("create function g() returns void language sql as 'select sets()'", names_),
            "define g 2");
  EXPECT_EQ(
      work("create trigger t before insert on u for each row execute function locks()", names_),
      "define u 1");
  EXPECT_EQ(work("create trigger t before insert on u for each row execute function f()", names_),
            "");
  EXPECT_EQ(work("create view v as select locks()", names_), "define v 1, define v 1");
  EXPECT_EQ(work("create or replace view v as select pg_advisory_lock(1)", none),
            "hold unknown, define v 1, define v 1");
  EXPECT_EQ(work("create index on u (sets)", names_), "");
  EXPECT_EQ(work("create table u (a text default sets())", names_), "define u 2");
  EXPECT_EQ(work("create function h() returns int language sql set search_path = a, pg_temp as "
                 "$$ select 1 $$",
                 none),
            "");
  EXPECT_EQ(work("create function h() returns text return set_config('a.b', 'c', false)", none),
            "hold setting, define h 2");
  EXPECT_EQ(work("create table t(a int); set a.b = 1", none), "other");
  EXPECT_EQ(work("create temp table x(a int)", none), "hold unknown");
  EXPECT_EQ(work("create function pg_temp.count() returns int language sql as 'set a.b = 1'", none),
            "hold unknown");
  EXPECT_EQ(work("drop function sets", names_), "");
}

// ... and only for who may have made it.
TEST_F(SideEffectsTest, what_is_one_pools_is_not_for_others) {
  const SideEffectNames own({{Of::function, kMaySet, {}, "f", kPool}});
  const SideEffectNames others({{Of::function, kMaySet, {}, "f", kPool + 1}});
  EXPECT_EQ(work("select f()", own), "hold setting");
  EXPECT_EQ(work("select f()", others), "");
  EXPECT_EQ(work("select f()", own), "hold setting");
}

TEST(SideEffects, are_asked_for_once_and_again_when_something_changed) {
  SideEffects effects;
  Instant now{seconds(1000)};
  // Before anything is known, each link that is opened may ask, some at once.
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(effects.claim(now, 0));
  EXPECT_FALSE(effects.claim(now, 0));
  EXPECT_TRUE(effects.unasked());
  effects.abandoned(now);
  EXPECT_TRUE(effects.claim(now, 0));
  effects.answered({}, now, milliseconds(5));
  EXPECT_FALSE(effects.unasked());
  EXPECT_FALSE(effects.claim(now, 0));
  EXPECT_FALSE(effects.claim(now + seconds(9), 1));
  EXPECT_TRUE(effects.claim(now + seconds(10), 1));
  EXPECT_FALSE(effects.claim(now + seconds(10), 1));
  now += seconds(11);
  effects.answered({}, now, milliseconds(5));
  EXPECT_FALSE(effects.claim(now + seconds(59), 1));
  EXPECT_TRUE(effects.claim(now + seconds(60), 1));
  // What takes long is asked rarely.
  effects.answered({}, now, seconds(2));
  EXPECT_FALSE(effects.claim(now + seconds(199), 2));
  EXPECT_TRUE(effects.claim(now + seconds(200), 2));
  // So is what fails, and more so each time.
  EXPECT_TRUE(effects.failed(now, seconds(2)));
  EXPECT_FALSE(effects.claim(now + seconds(199), 3));
  EXPECT_FALSE(effects.failed(now, seconds(2)));
  EXPECT_FALSE(effects.claim(now + seconds(399), 3));
  EXPECT_TRUE(effects.claim(now + seconds(400), 3));
}

TEST(SideEffects, what_clients_define_outlasts_some_answers) {
  SideEffects effects;
  effects.define({Of::function, kMaySet, {}, "f"});
  ASSERT_NE(effects.get(), nullptr);
  EXPECT_EQ(effects.get()->size(), 1u);
  for (int i = 0; i < 5; ++i) effects.answered({}, {}, {});
  EXPECT_EQ(effects.get()->size(), 1u);
  effects.answered({}, {}, {});
  EXPECT_EQ(effects.get()->size(), 0u);
  for (int i = 0; i < 3000; ++i) effects.define({Of::function, kMaySet, {}, std::to_string(i)});
  EXPECT_EQ(effects.get()->size(), 256u);
}

TEST(CodeEffects, of_function_texts) {
  EXPECT_EQ(code_effects("begin perform set_config('a', 'b', false); end"), kMaySet);
  EXPECT_EQ(code_effects("set a.b = 1"), kMaySet);
  EXPECT_EQ(code_effects("begin execute 'set a = 1'; end"), kMaySet);
  EXPECT_EQ(code_effects("begin execute format('reset %I', a); end"), kMaySet);
  EXPECT_EQ(code_effects("begin execute 'update ' || t || ' set a = 1'; end"), 0);
  EXPECT_EQ(code_effects("begin set local a = 1; perform set_config('a', b, true); end"), 0);
  EXPECT_EQ(code_effects("begin create temp table t(a int); end"), kMayLeave);
  EXPECT_EQ(code_effects("select 1 as temp, advisory from listen"), 0);
  EXPECT_EQ(code_effects("begin perform pg_try_advisory_lock_shared(1); end"), kMayLeave);
  EXPECT_EQ(code_effects("begin perform pg_advisory_xact_lock(1); end"), 0);
  EXPECT_EQ(code_effects("begin listen x; end"), kMayLeave);
  EXPECT_EQ(code_effects("begin execute 'deallocate all'; end"), kMayLeave);
  EXPECT_EQ(code_effects("begin perform setseed(0); load 'x'; end"), kMayStay);
  EXPECT_EQ(code_effects("begin perform pg_notify('a', 'b'); notify c; end"), kMayNotify);
}

// ---------------------------------------------------------------- what the catalog says

class Answer {
 public:
  Answer& row(std::initializer_list<std::string_view> values) {
    std::string body;
    append_number(body, values.size(), 2);
    for (const auto value : values) {
      append_number(body, value.size(), 4);
      body += value;
    }
    return message('D', body);
  }
  Answer& message(char type, std::string_view body) {
    bytes_ += type;
    append_number(bytes_, body.size() + 4, 4);
    bytes_ += body;
    return *this;
  }
  [[nodiscard]] const std::string& bytes() const { return bytes_; }

 private:
  static void append_number(std::string& out, std::size_t number, int bytes) {
    for (int shift = (bytes - 1) * 8; shift >= 0; shift -= 8) {
      out += static_cast<char>(number >> shift & 0xff);
    }
  }
  std::string bytes_;
};

using Heard = EffectsQuestion::Heard;

TEST(EffectsQuestion, takes_the_answer_in_any_pieces) {
  const std::string all = Answer()
                              .message('T', std::string(2, '\0'))
                              .row({"f", "app", "sets", "2"})
                              .message('S', std::string("a\0b\0", 4))
                              .row({"w", "app", "fired", "1"})
                              .message('C', std::string("SELECT 2\0", 9))
                              .message('Z', "I")
                              .bytes();
  for (std::size_t cut = 0; cut <= all.size(); ++cut) {
    EffectsQuestion question({});
    Welcome reported;
    std::size_t consumed = 0;
    Heard heard = question.hear(Bytes(all).substr(0, cut), consumed, reported);
    if (heard == Heard::more) {
      heard = question.hear(Bytes(all).substr(consumed), consumed, reported);
    }
    ASSERT_EQ(heard, Heard::all) << cut;
    EXPECT_EQ(question.error(), "");
    const auto effects = question.take();
    ASSERT_EQ(effects.size(), 2u);
    EXPECT_EQ(effects[0], (SideEffect{Of::function, kMaySet, "app", "sets"}));
    EXPECT_EQ(effects[1], (SideEffect{Of::write, kMayLeave, "app", "fired"}));
    ASSERT_NE(reported.find("a"), nullptr);
  }
}

Heard heard(const Answer& answer, std::string& error) {
  EffectsQuestion question({});
  Welcome reported;
  std::size_t consumed = 0;
  const Heard result = question.hear(answer.bytes(), consumed, reported);
  error = question.error();
  return result;
}

TEST(EffectsQuestion, what_is_no_answer) {
  std::string error;
  EXPECT_EQ(
      heard(Answer().message('E', std::string("SERROR\0Mno\0\0", 12)).message('Z', "I"), error),
      Heard::all);
  EXPECT_EQ(error, "no");
  EXPECT_EQ(heard(Answer().row({"f", "a", "b"}).message('Z', "I"), error), Heard::all);
  EXPECT_NE(error, "");
  EXPECT_EQ(heard(Answer().row({"x", "a", "b", "1"}).message('Z', "I"), error), Heard::all);
  EXPECT_NE(error, "");
  EXPECT_EQ(heard(Answer().row({"f", "a", "b", "99"}).message('Z', "I"), error), Heard::all);
  EXPECT_NE(error, "");
  EXPECT_EQ(heard(Answer().message('Z', "T"), error), Heard::broken);
  EXPECT_EQ(heard(Answer().message('G', ""), error), Heard::broken);
  EXPECT_EQ(heard(Answer().message('D', std::string(80'000, 'x')), error), Heard::broken);
  Answer endless;
  for (int i = 0; i < 25'000; ++i) endless.row({"f", "a", "b", "1"});
  EXPECT_EQ(heard(endless, error), Heard::broken);
  EXPECT_EQ(heard(Answer().row({"f", "a", std::string(300, 'n'), "1"}).message('Z', "I"), error),
            Heard::all);
  EXPECT_NE(error, "");
}

}  // namespace
}  // namespace forebay::core
