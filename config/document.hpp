#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "config/problems.hpp"

/// A TOML file as a tree of plain values that know their places. Everything behind this header is
/// free of the TOML library.
namespace forebay::config {

struct Member;
struct Value;
using Array = std::vector<Value>;
using Table = std::vector<Member>;  ///< in the order of their places in the file

/// Dates and times: no key takes one.
struct Moment {};

struct Value {
  Position at;
  std::variant<std::string, std::int64_t, double, bool, Moment, Array, Table> content;

  template <class T>
  [[nodiscard]] const T* as() const noexcept {
    return std::get_if<T>(&content);
  }
  /// "a string", "a whole number", ...: never the content itself, which may be a secret.
  [[nodiscard]] std::string_view kind() const noexcept;
};

struct Member {
  std::string name;
  Position at;  ///< of the name
  Value value;
};

/// The member of that name, or null.
[[nodiscard]] const Member* find(const Table& table, std::string_view name);

/// Follows names through tables inside tables; null if one is missing or no table.
[[nodiscard]] const Member* find(const Table& table, std::initializer_list<std::string_view> path);

/// Reads TOML 1.0, the text of this number. A syntax error is reported and leaves an empty table:
/// what follows it cannot be trusted. So are characters that no value of ours may contain (NUL).
[[nodiscard]] Table parse_document(std::string_view text, Problems& problems,
                                   std::uint32_t source = 0);

/// A configuration as it was read.
struct Document {
  Table root;
  std::vector<std::string> sources;  ///< by `Position::source`
};

}  // namespace forebay::config
