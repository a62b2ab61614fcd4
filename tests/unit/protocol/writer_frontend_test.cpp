#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "forebay/protocol/postgres/startup.hpp"
#include "forebay/protocol/postgres/writer.hpp"
#include "unit/protocol/views.hpp"

/// What a client says: every writer against the bytes of the manual, and through framer and view.
namespace forebay::pg {
namespace {

using namespace std::string_literals;
using frontend::Target;

Message read(const std::string& wire) {
  return test::only_message(Sender::client, wire);
}

TEST(Writer, writes_bind) {
  std::string wire;
  const std::vector<std::pair<Bytes, bool>> values = {
      {"ab", false}, {"ignored", true}, {"", false}};
  write_bind(wire, "p", "s1", values);
  EXPECT_EQ(wire,
            "B\0\0\0\x1d"
            "p\0s1\0\0\0\0\3\0\0\0\2ab\xff\xff\xff\xff\0\0\0\0\0\0"s);
  ASSERT_TRUE(read(wire).is(Frontend::Bind));
  const auto view = frontend::Bind::parse(read(wire).body);
  ASSERT_TRUE(view);
  EXPECT_EQ(view->portal, "p");
  EXPECT_EQ(view->statement, "s1");
  EXPECT_EQ(view->values, "\0\0\0\3\0\0\0\2ab\xff\xff\xff\xff\0\0\0\0\0\0"s);
}

TEST(Writer, writes_close_and_describe) {
  std::string close;
  write_close(close, Target::statement, "s1");
  EXPECT_EQ(close, "C\0\0\0\x08Ss1\0"s);
  ASSERT_TRUE(read(close).is(Frontend::Close));
  EXPECT_EQ(frontend::Close::parse(read(close).body)->target, Target::statement);
  EXPECT_EQ(frontend::Close::parse(read(close).body)->name, "s1");

  std::string describe;
  write_describe(describe, Target::portal, "");
  EXPECT_EQ(describe, "D\0\0\0\6P\0"s);
  ASSERT_TRUE(read(describe).is(Frontend::Describe));
  EXPECT_EQ(frontend::Describe::parse(read(describe).body)->target, Target::portal);
  EXPECT_EQ(frontend::Describe::parse(read(describe).body)->name, "");
}

TEST(Writer, writes_copy_fail) {
  std::string wire;
  write_copy_fail(wire, "no more");
  EXPECT_EQ(wire, "f\0\0\0\x0cno more\0"s);
  ASSERT_TRUE(read(wire).is(Frontend::CopyFail));
  EXPECT_EQ(frontend::CopyFail::parse(read(wire).body)->reason, "no more");
}

TEST(Writer, writes_execute) {
  std::string wire;
  write_execute(wire, "c1", 0x01020304);
  EXPECT_EQ(wire,
            "E\0\0\0\x0b"
            "c1\0\1\2\3\4"s);
  ASSERT_TRUE(read(wire).is(Frontend::Execute));
  const auto view = frontend::Execute::parse(read(wire).body);
  ASSERT_TRUE(view);
  EXPECT_EQ(view->portal, "c1");
  EXPECT_EQ(view->max_rows, 0x01020304U);
}

TEST(Writer, writes_parse) {
  std::string wire;
  write_parse_text(wire, "s1", "select 1");
  EXPECT_EQ(wire, "P\0\0\0\x12s1\0select 1\0\0\0"s);
  ASSERT_TRUE(read(wire).is(Frontend::Parse));
  const auto view = frontend::Parse::parse(read(wire).body);
  ASSERT_TRUE(view);
  EXPECT_EQ(view->statement, "s1");
  EXPECT_EQ(view->text, "select 1");

  std::string renamed;
  write_parse(renamed, "shared", view->definition);
  EXPECT_EQ(renamed, "P\0\0\0\x16shared\0select 1\0\0\0"s);
  EXPECT_EQ(frontend::Parse::parse(read(renamed).body)->definition, view->definition);
}

TEST(Writer, writes_passwords) {
  std::string wire;
  write_password(wire, "secret");
  EXPECT_EQ(wire, "p\0\0\0\x0bsecret\0"s);
  ASSERT_TRUE(read(wire).is(Frontend::Password));
  EXPECT_EQ(frontend::PasswordMessage::parse(read(wire).body)->password, "secret");
}

TEST(Writer, writes_queries) {
  std::string wire;
  write_query(wire, "select 'x'");
  EXPECT_EQ(wire, "Q\0\0\0\x0fselect 'x'\0"s);
  ASSERT_TRUE(read(wire).is(Frontend::Query));
  EXPECT_EQ(frontend::Query::parse(read(wire).body)->text, "select 'x'");
}

TEST(Writer, writes_sasl_messages) {
  std::string initial;
  write_sasl_initial_response(initial, "SCRAM-SHA-256", "n,,n=");
  EXPECT_EQ(initial, "p\0\0\0\x1bSCRAM-SHA-256\0\0\0\0\5n,,n="s);
  ASSERT_TRUE(read(initial).is(Frontend::Password));
  const auto view = frontend::SASLInitialResponse::parse(read(initial).body);
  ASSERT_TRUE(view);
  EXPECT_EQ(view->mechanism, "SCRAM-SHA-256");
  EXPECT_EQ(view->response, Bytes("n,,n="));

  std::string response;
  write_sasl_response(response, "c=biws");
  EXPECT_EQ(response,
            "p\0\0\0\x0a"
            "c=biws"s);
  EXPECT_EQ(frontend::SASLResponse::parse(read(response).body)->response, "c=biws");
}

TEST(Writer, writes_frontend_messages_that_are_nothing_but_their_type) {
  for (const Frontend type :
       {Frontend::CopyDone, Frontend::Flush, Frontend::Sync, Frontend::Terminate}) {
    std::string wire;
    write_empty(wire, type);
    EXPECT_EQ(wire, static_cast<char>(type) + "\0\0\0\4"s);
    EXPECT_TRUE(read(wire).is(type));
    EXPECT_EQ(read(wire).body, "");
  }
}

TEST(Writer, writes_cancel_requests) {
  std::string wire;
  write_cancel_request(wire, 7, "key\0"s);
  EXPECT_EQ(wire, "\0\0\0\x10\x04\xd2\x16\x2e\0\0\0\7key\0"s);
  const auto parsed = parse_startup(wire);
  ASSERT_TRUE(parsed.has_value());
  EXPECT_EQ(parsed->size, wire.size());
  const auto* cancel = std::get_if<CancelRequest>(&parsed->packet);
  ASSERT_NE(cancel, nullptr);
  EXPECT_EQ(cancel->process_id, 7U);
  EXPECT_EQ(cancel->key, "key\0"s);
}

TEST(Writer, writes_ssl_requests) {
  std::string wire;
  write_ssl_request(wire);
  EXPECT_EQ(wire, "\0\0\0\x08\x04\xd2\x16\x2f"s);
  ASSERT_TRUE(parse_startup(wire).has_value());
  EXPECT_TRUE(std::holds_alternative<SslRequest>(parse_startup(wire)->packet));
}

TEST(Writer, writes_startup_messages) {
  std::string wire;
  write_startup(wire, kProtocol3_2, std::vector<NameValue>{{"user", "me"}, {"database", ""}});
  EXPECT_EQ(wire, "\0\0\0\x1b\0\3\0\2user\0me\0database\0\0\0"s);
  const auto parsed = parse_startup(wire);
  ASSERT_TRUE(parsed.has_value());
  EXPECT_EQ(parsed->size, wire.size());
  const auto* startup = std::get_if<StartupMessage>(&parsed->packet);
  ASSERT_NE(startup, nullptr);
  EXPECT_EQ(startup->version, kProtocol3_2);
  EXPECT_EQ(startup->parameters, (std::vector<NameValue>{{"user", "me"}, {"database", ""}}));

  std::string none;
  write_startup(none, kProtocol3_0, {});
  EXPECT_EQ(none, "\0\0\0\x09\0\3\0\0\0"s);
}

}  // namespace
}  // namespace forebay::pg
