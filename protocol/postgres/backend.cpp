#include "forebay/protocol/postgres/backend.hpp"

#include "forebay/protocol/postgres/reader.hpp"

namespace forebay::pg::backend {

std::optional<Authentication> Authentication::parse(Bytes body) noexcept {
  Reader in(body);
  Authentication message;
  message.code = static_cast<AuthenticationCode>(in.u32());
  if (!in.ok()) return std::nullopt;
  message.payload = in.rest();
  return message;
}

std::vector<Bytes> Authentication::mechanisms() const {
  std::vector<Bytes> names;
  Reader in(payload);
  for (Bytes name = in.text(); in.ok() && !name.empty(); name = in.text()) names.push_back(name);
  if (!in.done()) names.clear();
  return names;
}

std::optional<BackendKeyData> BackendKeyData::parse(Bytes body) noexcept {
  Reader in(body);
  BackendKeyData message;
  message.process_id = in.u32();
  message.key = in.rest();
  if (!in.ok() || message.key.size() < 4 || message.key.size() > 256) return std::nullopt;
  return message;
}

std::optional<CommandComplete> CommandComplete::parse(Bytes body) noexcept {
  Reader in(body);
  const CommandComplete message{in.text()};
  if (!in.done()) return std::nullopt;
  return message;
}

std::optional<CopyResponse> CopyResponse::parse(Bytes body) noexcept {
  Reader in(body);
  CopyResponse message;
  message.format = in.u8();
  message.columns = in.u16();
  in.bytes(std::size_t{message.columns} * 2);
  if (!in.done()) return std::nullopt;
  return message;
}

std::optional<DataRow> DataRow::parse(Bytes body) noexcept {
  Reader in(body);
  DataRow message;
  message.columns = in.u16();
  if (!in.ok()) return std::nullopt;
  message.values = in.rest();
  return message;
}

std::optional<std::vector<std::optional<Bytes>>> DataRow::decode() const {
  std::vector<std::optional<Bytes>> row;
  Reader in(values);
  for (std::size_t i = 0; i < columns && in.ok(); ++i) {
    const std::int32_t length = in.i32();
    if (length < -1) return std::nullopt;
    if (length == -1) {
      row.emplace_back();
    } else {
      row.emplace_back(in.bytes(static_cast<std::size_t>(length)));
    }
  }
  if (!in.done()) return std::nullopt;
  return row;
}

std::optional<FunctionCallResponse> FunctionCallResponse::parse(Bytes body) noexcept {
  Reader in(body);
  FunctionCallResponse message;
  const std::int32_t length = in.i32();
  if (length >= 0) {
    message.value = in.bytes(static_cast<std::size_t>(length));
  } else if (length != -1) {
    return std::nullopt;
  }
  if (!in.done()) return std::nullopt;
  return message;
}

std::optional<NegotiateProtocolVersion> NegotiateProtocolVersion::parse(Bytes body) {
  Reader in(body);
  NegotiateProtocolVersion message;
  message.newest_minor = in.u32();
  const std::uint32_t count = in.u32();
  for (std::uint32_t i = 0; i < count && in.ok(); ++i) message.unknown_options.push_back(in.text());
  if (!in.done()) return std::nullopt;
  return message;
}

std::optional<NotificationResponse> NotificationResponse::parse(Bytes body) noexcept {
  Reader in(body);
  NotificationResponse message;
  message.process_id = in.u32();
  message.channel = in.text();
  message.payload = in.text();
  if (!in.done()) return std::nullopt;
  return message;
}

std::optional<ParameterDescription> ParameterDescription::parse(Bytes body) noexcept {
  Reader in(body);
  ParameterDescription message;
  message.count = in.u16();
  message.types = in.bytes(std::size_t{message.count} * 4);
  if (!in.done()) return std::nullopt;
  return message;
}

std::optional<ParameterStatus> ParameterStatus::parse(Bytes body) noexcept {
  Reader in(body);
  ParameterStatus message;
  message.name = in.text();
  message.value = in.text();
  if (!in.done()) return std::nullopt;
  return message;
}

std::optional<ReadyForQuery> ReadyForQuery::parse(Bytes body) noexcept {
  if (body.size() != 1) return std::nullopt;
  const char status = body.front();
  if (status != 'I' && status != 'T' && status != 'E') return std::nullopt;
  return ReadyForQuery{static_cast<TransactionStatus>(status)};
}

std::optional<RowDescription> RowDescription::parse(Bytes body) {
  Reader in(body);
  RowDescription message;
  const std::size_t count = in.u16();
  for (std::size_t i = 0; i < count && in.ok(); ++i) {
    Field field;
    field.name = in.text();
    field.table = in.u32();
    field.column = in.u16();
    field.type = in.u32();
    field.type_size = in.u16();
    field.type_modifier = in.u32();
    field.format = in.u16();
    message.fields.push_back(field);
  }
  if (!in.done()) return std::nullopt;
  return message;
}

Fields Fields::parse(Bytes body) noexcept {
  Fields fields;
  Reader in(body);
  for (std::uint8_t code = in.u8(); in.ok() && code != 0; code = in.u8()) {
    const Bytes value = in.text();
    if (!in.ok()) break;
    switch (code) {
      case 'S':
        if (fields.severity.empty()) fields.severity = value;
        break;
      case 'V': fields.severity = value; break;
      case 'C': fields.sqlstate = value; break;
      case 'M': fields.message = value; break;
      case 'D': fields.detail = value; break;
      case 'H': fields.hint = value; break;
      default: break;
    }
  }
  return fields;
}

}  // namespace forebay::pg::backend
