#include "admin/command.hpp"

#include <gtest/gtest.h>

#include <set>

namespace forebay::admin {
namespace {

std::vector<Command> commands(std::string_view text) {
  auto parsed = parse(text);
  EXPECT_TRUE(std::holds_alternative<std::vector<Command>>(parsed)) << text;
  if (auto* found = std::get_if<std::vector<Command>>(&parsed)) return *found;
  return {};
}

Command command(std::string_view text) {
  const auto all = commands(text);
  EXPECT_EQ(all.size(), 1u) << text;
  return all.empty() ? Command{} : all.front();
}

std::string refusal(std::string_view text) {
  const auto parsed = parse(text);
  const auto* refused = std::get_if<core::Refused>(&parsed);
  return refused == nullptr ? "" : refused->sqlstate;
}

TEST(Command, shows_are_found_by_name_whatever_the_case) {
  EXPECT_EQ(command("show pools").show->name, "POOLS");
  EXPECT_EQ(command(" SHOW  /* all */ Pools -- of them\n extended;").show->name, "POOLS EXTENDED");
  EXPECT_EQ(command("SELECT version").show->name, "VERSION");
  EXPECT_EQ(command("select 1").argument, "1");
}

TEST(Command, several_in_a_text) {
  EXPECT_EQ(commands("SHOW POOLS; SHOW STATS;;").size(), 2u);
  EXPECT_TRUE(commands(" ; -- nothing").empty());
}

TEST(Command, arguments) {
  EXPECT_EQ(command("PAUSE").argument, "");
  EXPECT_EQ(command("pause app").argument, "app");
  EXPECT_EQ(command("PAUSE \"My \"\"App\"\"\"").argument, "My \"App\"");
  EXPECT_EQ(command("KILL_CLIENT 17").argument, "17");
  EXPECT_EQ(command("SHUTDOWN wait_for_clients").action->action, Action::shutdown_wait_for_clients);
}

TEST(Command, keys_that_are_set) {
  const auto set = [](std::string_view text) {
    const Command made = command(text);
    EXPECT_EQ(made.action->action, Action::set) << text;
    return made.argument + " <- " + made.value;
  };
  EXPECT_EQ(set("SET max_client_conn = 200"), "max_client_conn <- 200");
  EXPECT_EQ(set("set max_client_conn=200;"), "max_client_conn <- 200");
  EXPECT_EQ(set("SET default_pool_size TO 5 -- few"), "default_pool_size <- 5");
  EXPECT_EQ(set("SET query_wait_timeout = '2 s'"), "query_wait_timeout <- '2 s'");
  EXPECT_EQ(set("SET databases.\"my db\".pool_size = 5"), "databases.\"my db\".pool_size <- 5");
  EXPECT_EQ(set("SET allow_from = [\"::1\", \"10.0.0.0/8\"]"),
            "allow_from <- [\"::1\", \"10.0.0.0/8\"]");
  EXPECT_EQ(set("SET admin_users = alice, bob"), "admin_users <- alice, bob");
  for (const char* text : {"SET", "SET a", "SET a =", "SET = 5", "SET a 5"}) {
    EXPECT_EQ(refusal(text), "42601") << text;
  }
}

TEST(Command, orders_of_tenants) {
  const Command pause = command("pause tenant acme for '10min' reason 'it''s due'");
  EXPECT_EQ(pause.action->action, Action::pause_tenant);
  EXPECT_EQ(pause.argument, "acme");
  EXPECT_EQ(pause.time, "10min");
  EXPECT_EQ(pause.reason, "it's due");
  EXPECT_EQ(command("RESUME TENANT \"A b\"").argument, "A b");
  EXPECT_EQ(command("BAN TENANT 42 REASON 'x' FOR 2h").time, "2h");
  EXPECT_EQ(command("UNBAN TENANT 42").action->action, Action::unban_tenant);
  const Command limit =
      command("LIMIT TENANT a max_statements = 5, statement_timeout = '2s' FOR 1h");
  EXPECT_EQ(limit.limits, (std::vector<std::pair<std::string, std::string>>{
                              {"max_statements", "5"}, {"statement_timeout", "2s"}}));
  EXPECT_EQ(limit.time, "1h");
  EXPECT_EQ(command("RESET TENANT a").action->action, Action::reset_tenant);
  // These may be names, and what drivers say.
  EXPECT_EQ(command("PAUSE tenant").argument, "tenant");
  EXPECT_EQ(command("RESET tenant").action->action, Action::nothing);
  for (const char* text :
       {"PAUSE TENANT a b", "PAUSE TENANT a FOR", "PAUSE TENANT a FOR 1h FOR 2h",
        "PAUSE TENANT a REASON ''", "RESUME TENANT a FOR 1h", "BAN TENANT", "LIMIT TENANT a",
        "LIMIT TENANT a max_statements", "LIMIT TENANT a max_statements = ",
        "LIMIT TENANT a max_statements = 1, FOR 1h", "UNBAN TENANT a b"}) {
    EXPECT_EQ(refusal(text), "42601") << text;
  }
}

TEST(Command, orders_about_hosts) {
  const auto said = [](std::string_view text) {
    const Command made = command(text);
    return std::string(made.action->words) + " <" + made.argument + "> " +
           std::to_string(made.lasts.count()) + " <" + made.reason + ">";
  };
  EXPECT_EQ(said("drain host db2:5432"), "DRAIN HOST <db2:5432> 0 <>");
  EXPECT_EQ(said("BAN HOST \"/run/a b/.s.PGSQL.5432\" reason 'for it''s old' for '10min';"),
            "BAN HOST </run/a b/.s.PGSQL.5432> 600000 <for it's old>");
  EXPECT_EQ(said("PREFER HOST [::1]:5432 FOR 2h"), "PREFER HOST <[::1]:5432> 7200000 <>");
  EXPECT_EQ(said("ENABLE HOST 127.0.0.1:5432"), "ENABLE HOST <127.0.0.1:5432> 0 <>");
  EXPECT_EQ(command("ENABLE host").action->action, Action::enable) << "a database";
  for (const char* text : {"DRAIN HOST", "BAN HOST a FOR", "BAN HOST a REASON",
                           "BAN HOST a FOR 1s now x", "ENABLE HOST a FOR 1s", "DRAIN a"}) {
    EXPECT_EQ(refusal(text), "42601") << text;
  }
  for (const char* text : {"BAN HOST a FOR 10", "BAN HOST a FOR '0'", "BAN HOST a FOR 400d"}) {
    EXPECT_EQ(refusal(text), "22023") << text;
  }
}

TEST(Command, what_drivers_set_for_their_session) {
  for (const char* text : {"SET extra_float_digits = 3", "SET client_encoding TO 'UTF8'",
                           "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY"}) {
    EXPECT_EQ(command(text).action->action, Action::nothing) << text;
  }
}

TEST(Command, what_is_none) {
  for (const char* text : {"SHOW NOTHING", "SELECT * FROM t", "DROP TABLE t", "KILL", "KILL a b",
                           "KILL_CLIENT x", "KILL_CLIENT", "RELOAD now", "PAUSE 'app", "SHOW"}) {
    EXPECT_EQ(refusal(text), "42601") << text;
  }
}

// Every command as every role: what is not listed here as harmless needs the admin.
TEST(Command, rights) {
  const std::set<std::string_view> harmless = {"RESET",    "DISCARD", "DEALLOCATE",        "CLOSE",
                                               "UNLISTEN", "BEGIN",   "START TRANSACTION", "COMMIT",
                                               "END",      "ROLLBACK"};
  for (const ActionLine& line : actions()) {
    const Command made{.action = &line};
    const bool of_session = line.words.starts_with("SET ");
    const bool may = of_session || harmless.contains(line.words);
    EXPECT_EQ(made.role(), may ? Role::stats : Role::admin) << line.words;
  }
  const std::set<std::string_view> secret = {"CONFIG", "CONFIG EXTENDED", "FDS", "SLOW"};
  for (const ShowLine& line : shows()) {
    const Command made{.show = &line};
    const bool admins = secret.contains(line.name) || line.name.starts_with("STATEMENTS");
    EXPECT_EQ(made.role(), admins ? Role::admin : Role::stats) << line.name;
  }
}

TEST(Command, what_is_to_be_explained_is_the_rest_of_the_text) {
  const Command explain = command("explain /* why */ route FOR \"my db\" select 'a;b'; -- end");
  EXPECT_EQ(explain.show->name, kExplainRoute);
  std::string_view text = explain.argument;
  EXPECT_EQ(take_database(text), "my db");
  EXPECT_EQ(text, " select 'a;b'; -- end");
  text = "format()";
  EXPECT_EQ(take_database(text), "");
  EXPECT_EQ(text, "format()");
  EXPECT_EQ(explain.role(), Role::stats);
}

TEST(Command, names_are_unique_and_every_show_parses) {
  std::set<std::string_view> names;
  for (const ShowLine& line : shows()) {
    EXPECT_TRUE(names.insert(line.name).second) << line.name;
    if (line.name == kSelectLiteral) continue;
    EXPECT_EQ(command("SHOW " + std::string(line.name)).show, &line);
    EXPECT_FALSE(line.columns.empty());
  }
}

}  // namespace
}  // namespace forebay::admin
