#include "forebay/protocol/postgres/message_table.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "forebay/protocol/postgres/framer.hpp"

namespace forebay::pg {
namespace {

/// The manual's "Message Formats", every entry: the message, its type byte (0 where it has none),
/// who may send it.
struct Entry {
  const char* name;
  char type;
  bool frontend;
  bool backend;
};

constexpr Entry kManual[] = {
    {"AuthenticationOk", 'R', false, true},
    {"AuthenticationKerberosV5", 'R', false, true},
    {"AuthenticationCleartextPassword", 'R', false, true},
    {"AuthenticationMD5Password", 'R', false, true},
    {"AuthenticationGSS", 'R', false, true},
    {"AuthenticationGSSContinue", 'R', false, true},
    {"AuthenticationSSPI", 'R', false, true},
    {"AuthenticationSASL", 'R', false, true},
    {"AuthenticationSASLContinue", 'R', false, true},
    {"AuthenticationSASLFinal", 'R', false, true},
    {"BackendKeyData", 'K', false, true},
    {"Bind", 'B', true, false},
    {"BindComplete", '2', false, true},
    {"CancelRequest", 0, true, false},
    {"Close", 'C', true, false},
    {"CloseComplete", '3', false, true},
    {"CommandComplete", 'C', false, true},
    {"CopyData", 'd', true, true},
    {"CopyDone", 'c', true, true},
    {"CopyFail", 'f', true, false},
    {"CopyInResponse", 'G', false, true},
    {"CopyOutResponse", 'H', false, true},
    {"CopyBothResponse", 'W', false, true},
    {"DataRow", 'D', false, true},
    {"Describe", 'D', true, false},
    {"EmptyQueryResponse", 'I', false, true},
    {"ErrorResponse", 'E', false, true},
    {"Execute", 'E', true, false},
    {"Flush", 'H', true, false},
    {"FunctionCall", 'F', true, false},
    {"FunctionCallResponse", 'V', false, true},
    {"GSSENCRequest", 0, true, false},
    {"GSSResponse", 'p', true, false},
    {"NegotiateProtocolVersion", 'v', false, true},
    {"NoData", 'n', false, true},
    {"NoticeResponse", 'N', false, true},
    {"NotificationResponse", 'A', false, true},
    {"ParameterDescription", 't', false, true},
    {"ParameterStatus", 'S', false, true},
    {"Parse", 'P', true, false},
    {"ParseComplete", '1', false, true},
    {"PasswordMessage", 'p', true, false},
    {"PortalSuspended", 's', false, true},
    {"Query", 'Q', true, false},
    {"ReadyForQuery", 'Z', false, true},
    {"RowDescription", 'T', false, true},
    {"SASLInitialResponse", 'p', true, false},
    {"SASLResponse", 'p', true, false},
    {"SSLRequest", 0, true, false},
    {"StartupMessage", 0, true, false},
    {"Sync", 'S', true, false},
    {"Terminate", 'X', true, false},
};

/// The name of the table's line that an entry of the manual belongs to: the messages with type R
/// and those with type p share one each.
std::string line_name(const Entry& entry) {
  if (entry.type == 'R') return "Authentication";
  if (entry.type == 'p') return "Password";
  return entry.name;
}

bool sent_by(const Entry& entry, Sender sender) {
  return sender == Sender::client ? entry.frontend : entry.backend;
}

class MessageTableOf : public testing::TestWithParam<Sender> {};

TEST_P(MessageTableOf, has_a_line_for_every_message_of_the_manual) {
  for (const Entry& entry : kManual) {
    if (entry.type == 0 || !sent_by(entry, GetParam())) continue;
    const MessageKind& kind = message_kind(GetParam(), entry.type);
    ASSERT_NE(kind.name, nullptr) << entry.name;
    EXPECT_EQ(kind.name, line_name(entry));
    EXPECT_NE(kind.look, Look::unknown) << entry.name;
    ASSERT_NE(kind.handling, nullptr) << entry.name;
    EXPECT_GT(std::string(kind.handling).size(), 3U) << entry.name;
    EXPECT_LE(kind.body_min, kind.body_max) << entry.name;
  }
}

TEST_P(MessageTableOf, has_no_line_for_anything_else) {
  std::set<char> types;
  for (const Entry& entry : kManual) {
    if (entry.type != 0 && sent_by(entry, GetParam())) types.insert(entry.type);
  }
  EXPECT_EQ(types.size(), GetParam() == Sender::client ? 14U : 24U);
  for (int byte = 0; byte < 256; ++byte) {
    const char type = static_cast<char>(byte);
    const MessageKind& kind = message_kind(GetParam(), type);
    EXPECT_EQ(kind.look != Look::unknown, types.count(type) == 1) << byte;
    EXPECT_EQ(kind.name != nullptr, types.count(type) == 1) << byte;
  }
}

INSTANTIATE_TEST_SUITE_P(, MessageTableOf, testing::Values(Sender::client, Sender::server),
                         [](const auto& tested) {
                           return tested.param == Sender::client ? "client" : "server";
                         });

TEST(MessageTable, has_a_line_for_every_start_up_message_of_the_manual) {
  std::vector<std::string> wanted;
  for (const Entry& entry : kManual) {
    if (entry.type == 0) wanted.emplace_back(entry.name);
  }
  std::vector<std::string> found;
  for (const StartupKind& kind : startup_kinds) {
    found.emplace_back(kind.name);
    EXPECT_GT(std::string(kind.handling).size(), 0U);
  }
  std::sort(wanted.begin(), wanted.end());
  std::sort(found.begin(), found.end());
  EXPECT_EQ(found, wanted);
}

TEST(MessageTable, has_the_start_up_codes_of_the_manual) {
  EXPECT_EQ(kProtocol3_0, 3U << 16);
  EXPECT_EQ(kProtocol3_2, (3U << 16) + 2);
  EXPECT_EQ(kCancelRequestCode, (1234U << 16) + 5678);
  EXPECT_EQ(kSslRequestCode, (1234U << 16) + 5679);
  EXPECT_EQ(kGssEncRequestCode, (1234U << 16) + 5680);
}

/// An enumerator and the name it must have in the table.
struct FrontendName {
  Frontend type;
  const char* name;
};
struct BackendName {
  Backend type;
  const char* name;
};

TEST(MessageTable, agrees_with_the_names_of_the_frontend_types) {
  for (const auto& [type, name] : {
           FrontendName{Frontend::Bind, "Bind"},
           FrontendName{Frontend::Close, "Close"},
           FrontendName{Frontend::CopyData, "CopyData"},
           FrontendName{Frontend::CopyDone, "CopyDone"},
           FrontendName{Frontend::CopyFail, "CopyFail"},
           FrontendName{Frontend::Describe, "Describe"},
           FrontendName{Frontend::Execute, "Execute"},
           FrontendName{Frontend::Flush, "Flush"},
           FrontendName{Frontend::FunctionCall, "FunctionCall"},
           FrontendName{Frontend::Parse, "Parse"},
           FrontendName{Frontend::Password, "Password"},
           FrontendName{Frontend::Query, "Query"},
           FrontendName{Frontend::Sync, "Sync"},
           FrontendName{Frontend::Terminate, "Terminate"},
       }) {
    EXPECT_STREQ(message_kind(Sender::client, static_cast<char>(type)).name, name);
    EXPECT_TRUE((Message{static_cast<char>(type), 0, {}}.is(type))) << name;
    EXPECT_FALSE((Message{'!', 0, {}}.is(type))) << name;
  }
}

TEST(MessageTable, agrees_with_the_names_of_the_backend_types) {
  for (const auto& [type, name] : {
           BackendName{Backend::Authentication, "Authentication"},
           BackendName{Backend::BackendKeyData, "BackendKeyData"},
           BackendName{Backend::BindComplete, "BindComplete"},
           BackendName{Backend::CloseComplete, "CloseComplete"},
           BackendName{Backend::CommandComplete, "CommandComplete"},
           BackendName{Backend::CopyBothResponse, "CopyBothResponse"},
           BackendName{Backend::CopyData, "CopyData"},
           BackendName{Backend::CopyDone, "CopyDone"},
           BackendName{Backend::CopyInResponse, "CopyInResponse"},
           BackendName{Backend::CopyOutResponse, "CopyOutResponse"},
           BackendName{Backend::DataRow, "DataRow"},
           BackendName{Backend::EmptyQueryResponse, "EmptyQueryResponse"},
           BackendName{Backend::ErrorResponse, "ErrorResponse"},
           BackendName{Backend::FunctionCallResponse, "FunctionCallResponse"},
           BackendName{Backend::NegotiateProtocolVersion, "NegotiateProtocolVersion"},
           BackendName{Backend::NoData, "NoData"},
           BackendName{Backend::NoticeResponse, "NoticeResponse"},
           BackendName{Backend::NotificationResponse, "NotificationResponse"},
           BackendName{Backend::ParameterDescription, "ParameterDescription"},
           BackendName{Backend::ParameterStatus, "ParameterStatus"},
           BackendName{Backend::ParseComplete, "ParseComplete"},
           BackendName{Backend::PortalSuspended, "PortalSuspended"},
           BackendName{Backend::ReadyForQuery, "ReadyForQuery"},
           BackendName{Backend::RowDescription, "RowDescription"},
       }) {
    EXPECT_STREQ(message_kind(Sender::server, static_cast<char>(type)).name, name);
    EXPECT_TRUE((Message{static_cast<char>(type), 0, {}}.is(type))) << name;
    EXPECT_FALSE((Message{'!', 0, {}}.is(type))) << name;
  }
}

TEST(MessageTable, has_the_bounds_of_the_server_s_messages) {
  // Bytes of the shortest body that the manual's layout allows, and, where the layout is fixed or
  // bounded, of the longest.
  constexpr std::uint32_t kOpen = 0xffffffff;
  struct Bounds {
    Backend type;
    std::uint32_t shortest;
    std::uint32_t longest;
  };
  constexpr Bounds kBounds[] = {
      {Backend::Authentication, 4, kOpen},
      {Backend::BackendKeyData, 4 + 4, 4 + 256},
      {Backend::BindComplete, 0, 0},
      {Backend::CloseComplete, 0, 0},
      {Backend::CommandComplete, 1, kOpen},
      {Backend::CopyBothResponse, 1 + 2, kOpen},
      {Backend::CopyData, 0, kOpen},
      {Backend::CopyDone, 0, 0},
      {Backend::CopyInResponse, 1 + 2, kOpen},
      {Backend::CopyOutResponse, 1 + 2, kOpen},
      {Backend::DataRow, 2, kOpen},
      {Backend::EmptyQueryResponse, 0, 0},
      {Backend::ErrorResponse, 1, kOpen},
      {Backend::FunctionCallResponse, 4, kOpen},
      {Backend::NegotiateProtocolVersion, 4 + 4, kOpen},
      {Backend::NoData, 0, 0},
      {Backend::NoticeResponse, 1, kOpen},
      {Backend::NotificationResponse, 4 + 1 + 1, kOpen},
      {Backend::ParameterDescription, 2, kOpen},
      {Backend::ParameterStatus, 1 + 1, kOpen},
      {Backend::ParseComplete, 0, 0},
      {Backend::PortalSuspended, 0, 0},
      {Backend::ReadyForQuery, 1, 1},
      {Backend::RowDescription, 2, kOpen},
  };
  for (const auto& [type, shortest, longest] : kBounds) {
    const MessageKind& kind = message_kind(Sender::server, static_cast<char>(type));
    EXPECT_EQ(kind.body_min, shortest) << kind.name;
    if (longest == kOpen) {
      EXPECT_GE(kind.body_max, 9000U) << kind.name;
    } else {
      EXPECT_EQ(kind.body_max, longest) << kind.name;
    }
  }
}

TEST(MessageTable, leaves_it_to_the_views_to_refuse_a_short_message_of_a_client) {
  for (int byte = 0; byte < 256; ++byte) {
    EXPECT_EQ(message_kind(Sender::client, static_cast<char>(byte)).body_min, 0U) << byte;
  }
}

TEST(MessageTable, takes_from_a_client_no_message_that_its_server_would_refuse) {
  // What PostgreSQL takes of each message, by the length word, which counts itself
  // (PQ_SMALL_MESSAGE_LIMIT and PQ_LARGE_MESSAGE_LIMIT; a server ends the connection beyond).
  for (const char type : {'C', 'D', 'E', 'H', 'S', 'X', 'c', 'f'}) {
    EXPECT_LE(message_kind(Sender::client, type).body_max + 4, 10000U) << type;
  }
  for (const char type : {'B', 'F', 'P', 'Q', 'd'}) {
    EXPECT_LE(message_kind(Sender::client, type).body_max + 4, 0x3ffffffeU) << type;
    EXPECT_GE(message_kind(Sender::client, type).body_max + 4, 0x3ffffff0U) << type;
  }
}

TEST(MessageTable, takes_from_a_server_every_row_that_postgresql_can_send) {
  // A row that is built in a StringInfo has up to MaxAllocSize - 1 bytes, and passes untouched.
  EXPECT_GE(message_kind(Sender::server, 'd').body_max, 0x3ffffffeU);
  EXPECT_GE(message_kind(Sender::server, 'D').body_max, 0x3ffffffeU);
}

TEST(MessageTable, passes_only_rows_and_copy_data_unseen) {
  for (int byte = 0; byte < 256; ++byte) {
    const char type = static_cast<char>(byte);
    EXPECT_EQ(message_kind(Sender::client, type).look == Look::pass, type == 'd') << byte;
    EXPECT_EQ(message_kind(Sender::server, type).look == Look::pass, type == 'd' || type == 'D')
        << byte;
  }
}

}  // namespace
}  // namespace forebay::pg
