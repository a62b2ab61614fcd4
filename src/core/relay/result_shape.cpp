#include "core/relay/result_shape.hpp"

#include <functional>
#include <string>
#include <string_view>

#include "forebay/protocol/postgres/backend.hpp"

namespace forebay::core {

ResultShape result_shape(Bytes row_description) {
  const auto description = pg::backend::RowDescription::parse(row_description);
  if (!description) return kUnreadable;
  std::string text;
  for (const auto& field : description->fields) {
    text.append(field.name);
    for (const std::uint32_t number : {field.type, field.type_modifier}) {
      text += '\0';
      text += std::to_string(number);
    }
    text += '\0';
  }
  const ResultShape shape = std::hash<std::string_view>{}(text);
  return shape > kUnreadable ? shape : shape + kUnreadable + 1;
}

}  // namespace forebay::core
