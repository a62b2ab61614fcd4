#include "core/relay/block_text.hpp"

#include <gtest/gtest.h>

namespace forebay::core {
namespace {

TEST(BlockText, what_lasts_longer_than_the_transaction) {
  for (const char* body : {
           "set work_mem = '1MB'",
           "begin set work_mem = '1MB'; end",
           "begin SET SESSION work_mem TO '1MB'; end",
           "begin x := 1; Set work_mem = '1MB'; end",
           "begin if a then set b = 1; end if; end",
           "begin reset all; end",
           "begin <<here>> set a = 1; end",
           "begin execute 'set enable_seqscan = 0'; end",
           "begin execute $x$set a = 1$x$; end",
           "begin execute format('SET %I = %L', a, b); end",
           "begin perform set_config('a', 'b', false); end",
           "begin perform pg_catalog.set_config(a, current_setting(b, true), c); end",
           "begin perform set_config('a', 'b', true); perform set_config('a', 'b', false); end",
           "begin perform set_config(",
           "begin -- as the tenant's schema\nset search_path = a; end",
           "/* x /* y */ */ set a = 1",
           "begin execute /* ; */ 'set a = 1'; end",
           "begin set /* local */ a = 1; end",
       }) {
    EXPECT_TRUE(block_sets(body)) << body;
  }
}

TEST(BlockText, what_does_not) {
  for (const char* body : {
           "",
           "begin perform 1; end",
           "begin update t set a = 1 where b; end",
           "begin update t as x\nset a = 1; insert into t values (1) on conflict do update set b = "
           "2; end",
           "begin alter table t alter column c set not null; alter table t set (fillfactor = 70); "
           "end",
           "begin set local work_mem = '1MB'; end",
           "begin set constraints all deferred; set transaction read only; end",
           "begin perform set_config('a', 'b', true); end",
           "begin perform set_config('a', f(g(1), 2), true); end",
           "begin -- set a = 1\nperform 1; /* ; set b = 2 */ end -- ; reset all",
           "begin offset_set := reset_at; perform my_set_config(1); end",
       }) {
    EXPECT_FALSE(block_sets(body)) << body;
  }
}

}  // namespace
}  // namespace forebay::core
