#include "admin/table.hpp"

#include <charconv>

#include "forebay/base/assert.hpp"
#include "forebay/protocol/postgres/writer.hpp"

namespace forebay::admin {
namespace {

constexpr std::uint16_t kBinary = 1;

std::uint16_t format_of(std::span<const std::uint16_t> formats, std::size_t column) {
  if (formats.empty()) return 0;
  return formats.size() == 1 ? formats[0] : formats[column];
}

std::uint16_t size_of(Type type) {
  if (type == Type::int8) return 8;
  if (type == Type::int4) return 4;
  return 0xffff;
}

void big_endian(std::string& out, std::uint64_t value, int bytes) {
  for (int i = bytes; i-- > 0;) out.push_back(static_cast<char>(value >> (8 * i)));
}

// Whole numbers from zero on, in groups of four decimal digits, as numeric_send.
std::string numeric(std::uint64_t value) {
  std::vector<std::uint16_t> digits;
  for (; value > 0; value /= 10'000) {
    digits.insert(digits.begin(), static_cast<std::uint16_t>(value % 10'000));
  }
  std::string out;
  big_endian(out, digits.size(), 2);
  big_endian(out, digits.empty() ? 0 : digits.size() - 1, 2);
  big_endian(out, 0, 4);
  for (const std::uint16_t digit : digits) big_endian(out, digit, 2);
  return out;
}

std::string binary(Type type, const std::string& text) {
  if (type == Type::text) return text;
  std::int64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  if (type == Type::numeric) return numeric(static_cast<std::uint64_t>(value));
  std::string out;
  big_endian(out, static_cast<std::uint64_t>(value), type == Type::int8 ? 8 : 4);
  return out;
}

}  // namespace

void write_columns(std::string& out, std::span<const Column> columns,
                   std::span<const std::uint16_t> formats) {
  pg::MessageWriter message(out, pg::Backend::RowDescription);
  message.u16(static_cast<std::uint16_t>(columns.size()));
  for (std::size_t i = 0; i < columns.size(); ++i) {
    message.text(columns[i].name).u32(0).u16(0);
    message.u32(static_cast<std::uint32_t>(columns[i].type)).u16(size_of(columns[i].type));
    message.u32(0xffffffff).u16(format_of(formats, i));
  }
}

void write_row(std::string& out, std::span<const Column> columns, const Row& row,
               std::span<const std::uint16_t> formats) {
  FB_ASSERT(row.size() == columns.size());
  pg::MessageWriter message(out, pg::Backend::DataRow);
  message.u16(static_cast<std::uint16_t>(row.size()));
  for (std::size_t i = 0; i < row.size(); ++i) {
    if (row[i].null) {
      message.u32(0xffffffff);
      continue;
    }
    const bool plain = format_of(formats, i) != kBinary;
    const std::string value = plain ? row[i].text : binary(columns[i].type, row[i].text);
    message.u32(static_cast<std::uint32_t>(value.size())).bytes(value);
  }
}

}  // namespace forebay::admin
