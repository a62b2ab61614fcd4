#include "forebay/protocol/postgres/backend.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <initializer_list>
#include <string>

#include "unit/protocol/views.hpp"

namespace forebay::pg::backend {
namespace {

using namespace std::string_literals;
using test::Exact;
using test::expect_from;
using test::expect_nul_wanted;
using test::expect_only_exactly;
using test::u16;
using test::u32;
using testing::ElementsAre;
using testing::IsEmpty;

TEST(Authentication, gives_every_code_of_the_manual) {
  EXPECT_EQ(Authentication::parse(u32(0))->code, AuthenticationCode::Ok);
  EXPECT_EQ(Authentication::parse(u32(2))->code, AuthenticationCode::KerberosV5);
  EXPECT_EQ(Authentication::parse(u32(3))->code, AuthenticationCode::CleartextPassword);
  EXPECT_EQ(Authentication::parse(u32(5) + "salt")->code, AuthenticationCode::MD5Password);
  EXPECT_EQ(Authentication::parse(u32(7))->code, AuthenticationCode::GSS);
  EXPECT_EQ(Authentication::parse(u32(8) + "x")->code, AuthenticationCode::GSSContinue);
  EXPECT_EQ(Authentication::parse(u32(9))->code, AuthenticationCode::SSPI);
  EXPECT_EQ(Authentication::parse(u32(10) + "X\0\0"s)->code, AuthenticationCode::SASL);
  EXPECT_EQ(Authentication::parse(u32(11) + "r=")->code, AuthenticationCode::SASLContinue);
  EXPECT_EQ(Authentication::parse(u32(12) + "v=")->code, AuthenticationCode::SASLFinal);
}

TEST(Authentication, gives_what_follows_the_code) {
  const Exact body(u32(5) + "sal\0"s);
  ASSERT_TRUE(Authentication::parse(body));
  EXPECT_EQ(Authentication::parse(body)->payload, "sal\0"s);
  expect_from<Authentication>(4, body);
}

TEST(Authentication, keeps_a_code_that_nobody_knows) {
  const auto message = Authentication::parse(Exact(u32(0xffffffff)));
  ASSERT_TRUE(message);
  EXPECT_EQ(static_cast<std::uint32_t>(message->code), 0xffffffffU);
}

TEST(Authentication, lists_the_mechanisms) {
  const Exact body(u32(10) + "SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0"s);
  EXPECT_THAT(Authentication::parse(body)->mechanisms(),
              ElementsAre("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"));
  const Exact none(u32(10) + "\0"s);
  EXPECT_THAT(Authentication::parse(none)->mechanisms(), IsEmpty());
}

TEST(Authentication, lists_no_mechanism_of_a_malformed_list) {
  const std::string list = "SCRAM-SHA-256\0X\0\0"s;
  for (std::size_t size = 0; size < list.size(); ++size) {
    const Exact body(u32(10) + list.substr(0, size));
    EXPECT_THAT(Authentication::parse(body)->mechanisms(), IsEmpty()) << size;
  }
  const Exact more(u32(10) + list + "x");
  EXPECT_THAT(Authentication::parse(more)->mechanisms(), IsEmpty());
}

TEST(BackendKeyData, gives_process_and_key) {
  const Exact body(u32(4711) + "k\0\xffy"s);
  const auto message = BackendKeyData::parse(body);
  ASSERT_TRUE(message);
  EXPECT_EQ(message->process_id, 4711U);
  EXPECT_EQ(message->key, "k\0\xffy"s);
}

TEST(BackendKeyData, takes_keys_of_4_to_256_bytes) {
  for (const std::size_t size : {0U, 1U, 3U, 4U, 5U, 32U, 255U, 256U, 257U, 1000U}) {
    const Exact body(u32(1) + std::string(size, 'k'));
    EXPECT_EQ(BackendKeyData::parse(body).has_value(), size >= 4 && size <= 256) << size;
  }
  expect_from<BackendKeyData>(8, u32(1) + "01234567");
}

TEST(CommandComplete, is_one_text) {
  const Exact body("INSERT 0 1\0"s);
  ASSERT_TRUE(CommandComplete::parse(body));
  EXPECT_EQ(CommandComplete::parse(body)->tag, "INSERT 0 1");
  expect_only_exactly<CommandComplete>(body);
  expect_only_exactly<CommandComplete>("\0"s);
  expect_nul_wanted<CommandComplete>("BEGIN\0"s, 5);
  EXPECT_FALSE(CommandComplete::parse(Exact("BEGIN\0COMMIT\0"s)));
}

TEST(CopyResponse, gives_format_and_columns) {
  const Exact body("\1"s + u16(2) + u16(1) + u16(1));
  const auto message = CopyResponse::parse(body);
  ASSERT_TRUE(message);
  EXPECT_EQ(message->format, 1);
  EXPECT_EQ(message->columns, 2);
  expect_only_exactly<CopyResponse>(body);
  expect_only_exactly<CopyResponse>("\0"s + u16(0));
}

TEST(CopyResponse, wants_a_format_for_every_column) {
  for (const std::uint16_t count :
       std::initializer_list<std::uint16_t>{0, 1, 3, 0x7fff, 0x8000, 0xffff}) {
    EXPECT_FALSE(CopyResponse::parse(Exact("\0"s + u16(count) + u16(0) + u16(0)))) << count;
  }
  EXPECT_TRUE(CopyResponse::parse(Exact("\0"s + u16(0xffff) + std::string(2 * 0xffff, '\0'))));
}

TEST(DataRow, gives_its_values_in_order) {
  const Exact body(u16(4) + u32(1) + "1" + u32(0xffffffff) + u32(0) + u32(3) + "a\0b"s);
  const auto row = DataRow::parse(body);
  ASSERT_TRUE(row);
  EXPECT_EQ(row->columns, 4);
  const auto values = row->decode();
  ASSERT_TRUE(values);
  ASSERT_EQ(values->size(), 4U);
  EXPECT_EQ(values->at(0), Bytes("1"));
  EXPECT_FALSE(values->at(1));
  EXPECT_EQ(values->at(2), Bytes(""));
  EXPECT_EQ(values->at(3), Bytes("a\0b", 3));
}

TEST(DataRow, may_have_no_column) {
  const Exact body(u16(0));
  ASSERT_TRUE(DataRow::parse(body));
  ASSERT_TRUE(DataRow::parse(body)->decode());
  EXPECT_THAT(*DataRow::parse(body)->decode(), IsEmpty());
}

TEST(DataRow, is_not_decoded_when_it_is_cut_or_goes_on) {
  const std::string body = u16(2) + u32(2) + "ab" + u32(1) + "c";
  expect_from<DataRow>(2, body);
  for (std::size_t size = 2; size < body.size(); ++size) {
    EXPECT_FALSE(DataRow::parse(Exact(body.substr(0, size)))->decode()) << size;
  }
  EXPECT_TRUE(DataRow::parse(Exact(body))->decode());
  EXPECT_FALSE(DataRow::parse(Exact(body + '\0'))->decode());
}

TEST(DataRow, is_not_decoded_with_a_wrong_length_or_count) {
  for (const std::uint32_t length :
       {0U, 1U, 3U, 0x7fffffffU, 0x80000000U, 0xfffffffdU, 0xfffffffeU, 0xffffffffU}) {
    EXPECT_FALSE(DataRow::parse(Exact(u16(1) + u32(length) + "ab"))->decode()) << length;
  }
  for (const std::uint32_t length : {1U, 0x7fffffffU, 0x80000000U, 0xfffffffeU}) {
    EXPECT_FALSE(DataRow::parse(Exact(u16(1) + u32(length)))->decode()) << length;
  }
  for (const std::uint16_t columns :
       std::initializer_list<std::uint16_t>{0, 2, 0x7fff, 0x8000, 0xffff}) {
    EXPECT_FALSE(DataRow::parse(Exact(u16(columns) + u32(2) + "ab"))->decode()) << columns;
  }
}

TEST(FunctionCallResponse, gives_its_value_or_null) {
  const Exact value(u32(3) + "abc");
  ASSERT_TRUE(FunctionCallResponse::parse(value));
  EXPECT_EQ(FunctionCallResponse::parse(value)->value, Bytes("abc"));
  expect_only_exactly<FunctionCallResponse>(value);

  const Exact empty(u32(0));
  ASSERT_TRUE(FunctionCallResponse::parse(empty));
  EXPECT_EQ(FunctionCallResponse::parse(empty)->value, Bytes(""));
  expect_only_exactly<FunctionCallResponse>(empty);

  const Exact null(u32(0xffffffff));
  ASSERT_TRUE(FunctionCallResponse::parse(null));
  EXPECT_FALSE(FunctionCallResponse::parse(null)->value);
  expect_only_exactly<FunctionCallResponse>(null);
}

TEST(FunctionCallResponse, refuses_a_wrong_length) {
  for (const std::uint32_t length :
       {0U, 2U, 4U, 0x7fffffffU, 0x80000000U, 0xfffffffeU, 0xffffffffU}) {
    EXPECT_FALSE(FunctionCallResponse::parse(Exact(u32(length) + "abc"))) << length;
  }
  for (const std::uint32_t length : {1U, 0x7fffffffU, 0x80000000U, 0xfffffffeU}) {
    EXPECT_FALSE(FunctionCallResponse::parse(Exact(u32(length)))) << length;
  }
}

TEST(NegotiateProtocolVersion, gives_version_and_options) {
  const Exact body(u32(2) + u32(2) + "_pq_.a\0_pq_.b\0"s);
  const auto message = NegotiateProtocolVersion::parse(body);
  ASSERT_TRUE(message);
  EXPECT_EQ(message->newest_minor, 2U);
  EXPECT_THAT(message->unknown_options, ElementsAre("_pq_.a", "_pq_.b"));
  expect_only_exactly<NegotiateProtocolVersion>(body);
  expect_only_exactly<NegotiateProtocolVersion>(u32(0) + u32(0));
  expect_nul_wanted<NegotiateProtocolVersion>(u32(2) + u32(1) + "_pq_.a\0"s, 14);
}

TEST(NegotiateProtocolVersion, wants_as_many_options_as_it_says) {
  for (const std::uint32_t count : {0U, 1U, 3U, 0x7fffffffU, 0x80000000U, 0xffffffffU}) {
    EXPECT_FALSE(NegotiateProtocolVersion::parse(Exact(u32(0) + u32(count) + "a\0b\0"s))) << count;
  }
}

TEST(NotificationResponse, gives_process_channel_and_payload) {
  const Exact body(u32(77) + "news\0it's here\0"s);
  const auto message = NotificationResponse::parse(body);
  ASSERT_TRUE(message);
  EXPECT_EQ(message->process_id, 77U);
  EXPECT_EQ(message->channel, "news");
  EXPECT_EQ(message->payload, "it's here");
  expect_only_exactly<NotificationResponse>(body);
  expect_only_exactly<NotificationResponse>(u32(0) + "\0\0"s);
  expect_nul_wanted<NotificationResponse>(u32(77) + "news\0x\0"s, 8);
  expect_nul_wanted<NotificationResponse>(u32(77) + "news\0x\0"s, 10);
}

TEST(ParameterDescription, gives_count_and_types) {
  const Exact body(u16(2) + u32(23) + u32(25));
  const auto message = ParameterDescription::parse(body);
  ASSERT_TRUE(message);
  EXPECT_EQ(message->count, 2);
  EXPECT_EQ(message->types, u32(23) + u32(25));
  expect_only_exactly<ParameterDescription>(body);
  expect_only_exactly<ParameterDescription>(u16(0));
}

TEST(ParameterDescription, wants_as_many_types_as_it_says) {
  for (const std::uint16_t count :
       std::initializer_list<std::uint16_t>{0, 1, 3, 0x7fff, 0x8000, 0xffff}) {
    EXPECT_FALSE(ParameterDescription::parse(Exact(u16(count) + u32(23) + u32(25)))) << count;
  }
  EXPECT_TRUE(ParameterDescription::parse(Exact(u16(0xffff) + std::string(4 * 0xffff, 'x'))));
}

TEST(ParameterStatus, gives_name_and_value) {
  const Exact body("TimeZone\0Europe/Berlin\0"s);
  const auto message = ParameterStatus::parse(body);
  ASSERT_TRUE(message);
  EXPECT_EQ(message->name, "TimeZone");
  EXPECT_EQ(message->value, "Europe/Berlin");
  expect_only_exactly<ParameterStatus>(body);
  expect_only_exactly<ParameterStatus>("\0\0"s);
  expect_nul_wanted<ParameterStatus>("a\0b\0"s, 1);
  expect_nul_wanted<ParameterStatus>("a\0b\0"s, 3);
}

TEST(ReadyForQuery, takes_the_three_states_and_no_other) {
  EXPECT_EQ(ReadyForQuery::parse("I")->status, TransactionStatus::idle);
  EXPECT_EQ(ReadyForQuery::parse("T")->status, TransactionStatus::in_transaction);
  EXPECT_EQ(ReadyForQuery::parse("E")->status, TransactionStatus::failed);
  for (int byte = 0; byte < 256; ++byte) {
    const std::string body(1, static_cast<char>(byte));
    const bool known = byte == 'I' || byte == 'T' || byte == 'E';
    EXPECT_EQ(ReadyForQuery::parse(Exact(body)).has_value(), known) << byte;
  }
  expect_only_exactly<ReadyForQuery>("I");
}

TEST(RowDescription, gives_every_attribute_of_its_fields) {
  const std::string first =
      "id\0"s + u32(16384) + u16(1) + u32(23) + u16(4) + u32(0xffffffff) + u16(1);
  const std::string second =
      "\0"s + u32(0) + u16(0xffff) + u32(25) + u16(0xffff) + u32(104) + u16(0);
  const Exact body(u16(2) + first + second);
  const auto message = RowDescription::parse(body);
  ASSERT_TRUE(message);
  ASSERT_EQ(message->fields.size(), 2U);
  const RowDescription::Field& id = message->fields[0];
  EXPECT_EQ(id.name, "id");
  EXPECT_EQ(id.table, 16384U);
  EXPECT_EQ(id.column, 1);
  EXPECT_EQ(id.type, 23U);
  EXPECT_EQ(id.type_size, 4);
  EXPECT_EQ(id.type_modifier, 0xffffffffU);
  EXPECT_EQ(id.format, 1);
  EXPECT_EQ(message->fields[1].name, "");
  EXPECT_EQ(message->fields[1].type_modifier, 104U);
  expect_only_exactly<RowDescription>(body);
  expect_only_exactly<RowDescription>(u16(0));
}

TEST(RowDescription, wants_as_many_fields_as_it_says) {
  const std::string field = "id\0"s + std::string(18, '\1');
  for (const std::uint16_t count :
       std::initializer_list<std::uint16_t>{0, 2, 0x7fff, 0x8000, 0xffff}) {
    EXPECT_FALSE(RowDescription::parse(Exact(u16(count) + field))) << count;
  }
  expect_nul_wanted<RowDescription>(u16(1) + field, 4);
}

}  // namespace
}  // namespace forebay::pg::backend
