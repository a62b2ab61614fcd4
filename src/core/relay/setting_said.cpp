#include "core/relay/setting_said.hpp"

#include <algorithm>

namespace forebay::core {
namespace {

bool is_word(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '$' ||
         (c & 0x80) != 0;
}

/// Reads the key of a shape: the text in small letters, without comments and literals.
class KeyReader {
 public:
  KeyReader(Bytes text, const sql::Shape& shape) : text_(text), shape_(shape), rest_(shape.key()) {}

  bool take(Bytes sign) {
    skip_blanks();
    if (!rest_.starts_with(sign)) return false;
    if (is_word(sign.back()) && rest_.size() > sign.size() && is_word(rest_[sign.size()])) {
      return false;
    }
    rest_.remove_prefix(sign.size());
    return true;
  }

  /// A name without quotes.
  Bytes take_name() {
    skip_blanks();
    const auto* end = std::find_if_not(rest_.begin(), rest_.end(), is_word);
    const Bytes name = rest_.substr(0, static_cast<std::size_t>(end - rest_.begin()));
    if (name.empty() || name.front() == '$' || (name.front() >= '0' && name.front() <= '9')) {
      return {};
    }
    rest_.remove_prefix(name.size());
    return name;
  }

  /// False: no literal stands there, or none whose value is known.
  bool take_literal(std::string& value, bool& number) {
    skip_blanks();
    if (rest_.empty() || rest_.front() != sql::kLiteralMark) return false;
    if (literal_ >= shape_.literals().size()) return false;
    const sql::Literal& literal = shape_.literals()[literal_++];
    rest_.remove_prefix(1);
    number = literal.kind == sql::LiteralKind::number;
    if (literal.kind == sql::LiteralKind::bit_string ||
        literal.kind == sql::LiteralKind::hex_string || literal.kind == sql::LiteralKind::list) {
      return false;
    }
    return sql::literal_value(text_, literal, value);
  }

  bool ends() {
    while (take(";")) continue;
    return rest_.empty();
  }

 private:
  void skip_blanks() { rest_.remove_prefix(std::min(rest_.find_first_not_of(' '), rest_.size())); }

  Bytes text_;
  const sql::Shape& shape_;
  Bytes rest_;
  std::size_t literal_ = 0;
};

// A name, a text, or a number as PostgreSQL itself would write it.
bool take_value(KeyReader& key, std::string& value) {
  const bool negative = key.take("-");
  bool number = false;
  if (key.take_literal(value, number)) {
    if (!number) return !negative;
    const bool digits =
        std::all_of(value.begin(), value.end(), [](char c) { return c >= '0' && c <= '9'; });
    if (!digits || (value.front() == '0' && value != "0")) return false;
    if (negative) value.insert(0, 1, '-');
    return true;
  }
  value = key.take_name();
  return !negative && !value.empty() && value != "default" &&
         std::none_of(value.begin(), value.end(), [](char c) { return (c & 0x80) != 0; });
}

bool take_set(KeyReader& key, Bytes setting, SettingSaid& said) {
  return key.take("set") && key.take("local") && key.take(setting) &&
         (key.take("=") || key.take("to")) && take_value(key, said.value);
}

bool take_call(KeyReader& key, Bytes setting, SettingSaid& said) {
  if (!key.take("select")) return false;
  if (key.take("pg_catalog") && !key.take(".")) return false;
  std::string name;
  bool number = false;
  if (!key.take("set_config") || !key.take("(") || !key.take_literal(name, number) || number ||
      lower(name) != setting || !key.take(",")) {
    return false;
  }
  said.bound = key.take("$1");
  if (!said.bound && (!key.take_literal(said.value, number) || number)) return false;
  if (key.take("::") && !key.take("text") && !key.take("varchar")) return false;
  if (!key.take(",") || !key.take("true") || !key.take(")")) return false;
  said.call = true;
  said.column = "set_config";
  if (!key.take("as")) return true;
  said.column = key.take_name();
  return !said.column.empty();
}

/// Of types whose values are the bytes of the text: none is declared, text, character varying.
constexpr std::uint32_t kTextTypes[] = {0, 25, 1043};

}  // namespace

std::optional<SettingSaid> setting_said(Bytes text, const sql::Shape& shape, Bytes setting) {
  if (shape.fault() != sql::ShapeFault::none || setting.empty()) return std::nullopt;
  const std::string name = lower(setting);
  for (const auto take : {&take_set, &take_call}) {
    KeyReader key(text, shape);
    SettingSaid said;
    if (take(key, name, said) && key.ends()) return said;
  }
  return std::nullopt;
}

bool may_say(const SettingSaid& said, Bytes types) noexcept {
  if (types.size() < 2) return false;
  const std::size_t count = load_u16(types.data());
  if (count == 0) return true;
  return said.bound && count == 1 && types.size() == 6 &&
         std::ranges::find(kTextTypes, load_u32(types.data() + 2)) != std::end(kTextTypes);
}

bool take_bound(SettingSaid& said, Bytes values, bool& binary) {
  const auto number = [&values](std::size_t size) -> std::uint32_t {
    if (values.size() < size) {
      values = {};
      return ~0U;
    }
    const std::uint32_t found = size == 2 ? load_u16(values.data()) : load_u32(values.data());
    values.remove_prefix(size);
    return found;
  };
  const auto formats = [&](bool& last) {
    const std::uint32_t count = number(2);
    if (count == 0) return true;
    const std::uint32_t format = count == 1 ? number(2) : 2;
    last = format == 1;
    return format <= 1;
  };
  bool coded = false;
  if (!formats(coded) || number(2) != (said.bound ? 1 : 0)) return false;
  if (said.bound) {
    const std::uint32_t size = number(4);
    said.value.clear();  // NULL says nothing
    if (size != ~0U) {
      if (values.size() < size) return false;
      said.value = values.substr(0, size);
      values.remove_prefix(size);
    }
  }
  return formats(binary) && values.empty();
}

}  // namespace forebay::core
