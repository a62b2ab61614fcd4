#include "forebay/protocol/postgres/backend.hpp"

#include <string>

#include "forebay/base/assert.hpp"
#include "forebay/protocol/postgres/writer.hpp"
#include "fuzz/target.hpp"

/// Every view of a server's messages over the same body. What a view took is written again and must
/// be the same bytes.
namespace {

using namespace forebay;
using namespace forebay::pg;

void expect_body(const std::string& out, Bytes body) {
  FB_ASSERT(Bytes(out).substr(kHeaderSize) == body);
}

void check_login(Bytes body) {
  if (const auto authentication = backend::Authentication::parse(body)) {
    std::string out;
    write_authentication(out, authentication->code, authentication->payload);
    expect_body(out, body);
    std::size_t size = 1;
    for (const Bytes name : authentication->mechanisms()) {
      FB_ASSERT(!name.empty() && fuzz::stands_in(name, authentication->payload));
      size += name.size() + 1;
    }
    FB_ASSERT(size == 1 || size == authentication->payload.size());
  }
  if (const auto key = backend::BackendKeyData::parse(body)) {
    std::string out;
    write_backend_key_data(out, key->process_id, key->key);
    expect_body(out, body);
    FB_ASSERT(key->key.size() >= 4 && key->key.size() <= 256);
  }
  if (const auto negotiate = backend::NegotiateProtocolVersion::parse(body)) {
    std::string out;
    write_negotiate_protocol_version(out, negotiate->newest_minor, negotiate->unknown_options);
    expect_body(out, body);
  }
}

void check_texts(Bytes body) {
  if (const auto complete = backend::CommandComplete::parse(body)) {
    std::string out;
    write_command_complete(out, complete->tag);
    expect_body(out, body);
  }
  if (const auto notification = backend::NotificationResponse::parse(body)) {
    std::string out;
    write_notification(out, notification->process_id, notification->channel, notification->payload);
    expect_body(out, body);
  }
  if (const auto status = backend::ParameterStatus::parse(body)) {
    std::string out;
    write_parameter_status(out, status->name, status->value);
    expect_body(out, body);
  }
  if (const auto ready = backend::ReadyForQuery::parse(body)) {
    std::string out;
    write_ready_for_query(out, ready->status);
    expect_body(out, body);
  }
}

void check_rows(Bytes body) {
  if (const auto row = backend::DataRow::parse(body)) {
    if (const auto values = row->decode()) {
      FB_ASSERT(values->size() == row->columns);
      std::string out;
      {
        MessageWriter message(out, Backend::DataRow);
        message.u16(row->columns);
        for (const auto& value : *values) {
          message.u32(value ? static_cast<std::uint32_t>(value->size()) : 0xffffffff);
          message.bytes(value.value_or(Bytes{}));
        }
      }
      expect_body(out, body);
    }
  }
  if (const auto description = backend::RowDescription::parse(body)) {
    std::string out;
    {
      MessageWriter message(out, Backend::RowDescription);
      message.u16(static_cast<std::uint16_t>(description->fields.size()));
      for (const auto& field : description->fields) {
        message.text(field.name).u32(field.table).u16(field.column).u32(field.type);
        message.u16(field.type_size).u32(field.type_modifier).u16(field.format);
      }
    }
    expect_body(out, body);
  }
}

void check_counted(Bytes body) {
  if (const auto copy = backend::CopyResponse::parse(body)) {
    FB_ASSERT(body.size() == 3 + std::size_t{copy->columns} * 2);
  }
  if (const auto types = backend::ParameterDescription::parse(body)) {
    FB_ASSERT(types->types.size() == std::size_t{types->count} * 4);
    FB_ASSERT(body.size() == 2 + types->types.size() && body.ends_with(types->types));
  }
  if (const auto answer = backend::FunctionCallResponse::parse(body)) {
    FB_ASSERT(body.size() == 4 + answer->value.value_or(Bytes{}).size());
    FB_ASSERT(body.ends_with(answer->value.value_or(Bytes{})));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Bytes body = fuzz::bytes_of(data, size);
  check_login(body);
  check_texts(body);
  check_rows(body);
  check_counted(body);
  return 0;
}
