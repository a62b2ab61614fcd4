#pragma once

#include <array>
#include <cstdint>

#include "forebay/base/bytes.hpp"

/// PostgreSQL's frontend/backend protocol, version 3 (manual, chapter "Frontend/Backend Protocol",
/// section "Message Formats"). Pure functions and views over bytes: no sockets, no clock.
namespace forebay::pg {

/// Type bytes of the messages that a client sends.
enum class Frontend : char {
  Bind = 'B',
  Close = 'C',
  CopyData = 'd',
  CopyDone = 'c',
  CopyFail = 'f',
  Describe = 'D',
  Execute = 'E',
  Flush = 'H',
  FunctionCall = 'F',
  Parse = 'P',
  Password = 'p',  ///< PasswordMessage, SASLInitialResponse, SASLResponse, GSSResponse
  Query = 'Q',
  Sync = 'S',
  Terminate = 'X',
};

/// Type bytes of the messages that a server sends.
enum class Backend : char {
  Authentication = 'R',
  BackendKeyData = 'K',
  BindComplete = '2',
  CloseComplete = '3',
  CommandComplete = 'C',
  CopyBothResponse = 'W',
  CopyData = 'd',
  CopyDone = 'c',
  CopyInResponse = 'G',
  CopyOutResponse = 'H',
  DataRow = 'D',
  EmptyQueryResponse = 'I',
  ErrorResponse = 'E',
  FunctionCallResponse = 'V',
  NegotiateProtocolVersion = 'v',
  NoData = 'n',
  NoticeResponse = 'N',
  NotificationResponse = 'A',
  ParameterDescription = 't',
  ParameterStatus = 'S',
  ParseComplete = '1',
  PortalSuspended = 's',
  ReadyForQuery = 'Z',
  RowDescription = 'T',
};

/// Which side sent a message.
enum class Sender : std::uint8_t { client, server };

/// How much of a message has to be looked at before it may go on.
enum class Look : std::uint8_t {
  unknown,  ///< no such message from this side: the stream cannot be trusted any more
  pass,     ///< nothing; it goes on as it arrives, however long it is
  whole,    ///< all of it, unless it is larger than the inspection limit: then its head
};

/// A line of the message table.
struct MessageKind {
  const char* name = nullptr;     ///< as in the manual; null where there is no such message
  Look look = Look::unknown;
  std::uint32_t body_min = 0;     ///< bytes after the length word
  std::uint32_t body_max = 0;     ///< what PostgreSQL itself would accept, or less
  const char* handling = nullptr; ///< what Forebay does with it, for people
};

/// The kind of a message, by its sender and its type byte.
const MessageKind& message_kind(Sender sender, char type) noexcept;

/// The four messages without a type byte that a client may begin with.
struct StartupKind {
  const char* name;
  std::uint32_t code;
  const char* handling;
};
extern const std::array<StartupKind, 4> startup_kinds;

inline constexpr std::uint32_t kProtocol3_0 = 196608;
inline constexpr std::uint32_t kProtocol3_2 = 196610;
inline constexpr std::uint32_t kCancelRequestCode = 80877102;
inline constexpr std::uint32_t kSslRequestCode = 80877103;
inline constexpr std::uint32_t kGssEncRequestCode = 80877104;

/// Largest start-up packet, in bytes (PostgreSQL's MAX_STARTUP_PACKET_LENGTH).
inline constexpr std::uint32_t kStartupPacketMax = 10000;
/// Largest message that we ever build or accept, in bytes after the type byte (PostgreSQL's
/// PQ_LARGE_MESSAGE_LIMIT, MaxAllocSize - 1): a 32-bit length never comes near its end.
inline constexpr std::uint32_t kMessageMax = 0x3ffffffe;
/// PostgreSQL's limit for messages that are always small, counted in the same way
/// (PQ_SMALL_MESSAGE_LIMIT).
inline constexpr std::uint32_t kSmallMessageMax = 10000;
/// PostgreSQL's limit while a client is not yet authenticated (PG_MAX_AUTH_TOKEN_LENGTH is 65535);
/// the longest thing we expect there is a SASL message, which is far smaller.
inline constexpr std::uint32_t kAuthMessageMax = 8192;
/// Type byte and length word.
inline constexpr std::size_t kHeaderSize = 5;

/// Only so many bytes of a statement's or portal's name count (PostgreSQL's NAMEDATALEN - 1).
inline constexpr std::size_t kNameMax = 63;

}  // namespace forebay::pg
