#include "forebay/protocol/postgres/writer.hpp"

#include "forebay/base/assert.hpp"

namespace forebay::pg {
namespace {

/// As an Int16 counts columns and parameters.
std::uint16_t int16_of(std::size_t count) {
  FB_ASSERT(count <= 0xffff);
  return static_cast<std::uint16_t>(count);
}

void write_fields(std::string& out, Backend type, const Report& report) {
  MessageWriter message(out, type);
  message.u8('S').text(report.severity).u8('V').text(report.severity);
  message.u8('C').text(report.sqlstate).u8('M').text(report.message);
  if (!report.detail.empty()) message.u8('D').text(report.detail);
  if (!report.hint.empty()) message.u8('H').text(report.hint);
  message.u8(0);
}

}  // namespace

MessageWriter::~MessageWriter() {
  const std::uint64_t length = std::uint64_t{out_.size() - length_at_} + following_;
  FB_ASSERT(length <= kMessageMax);
  store_u32(out_.data() + length_at_, static_cast<std::uint32_t>(length));
}

MessageWriter& MessageWriter::text(Bytes value) {
  FB_ASSERT(value.find('\0') == Bytes::npos);
  out_.append(value);
  out_.push_back('\0');
  return *this;
}

void write_authentication(std::string& out, backend::AuthenticationCode code, Bytes payload) {
  MessageWriter(out, Backend::Authentication).u32(static_cast<std::uint32_t>(code)).bytes(payload);
}

void write_authentication_sasl(std::string& out, std::initializer_list<Bytes> mechanisms) {
  MessageWriter message(out, Backend::Authentication);
  message.u32(static_cast<std::uint32_t>(backend::AuthenticationCode::SASL));
  for (const Bytes mechanism : mechanisms) {
    if (!mechanism.empty()) message.text(mechanism);
  }
  message.u8(0);
}

void write_backend_key_data(std::string& out, std::uint32_t process_id, Bytes key) {
  MessageWriter(out, Backend::BackendKeyData).u32(process_id).bytes(key);
}

void write_command_complete(std::string& out, Bytes tag) {
  MessageWriter(out, Backend::CommandComplete).text(tag);
}

void write_data_row(std::string& out, std::span<const Bytes> values) {
  MessageWriter message(out, Backend::DataRow);
  message.u16(int16_of(values.size()));
  for (const Bytes value : values) {
    message.u32(static_cast<std::uint32_t>(value.size())).bytes(value);
  }
}

void write_error(std::string& out, const Report& report) {
  write_fields(out, Backend::ErrorResponse, report);
}

void write_notice(std::string& out, const Report& report) {
  write_fields(out, Backend::NoticeResponse, report);
}

void write_negotiate_protocol_version(std::string& out, std::uint32_t newest,
                                      std::span<const Bytes> unknown_options) {
  MessageWriter message(out, Backend::NegotiateProtocolVersion);
  message.u32(newest).u32(static_cast<std::uint32_t>(unknown_options.size()));
  for (const Bytes option : unknown_options) message.text(option);
}

void write_notification(std::string& out, std::uint32_t process_id, Bytes channel, Bytes payload) {
  MessageWriter(out, Backend::NotificationResponse).u32(process_id).text(channel).text(payload);
}

void write_parameter_status(std::string& out, Bytes name, Bytes value) {
  MessageWriter(out, Backend::ParameterStatus).text(name).text(value);
}

void write_ready_for_query(std::string& out, backend::TransactionStatus status) {
  MessageWriter(out, Backend::ReadyForQuery).u8(static_cast<std::uint8_t>(status));
}

void write_row_description(std::string& out, std::span<const Bytes> columns) {
  constexpr std::uint32_t kTextType = 25;
  MessageWriter message(out, Backend::RowDescription);
  message.u16(int16_of(columns.size()));
  for (const Bytes name : columns) {
    message.text(name).u32(0).u16(0).u32(kTextType).u16(0xffff).u32(0xffffffff).u16(0);
  }
}

void write_empty(std::string& out, Backend type) { MessageWriter(out, type); }

void write_bind(std::string& out, Bytes portal, Bytes statement,
                std::span<const std::pair<Bytes, bool>> values_or_null) {
  MessageWriter message(out, Frontend::Bind);
  message.text(portal).text(statement);
  message.u16(0).u16(int16_of(values_or_null.size()));
  for (const auto& [value, is_null] : values_or_null) {
    if (is_null) {
      message.u32(0xffffffff);
    } else {
      message.u32(static_cast<std::uint32_t>(value.size())).bytes(value);
    }
  }
  message.u16(0);
}

void write_cancel_request(std::string& out, std::uint32_t process_id, Bytes key) {
  MessageWriter(out, '\0').u32(kCancelRequestCode).u32(process_id).bytes(key);
}

void write_close(std::string& out, frontend::Target target, Bytes name) {
  MessageWriter(out, Frontend::Close).u8(static_cast<std::uint8_t>(target)).text(name);
}

void write_copy_fail(std::string& out, Bytes reason) {
  MessageWriter(out, Frontend::CopyFail).text(reason);
}

void write_describe(std::string& out, frontend::Target target, Bytes name) {
  MessageWriter(out, Frontend::Describe).u8(static_cast<std::uint8_t>(target)).text(name);
}

void write_execute(std::string& out, Bytes portal, std::uint32_t max_rows) {
  MessageWriter(out, Frontend::Execute).text(portal).u32(max_rows);
}

void write_parse(std::string& out, Bytes statement, Bytes definition) {
  MessageWriter(out, Frontend::Parse).text(statement).bytes(definition);
}

void write_parse_text(std::string& out, Bytes statement, Bytes text) {
  MessageWriter(out, Frontend::Parse).text(statement).text(text).u16(0);
}

void write_password(std::string& out, Bytes password) {
  MessageWriter(out, Frontend::Password).text(password);
}

void write_query(std::string& out, Bytes text) { MessageWriter(out, Frontend::Query).text(text); }

void write_sasl_initial_response(std::string& out, Bytes mechanism, Bytes response) {
  MessageWriter(out, Frontend::Password)
      .text(mechanism)
      .u32(static_cast<std::uint32_t>(response.size()))
      .bytes(response);
}

void write_sasl_response(std::string& out, Bytes response) {
  MessageWriter(out, Frontend::Password).bytes(response);
}

void write_ssl_request(std::string& out) { MessageWriter(out, '\0').u32(kSslRequestCode); }

void write_startup(std::string& out, std::uint32_t version, std::span<const NameValue> parameters) {
  MessageWriter message(out, '\0');
  message.u32(version);
  for (const auto& [name, value] : parameters) message.text(name).text(value);
  message.u8(0);
}

void write_empty(std::string& out, Frontend type) { MessageWriter(out, type); }

}  // namespace forebay::pg
