#include <gtest/gtest.h>

#include "support/words.hpp"
#include "support/world.hpp"

/// Clients whose password auth_query knows, and a server that is told what to answer.
namespace forebay::test {
namespace {

config::Config looking_up() {
  config::Config config = plain_config();
  config.auth = config::AuthMethod::scram_sha_256;
  config.lookup.auth_user = "auth";
  config.server_connect_timeout = std::chrono::seconds(5);
  return config;
}

const std::string kVerifier =
    "SCRAM-SHA-256$4096:c2FsdHNhbHRzYWx0c2FsdA==$"
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

class Lookups : public testing::Test {
 protected:
  FarEnd come(const std::string& user, std::size_t worker = 0, const std::string& more = "") {
    FarEnd client = world.connect(worker);
    client.send(encode_startup(
        split("Startup 3.0 user=\"" + user + "\" database=\"app\" " + more).front()));
    world.settle();
    return client;
  }
  /// The server lets the proxy in, and gives what it was told at the start.
  std::string let_in() {
    std::string startup = world.accepted.back().read();
    server().send(backend("AuthenticationOk ; ReadyForQuery I"));
    world.settle();
    return to_string(take_startup(startup));
  }
  FarEnd& server() { return world.accepted.back(); }
  /// Whom it is asked for: the Bind's value.
  std::string question() {
    std::string bytes = server().read();
    take_frontend(bytes);
    const Words bind = take_frontend(bytes);
    return bind.empty() ? "" : bind.back().text;
  }
  void answer(const std::string& row) {
    server().send(backend("ParseComplete ; BindComplete ; " + row +
                          "CommandComplete \"SELECT 1\" ; ReadyForQuery I"));
    world.settle();
  }
  static std::string said_to(FarEnd& client) { return backend_text(client.read()); }

  World world{looking_up(), 2};
};

constexpr const char* kAsked = "AuthenticationSASL \"SCRAM-SHA-256\\x00\\x00\"";

TEST_F(Lookups, many_clients_of_a_user_make_one_question) {
  FarEnd first = come("alice", 1);
  FarEnd second = come("alice", 0);
  FarEnd other = come("o'brien", 1);
  let_in();
  EXPECT_EQ(question(), "alice");
  EXPECT_EQ(said_to(first), "");
  answer("DataRow \"alice\" \"" + kVerifier + "\" null ; ");
  EXPECT_EQ(said_to(first), kAsked);
  EXPECT_EQ(said_to(second), kAsked);
  EXPECT_EQ(said_to(other), "");
  EXPECT_EQ(question(), "o'brien");
  answer("");
  EXPECT_EQ(said_to(other), kAsked);
  EXPECT_EQ(world.accepted.size(), 1u);
  // The answers hold for the next ones, too.
  FarEnd later = come("alice", 0);
  FarEnd nobody = come("o'brien", 0);
  EXPECT_EQ(said_to(later), kAsked);
  EXPECT_EQ(said_to(nobody), kAsked);
  EXPECT_EQ(question(), "");
  world.pass(std::chrono::seconds(10));
  come("alice", 1);
  EXPECT_EQ(question(), "alice");
}

TEST_F(Lookups, an_answer_ends_with_its_password) {
  come("alice");
  let_in();
  question();
  answer("DataRow \"alice\" \"" + kVerifier + "\" \"2.5\" ; ");
  world.pass(std::chrono::seconds(2));
  come("alice");
  EXPECT_EQ(question(), "");
  world.pass(std::chrono::seconds(1));
  come("alice");
  EXPECT_EQ(question(), "alice");
}

TEST_F(Lookups, nothing_of_the_clients_reaches_that_connection) {
  come("alice", 0, "search_path=\"evil\" options=\"-c role=postgres\"");
  const std::string startup = let_in();
  EXPECT_NE(startup.find("search_path=\"pg_catalog, pg_temp\""), std::string::npos) << startup;
  EXPECT_EQ(startup.find("evil"), std::string::npos) << startup;
  EXPECT_EQ(startup.find("role"), std::string::npos) << startup;
  EXPECT_NE(startup.find("user=\"auth\""), std::string::npos) << startup;
}

TEST_F(Lookups, answers_that_are_none_are_errors) {
  bool first = true;
  for (const std::string row : {"DataRow \"bob\" \"x\" ; ", "DataRow \"alice\" ; ",
                                "DataRow \"alice\" \"x\" ; DataRow \"alice\" \"y\" ; "}) {
    FarEnd client = come("alice");
    if (std::exchange(first, false)) let_in();
    question();
    answer(row);
    EXPECT_NE(said_to(client).find("57P03"), std::string::npos) << row;
  }
}

TEST_F(Lookups, a_row_of_nulls_is_nobody) {
  FarEnd client = come("alice");
  let_in();
  question();
  answer("DataRow null null ; ");
  EXPECT_EQ(said_to(client), kAsked);
}

TEST_F(Lookups, without_a_server_clients_are_told_and_what_is_known_goes_on) {
  come("alice");
  let_in();
  question();
  answer("DataRow \"alice\" \"" + kVerifier + "\" ; ");
  world.net.reception = [](const Endpoint&) { return Reception::refuse; };
  server().close();
  world.settle();
  FarEnd bob = come("bob", 1);
  EXPECT_NE(said_to(bob).find("passwords cannot be looked up at present"), std::string::npos);
  FarEnd alice = come("alice", 1);
  EXPECT_EQ(said_to(alice), kAsked);
  world.net.reception = [](const Endpoint&) { return Reception::accept; };
  world.pass(std::chrono::seconds(1));
  come("bob", 1);
  let_in();
  EXPECT_EQ(question(), "bob");
}

TEST_F(Lookups, a_connection_that_was_lost_meanwhile_is_replaced) {
  come("alice");
  let_in();
  question();
  server().close();
  world.settle();
  ASSERT_EQ(world.accepted.size(), 2u);
  let_in();
  EXPECT_EQ(question(), "alice");
}

TEST_F(Lookups, a_server_that_hangs_up_on_a_newer_version_is_asked_in_the_old_one) {
  come("alice");
  server().close();
  world.settle();
  ASSERT_EQ(world.accepted.size(), 2u);
  EXPECT_NE(let_in().find("3.0"), std::string::npos);
  EXPECT_EQ(question(), "alice");
}

TEST_F(Lookups, a_server_that_does_not_answer_is_given_up) {
  FarEnd client = come("alice");
  let_in();
  world.pass(std::chrono::seconds(6));
  let_in();
  world.pass(std::chrono::seconds(6));
  EXPECT_NE(said_to(client).find("57P03"), std::string::npos);
}

TEST_F(Lookups, a_reload_forgets_what_was_answered) {
  come("alice");
  let_in();
  question();
  answer("DataRow \"alice\" \"" + kVerifier + "\" ; ");
  world.reload(looking_up());
  world.settle();
  come("alice");
  ASSERT_EQ(world.accepted.size(), 2u);
  let_in();
  EXPECT_EQ(question(), "alice");
}

}  // namespace
}  // namespace forebay::test
