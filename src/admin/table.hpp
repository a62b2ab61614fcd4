#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace forebay::admin {

/// Types of PostgreSQL that the console's columns have, by their object ids.
enum class Type : std::uint32_t { int8 = 20, int4 = 23, text = 25, numeric = 1700 };

struct Column {
  std::string_view name;
  Type type = Type::text;
};

/// A value as text; numbers are whole.
struct Value {
  std::string text;
  bool null = false;

  Value(std::string value) : text(std::move(value)) {}
  Value(std::string_view value) : text(value) {}
  Value(const char* value) : text(value) {}
  template <std::integral Number>
  Value(Number value) : text(std::to_string(value)) {}
  static Value none() {
    Value value("");
    value.null = true;
    return value;
  }
};

using Row = std::vector<Value>;
using Rows = std::vector<Row>;

/// Appends a RowDescription. `formats` as in Bind: none, one for all, or one for each.
void write_columns(std::string& out, std::span<const Column> columns,
                   std::span<const std::uint16_t> formats);
/// Appends a DataRow.
void write_row(std::string& out, std::span<const Column> columns, const Row& row,
               std::span<const std::uint16_t> formats);

}  // namespace forebay::admin
