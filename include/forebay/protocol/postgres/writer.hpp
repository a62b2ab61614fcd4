#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <utility>

#include "forebay/base/bytes.hpp"
#include "forebay/protocol/postgres/backend.hpp"
#include "forebay/protocol/postgres/frontend.hpp"
#include "forebay/protocol/postgres/message_table.hpp"

namespace forebay::pg {

/// Appends one well-formed message to a buffer and fills in its length at the end; the only place
/// that writes a length. A message over kMessageMax is an error of ours (assertion): callers bound
/// what they put in.
class MessageWriter {
 public:
  /// Begins a message with a type byte, or (type 0) one of the untyped start-up messages.
  MessageWriter(std::string& out, char type) : out_(out) {
    if (type != 0) out_.push_back(type);
    length_at_ = out_.size();
    out_.append(4, '\0');
  }
  MessageWriter(std::string& out, Frontend type) : MessageWriter(out, static_cast<char>(type)) {}
  MessageWriter(std::string& out, Backend type) : MessageWriter(out, static_cast<char>(type)) {}
  MessageWriter(const MessageWriter&) = delete;
  MessageWriter& operator=(const MessageWriter&) = delete;
  /// Ends the message.
  ~MessageWriter();

  MessageWriter& u8(std::uint8_t value) {
    out_.push_back(static_cast<char>(value));
    return *this;
  }
  MessageWriter& u16(std::uint16_t value) {
    char bytes[2];
    store_u16(bytes, value);
    out_.append(bytes, sizeof bytes);
    return *this;
  }
  MessageWriter& u32(std::uint32_t value) {
    char bytes[4];
    store_u32(bytes, value);
    out_.append(bytes, sizeof bytes);
    return *this;
  }
  /// A text and its NUL. The text has none inside.
  MessageWriter& text(Bytes value);
  MessageWriter& bytes(Bytes value) {
    out_.append(value);
    return *this;
  }
  /// Counts bytes that the caller sends itself right after what is written here (the rest of a
  /// message whose head is rewritten).
  MessageWriter& followed_by(std::uint32_t count) {
    following_ = count;
    return *this;
  }

 private:
  std::string& out_;
  std::size_t length_at_;
  std::uint32_t following_ = 0;
};

/// A name and its value, as in start-up packets and ParameterStatus.
using NameValue = std::pair<Bytes, Bytes>;

/// What Forebay itself says to a client in an ErrorResponse or NoticeResponse.
struct Report {
  Bytes severity = "ERROR";
  Bytes sqlstate = "XX000";
  Bytes message;
  Bytes detail = {};
  Bytes hint = {};
};

// What a server says.
void write_authentication(std::string& out, backend::AuthenticationCode code, Bytes payload = {});
void write_authentication_sasl(std::string& out, std::initializer_list<Bytes> mechanisms);
void write_backend_key_data(std::string& out, std::uint32_t process_id, Bytes key);
void write_command_complete(std::string& out, Bytes tag);
void write_data_row(std::string& out, std::span<const Bytes> values);
void write_error(std::string& out, const Report& report);
void write_negotiate_protocol_version(std::string& out, std::uint32_t newest,
                                      std::span<const Bytes> unknown_options);
void write_notice(std::string& out, const Report& report);
void write_notification(std::string& out, std::uint32_t process_id, Bytes channel, Bytes payload);
void write_parameter_status(std::string& out, Bytes name, Bytes value);
void write_ready_for_query(std::string& out, backend::TransactionStatus status);
/// Columns of type text.
void write_row_description(std::string& out, std::span<const Bytes> columns);
/// A message that is nothing but its type: ParseComplete, BindComplete, CloseComplete, NoData, ...
void write_empty(std::string& out, Backend type);

// What a client says.
void write_bind(std::string& out, Bytes portal, Bytes statement,
                std::span<const std::pair<Bytes, bool>> values_or_null);
void write_cancel_request(std::string& out, std::uint32_t process_id, Bytes key);
void write_close(std::string& out, frontend::Target target, Bytes name);
void write_copy_fail(std::string& out, Bytes reason);
void write_describe(std::string& out, frontend::Target target, Bytes name);
void write_execute(std::string& out, Bytes portal, std::uint32_t max_rows);
/// `definition` as in frontend::Parse.
void write_parse(std::string& out, Bytes statement, Bytes definition);
/// Text and no parameter types.
void write_parse_text(std::string& out, Bytes statement, Bytes text);
void write_password(std::string& out, Bytes password);
void write_query(std::string& out, Bytes text);
void write_sasl_initial_response(std::string& out, Bytes mechanism, Bytes response);
void write_sasl_response(std::string& out, Bytes response);
void write_ssl_request(std::string& out);
void write_startup(std::string& out, std::uint32_t version, std::span<const NameValue> parameters);
void write_empty(std::string& out, Frontend type);

}  // namespace forebay::pg
