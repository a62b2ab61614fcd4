#pragma once

#include <boost/json/value.hpp>
#include <cstdint>
#include <string>
#include <string_view>

#include "forebay/base/result.hpp"

/// JSON from other programs, which may say anything.
namespace forebay::routing {

/// The whole text as one object.
[[nodiscard]] Result<boost::json::object> parse_json_object(std::string_view text);

/// Whether it is a short text of one line, as may be shown to people.
[[nodiscard]] bool is_short(std::string_view text);
/// Such a text. Empty: there is none, or it is no such one.
[[nodiscard]] std::string short_text(const boost::json::object& object, std::string_view key);
[[nodiscard]] bool flag(const boost::json::object& object, std::string_view key);
/// 0 where there is none that fits.
[[nodiscard]] std::uint32_t small_number(const boost::json::object& object, std::string_view key);
/// Null where there is none.
[[nodiscard]] const boost::json::object* object_in(const boost::json::object& object,
                                                   std::string_view key);
[[nodiscard]] const boost::json::array* array_in(const boost::json::object& object,
                                                 std::string_view key);

}  // namespace forebay::routing
