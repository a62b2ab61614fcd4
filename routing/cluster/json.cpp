#include "routing/cluster/json.hpp"

#include <algorithm>
#include <boost/json/src.hpp>
#include <limits>
#include <utility>

namespace forebay::routing {
namespace {

namespace json = boost::json;

constexpr std::size_t kDepthMax = 16;
constexpr std::size_t kTextMax = 256;

const json::value* value_in(const json::object& object, std::string_view key) {
  return object.if_contains(json::string_view(key.data(), key.size()));
}

}  // namespace

Result<json::object> parse_json_object(std::string_view text) {
  json::parse_options options;
  options.max_depth = kDepthMax;
  json::error_code error;
  json::value value = json::parse(json::string_view(text.data(), text.size()), error, {}, options);
  if (error) return failure("it is no JSON (" + error.message() + ")");
  if (!value.is_object()) return failure("it is no JSON object");
  return std::move(value.get_object());
}

std::string short_text(const json::object& object, std::string_view key) {
  const json::value* value = value_in(object, key);
  const json::string* text = value == nullptr ? nullptr : value->if_string();
  return text != nullptr && is_short({text->data(), text->size()})
             ? std::string(text->data(), text->size())
             : std::string();
}

bool is_short(std::string_view text) {
  return text.size() <= kTextMax && std::none_of(text.begin(), text.end(), [](char letter) {
           const auto code = static_cast<unsigned char>(letter);
           return code < 0x20 || code == 0x7f;
         });
}

bool flag(const json::object& object, std::string_view key) {
  const json::value* value = value_in(object, key);
  return value != nullptr && value->is_bool() && value->get_bool();
}

std::uint32_t small_number(const json::object& object, std::string_view key) {
  const json::value* value = value_in(object, key);
  const std::int64_t* number = value == nullptr ? nullptr : value->if_int64();
  const bool fits = number != nullptr && *number > 0 &&
                    *number <= std::int64_t{std::numeric_limits<std::uint32_t>::max()};
  return fits ? static_cast<std::uint32_t>(*number) : 0;
}

const json::object* object_in(const json::object& object, std::string_view key) {
  const json::value* value = value_in(object, key);
  return value == nullptr ? nullptr : value->if_object();
}

const json::array* array_in(const json::object& object, std::string_view key) {
  const json::value* value = value_in(object, key);
  return value == nullptr ? nullptr : value->if_array();
}

}  // namespace forebay::routing
