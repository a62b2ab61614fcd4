#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "forebay/base/bytes.hpp"

/// Views of the messages that a server sends, named as in the manual's "Message Formats".
/// `parse(body)` gives nothing when the body is not well formed: servers are not trusted either.
/// All views live as long as the body they were made from. Messages without a body (BindComplete,
/// CloseComplete, CopyDone, EmptyQueryResponse, NoData, ParseComplete, PortalSuspended) and
/// CopyData have no view.
namespace forebay::pg::backend {

/// The Int32 that tells one authentication message from another.
enum class AuthenticationCode : std::uint32_t {
  Ok = 0,
  KerberosV5 = 2,
  CleartextPassword = 3,
  MD5Password = 5,
  GSS = 7,
  GSSContinue = 8,
  SSPI = 9,
  SASL = 10,
  SASLContinue = 11,
  SASLFinal = 12,
};

struct Authentication {
  AuthenticationCode code;
  Bytes payload;  ///< salt, mechanism list or SASL data

  static std::optional<Authentication> parse(Bytes body) noexcept;
  /// Mechanism names of AuthenticationSASL; empty when the list is malformed.
  [[nodiscard]] std::vector<Bytes> mechanisms() const;
};

/// BackendKeyData. The key has 4 bytes in protocol 3.0 and up to 256 in 3.2.
struct BackendKeyData {
  std::uint32_t process_id;
  Bytes key;
  static std::optional<BackendKeyData> parse(Bytes body) noexcept;
};

struct CommandComplete {
  Bytes tag;
  static std::optional<CommandComplete> parse(Bytes body) noexcept;
};

/// CopyInResponse, CopyOutResponse and CopyBothResponse.
struct CopyResponse {
  std::uint8_t format;  ///< 0 text, 1 binary
  std::uint16_t columns;
  static std::optional<CopyResponse> parse(Bytes body) noexcept;
};

struct DataRow {
  std::uint16_t columns;
  Bytes values;
  static std::optional<DataRow> parse(Bytes body) noexcept;
  /// The values in order, nothing for NULL; nothing at all when a length is wrong.
  [[nodiscard]] std::optional<std::vector<std::optional<Bytes>>> decode() const;
};

struct FunctionCallResponse {
  std::optional<Bytes> value;
  static std::optional<FunctionCallResponse> parse(Bytes body) noexcept;
};

struct NegotiateProtocolVersion {
  std::uint32_t newest_minor;  ///< the minor version, or (servers differ) the whole version number
  std::vector<Bytes> unknown_options;
  static std::optional<NegotiateProtocolVersion> parse(Bytes body);
};

struct NotificationResponse {
  std::uint32_t process_id;
  Bytes channel;
  Bytes payload;
  static std::optional<NotificationResponse> parse(Bytes body) noexcept;
};

struct ParameterDescription {
  std::uint16_t count;
  Bytes types;  ///< Int32 each
  static std::optional<ParameterDescription> parse(Bytes body) noexcept;
};

struct ParameterStatus {
  Bytes name;
  Bytes value;
  static std::optional<ParameterStatus> parse(Bytes body) noexcept;
};

/// Transaction status as ReadyForQuery says it.
enum class TransactionStatus : char { idle = 'I', in_transaction = 'T', failed = 'E' };

struct ReadyForQuery {
  TransactionStatus status;
  static std::optional<ReadyForQuery> parse(Bytes body) noexcept;
};

struct RowDescription {
  struct Field {
    Bytes name;
    std::uint32_t table;
    std::uint16_t column;
    std::uint32_t type;
    std::uint16_t type_size;
    std::uint32_t type_modifier;
    std::uint16_t format;
  };
  std::vector<Field> fields;
  static std::optional<RowDescription> parse(Bytes body);
};

/// ErrorResponse and NoticeResponse (manual, "Error and Notice Message Fields"). Every field is
/// optional: a hostile server sends none.
struct Fields {
  Bytes severity;        ///< 'V' where there is one (never translated), else 'S'
  Bytes sqlstate;        ///< 'C'
  Bytes message;         ///< 'M'
  Bytes detail;          ///< 'D'
  Bytes hint;            ///< 'H'
  /// Takes what is there, also of the mere head of a large message.
  static Fields parse(Bytes body) noexcept;

  /// The server ends the connection after this message.
  [[nodiscard]] bool fatal() const noexcept { return severity == "FATAL" || severity == "PANIC"; }
};

}  // namespace forebay::pg::backend
