#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "forebay/protocol/postgres/writer.hpp"
#include "unit/protocol/views.hpp"

/// What a server says: every writer against the bytes of the manual, and through framer and view.
namespace forebay::pg {
namespace {

using namespace std::string_literals;
using backend::AuthenticationCode;
using backend::TransactionStatus;
using testing::ElementsAre;

Message read(const std::string& wire) {
  return test::only_message(Sender::server, wire);
}

TEST(Writer, writes_authentication) {
  std::string ok;
  write_authentication(ok, AuthenticationCode::Ok);
  EXPECT_EQ(ok, "R\0\0\0\x08\0\0\0\0"s);
  std::string md5;
  write_authentication(md5, AuthenticationCode::MD5Password, "s\0lt"s);
  EXPECT_EQ(md5, "R\0\0\0\x0c\0\0\0\5s\0lt"s);

  const Message message = read(md5);
  ASSERT_TRUE(message.is(Backend::Authentication));
  const auto view = backend::Authentication::parse(message.body);
  ASSERT_TRUE(view);
  EXPECT_EQ(view->code, AuthenticationCode::MD5Password);
  EXPECT_EQ(view->payload, "s\0lt"s);
}

TEST(Writer, writes_authentication_sasl) {
  std::string wire;
  write_authentication_sasl(wire, {"SCRAM-SHA-256-PLUS", "", "SCRAM-SHA-256"});
  EXPECT_EQ(wire, "R\0\0\0\x2a\0\0\0\x0aSCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0"s);
  const auto view = backend::Authentication::parse(read(wire).body);
  ASSERT_TRUE(view);
  EXPECT_EQ(view->code, AuthenticationCode::SASL);
  EXPECT_THAT(view->mechanisms(), ElementsAre("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"));
}

TEST(Writer, writes_backend_key_data) {
  std::string wire;
  write_backend_key_data(wire, 0x01020304, "\0\1\2\3"s);
  EXPECT_EQ(wire, "K\0\0\0\x0c\1\2\3\4\0\1\2\3"s);

  std::string longest;
  write_backend_key_data(longest, 1, std::string(256, 'k'));
  const Message message = read(longest);
  ASSERT_TRUE(message.is(Backend::BackendKeyData));
  const auto view = backend::BackendKeyData::parse(message.body);
  ASSERT_TRUE(view);
  EXPECT_EQ(view->process_id, 1U);
  EXPECT_EQ(view->key, std::string(256, 'k'));
}

TEST(Writer, writes_command_complete) {
  std::string wire;
  write_command_complete(wire, "SELECT 1");
  EXPECT_EQ(wire, "C\0\0\0\x0dSELECT 1\0"s);
  ASSERT_TRUE(read(wire).is(Backend::CommandComplete));
  EXPECT_EQ(backend::CommandComplete::parse(read(wire).body)->tag, "SELECT 1");
}

TEST(Writer, writes_data_rows) {
  std::string wire;
  write_data_row(wire, std::vector<Bytes>{"ab", "", "c"});
  EXPECT_EQ(wire, "D\0\0\0\x15\0\3\0\0\0\2ab\0\0\0\0\0\0\0\1c"s);
  const Message message = read(wire);
  ASSERT_TRUE(message.is(Backend::DataRow));
  const auto values = backend::DataRow::parse(message.body)->decode();
  ASSERT_TRUE(values);
  EXPECT_THAT(*values, ElementsAre("ab", "", "c"));

  std::string none;
  write_data_row(none, {});
  EXPECT_EQ(none, "D\0\0\0\6\0\0"s);
}

TEST(Writer, writes_errors) {
  std::string wire;
  write_error(wire, {"FATAL", "53300", "too many clients", "limit is 10", "raise max_client_conn"});
  const std::string body =
      "SFATAL\0VFATAL\0C53300\0Mtoo many clients\0Dlimit is 10\0"s + "Hraise max_client_conn\0\0"s;
  EXPECT_EQ(wire, "E"s + test::u32(static_cast<std::uint32_t>(body.size() + 4)) + body);
  const Message message = read(wire);
  ASSERT_TRUE(message.is(Backend::ErrorResponse));
  const auto fields = backend::Fields::parse(message.body);
  EXPECT_EQ(fields.severity, "FATAL");
  EXPECT_EQ(fields.sqlstate, "53300");
  EXPECT_EQ(fields.message, "too many clients");
  EXPECT_EQ(fields.detail, "limit is 10");
  EXPECT_EQ(fields.hint, "raise max_client_conn");
  EXPECT_TRUE(fields.fatal());
}

TEST(Writer, leaves_out_detail_and_hint_that_are_empty) {
  std::string wire;
  write_error(wire, {.message = "m"});
  EXPECT_EQ(wire, "E\0\0\0\x1dSERROR\0VERROR\0CXX000\0Mm\0\0"s);
}

TEST(Writer, writes_notices) {
  std::string wire;
  write_notice(wire, {"NOTICE", "00000", "hello"});
  EXPECT_EQ(wire, "N\0\0\0\x23SNOTICE\0VNOTICE\0C00000\0Mhello\0\0"s);
  ASSERT_TRUE(read(wire).is(Backend::NoticeResponse));
  EXPECT_EQ(backend::Fields::parse(read(wire).body).message, "hello");
}

TEST(Writer, writes_negotiate_protocol_version) {
  std::string wire;
  write_negotiate_protocol_version(wire, kProtocol3_2, std::vector<Bytes>{"_pq_.a", "_pq_.b"});
  EXPECT_EQ(wire, "v\0\0\0\x1a\0\3\0\2\0\0\0\2_pq_.a\0_pq_.b\0"s);
  const Message message = read(wire);
  ASSERT_TRUE(message.is(Backend::NegotiateProtocolVersion));
  const auto view = backend::NegotiateProtocolVersion::parse(message.body);
  ASSERT_TRUE(view);
  EXPECT_EQ(view->newest_minor, kProtocol3_2);
  EXPECT_THAT(view->unknown_options, ElementsAre("_pq_.a", "_pq_.b"));
}

TEST(Writer, writes_notifications) {
  std::string wire;
  write_notification(wire, 9, "news", "it's here");
  EXPECT_EQ(wire, "A\0\0\0\x17\0\0\0\x09news\0it's here\0"s);
  ASSERT_TRUE(read(wire).is(Backend::NotificationResponse));
  const auto view = backend::NotificationResponse::parse(read(wire).body);
  ASSERT_TRUE(view);
  EXPECT_EQ(view->process_id, 9U);
  EXPECT_EQ(view->channel, "news");
  EXPECT_EQ(view->payload, "it's here");

  std::string shortest;
  write_notification(shortest, 0, "", "");
  EXPECT_TRUE(backend::NotificationResponse::parse(read(shortest).body));
}

TEST(Writer, writes_parameter_status) {
  std::string wire;
  write_parameter_status(wire, "TimeZone", "UTC");
  EXPECT_EQ(wire, "S\0\0\0\x11TimeZone\0UTC\0"s);
  ASSERT_TRUE(read(wire).is(Backend::ParameterStatus));
  const auto view = backend::ParameterStatus::parse(read(wire).body);
  ASSERT_TRUE(view);
  EXPECT_EQ(view->name, "TimeZone");
  EXPECT_EQ(view->value, "UTC");
}

TEST(Writer, writes_ready_for_query) {
  for (const auto status :
       {TransactionStatus::idle, TransactionStatus::in_transaction, TransactionStatus::failed}) {
    std::string wire;
    write_ready_for_query(wire, status);
    EXPECT_EQ(wire, "Z\0\0\0\5"s + static_cast<char>(status));
    ASSERT_TRUE(read(wire).is(Backend::ReadyForQuery));
    EXPECT_EQ(backend::ReadyForQuery::parse(read(wire).body)->status, status);
  }
}

TEST(Writer, writes_row_descriptions) {
  std::string wire;
  write_row_description(wire, std::vector<Bytes>{"a", ""});
  EXPECT_EQ(wire, "T\0\0\0\x2d\0\2a\0\0\0\0\0\0\0\0\0\0\x19\xff\xff\xff\xff\xff\xff\0\0"s +
                      "\0\0\0\0\0\0\0\0\0\0\x19\xff\xff\xff\xff\xff\xff\0\0"s);
  ASSERT_TRUE(read(wire).is(Backend::RowDescription));
  const auto view = backend::RowDescription::parse(read(wire).body);
  ASSERT_TRUE(view);
  ASSERT_EQ(view->fields.size(), 2U);
  EXPECT_EQ(view->fields[0].name, "a");
  EXPECT_EQ(view->fields[0].type, 25U);
  EXPECT_EQ(view->fields[0].type_size, 0xffff);
  EXPECT_EQ(view->fields[0].format, 0);
  EXPECT_EQ(view->fields[1].name, "");
}

TEST(Writer, writes_backend_messages_that_are_nothing_but_their_type) {
  for (const Backend type : {Backend::BindComplete, Backend::CloseComplete, Backend::CopyDone,
                             Backend::EmptyQueryResponse, Backend::NoData, Backend::ParseComplete,
                             Backend::PortalSuspended}) {
    std::string wire;
    write_empty(wire, type);
    EXPECT_EQ(wire, static_cast<char>(type) + "\0\0\0\4"s);
    EXPECT_TRUE(read(wire).is(type));
    EXPECT_EQ(read(wire).body, "");
  }
}

}  // namespace
}  // namespace forebay::pg
