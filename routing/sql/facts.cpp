#include "forebay/routing/sql/facts.hpp"

namespace forebay::sql {
namespace {

/// What an allocator takes besides what was asked for.
constexpr std::size_t kAllocation = 16;

std::size_t bytes_of(const std::string& text) noexcept {
  // Short texts stand in the string itself.
  return text.capacity() < sizeof(std::string) / 2 ? 0 : text.capacity() + 1 + kAllocation;
}

template <class T, class Inside>
std::size_t bytes_of(const std::vector<T>& items, Inside inside) noexcept {
  if (items.capacity() == 0) return 0;
  std::size_t bytes = items.capacity() * sizeof(T) + kAllocation;
  for (const T& item : items) bytes += inside(item);
  return bytes;
}

std::size_t bytes_of_value(const Value& value) noexcept {
  return bytes_of(value.text);
}

std::size_t bytes_of_table(const Table& table) noexcept {
  return bytes_of(table.schema) + bytes_of(table.name) + bytes_of(table.alias);
}

std::size_t bytes_of_function(const Function& function) noexcept {
  return bytes_of(function.schema) + bytes_of(function.name) +
         bytes_of(function.arguments, bytes_of_value);
}

std::size_t bytes_of_setting(const Setting& setting) noexcept {
  return bytes_of(setting.name) + bytes_of_value(setting.name_value) +
         bytes_of_value(setting.local_value) + bytes_of(setting.values, bytes_of_value);
}

std::size_t bytes_of_statement(const Statement& statement) noexcept {
  return bytes_of(statement.name) + bytes_of(statement.makes_function) +
         bytes_of(statement.renamed_roles, [](const std::string& role) { return bytes_of(role); }) +
         bytes_of_value(statement.argument) + bytes_of(statement.tables, bytes_of_table) +
         bytes_of(statement.functions, bytes_of_function) +
         bytes_of(statement.settings, bytes_of_setting) +
         bytes_of(statement.inner, bytes_of_statement);
}

}  // namespace

std::size_t Facts::bytes() const noexcept {
  return sizeof(Facts) + kAllocation + bytes_of(reason) + bytes_of(statements, bytes_of_statement) +
         (verdict == nullptr ? 0 : verdict->bytes());
}

}  // namespace forebay::sql
