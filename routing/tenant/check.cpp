#include "forebay/routing/tenant/check.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

#include "routing/sql/tokens.hpp"

namespace forebay::tenant {
namespace {

/// PostgreSQL's names of types, by number.
enum Oid : std::uint32_t {
  kUndeclared = 0,
  kInt8 = 20,
  kInt2 = 21,
  kInt4 = 23,
  kText = 25,
  kUnknown = 705,
  kInt2Array = 1005,
  kInt4Array = 1007,
  kTextArray = 1009,
  kVarcharArray = 1015,
  kInt8Array = 1016,
  kVarchar = 1043,
  kUuid = 2950,
  kUuidArray = 2951
};

/// A longer value might be cut somewhere, as names are.
constexpr std::size_t kValueMax = 63;

bool is_integer(Bytes text) noexcept {
  const Bytes digits = text.starts_with('-') ? text.substr(1) : text;
  if (digits.empty() || digits.size() > 19 || (digits[0] == '0' && text.size() > 1)) return false;
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size();
}

bool is_uuid(Bytes text) noexcept {
  if (text.size() != 36) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    const char c = static_cast<char>(text[i] | 32);
    if (dash ? text[i] != '-' : !sql::is_digit(text[i]) && (c < 'a' || c > 'f')) return false;
  }
  return true;
}

bool same(ColumnType type, Bytes tenant, Bytes value) {
  return type == ColumnType::uuid ? tenant == lower(value) : tenant == value;
}

/// A parameter in binary format.
bool same_binary(ColumnType type, Bytes tenant, Bytes value) {
  if (type == ColumnType::text) return tenant == value;
  std::string text;
  if (type == ColumnType::uuid) {
    if (value.size() != 16) return false;
    constexpr Bytes kDigits = "0123456789abcdef";
    for (std::size_t i = 0; i < value.size(); ++i) {
      if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
      const auto byte = static_cast<unsigned char>(value[i]);
      text += kDigits[byte >> 4];
      text += kDigits[byte & 15];
    }
  } else {
    if (value.size() == 2) {
      text = std::to_string(static_cast<std::int16_t>(load_u16(value.data())));
    } else if (value.size() == 4) {
      text = std::to_string(static_cast<std::int32_t>(load_u32(value.data())));
    } else if (value.size() == 8) {
      const std::uint64_t high = load_u32(value.data());
      text = std::to_string(static_cast<std::int64_t>(high << 32 | load_u32(value.data() + 4)));
    } else {
      return false;
    }
  }
  return tenant == text;
}

bool is_of_type(ColumnType type, std::uint32_t oid) noexcept {
  switch (type) {
    case ColumnType::integer:
      return oid == kInt2 || oid == kInt4 || oid == kInt8;
    case ColumnType::uuid:
      return oid == kUuid;
    default:
      return oid == kText || oid == kVarchar;
  }
}

bool readable_type(ColumnType type, std::uint32_t oid, bool array) noexcept {
  if (oid == kUndeclared || oid == kUnknown) return true;
  if (!array) return is_of_type(type, oid);
  switch (type) {
    case ColumnType::integer:
      return oid == kInt2Array || oid == kInt4Array || oid == kInt8Array;
    case ColumnType::uuid:
      return oid == kUuidArray;
    default:
      return oid == kTextArray || oid == kVarcharArray;
  }
}

/// An array as it is written: {1,1} or {"1"}, without anything that would have to be understood.
bool same_elements(ColumnType type, Bytes tenant, Bytes value) {
  if (value.size() < 2 || value.front() != '{' || value.back() != '}') return false;
  if (tenant.find_first_of("{}\"\\, ") != Bytes::npos || lower(tenant) == "null") return false;
  Bytes rest = value.substr(1, value.size() - 2);
  while (!rest.empty()) {
    const std::size_t comma = rest.find(',');
    Bytes element = rest.substr(0, comma);
    if (element.size() >= 2 && element.front() == '"' && element.back() == '"') {
      element = element.substr(1, element.size() - 2);
    }
    if (!same(type, tenant, element)) return false;
    if (comma == Bytes::npos) break;
    rest.remove_prefix(comma + 1);
    if (rest.empty()) return false;
  }
  return true;
}

/// An array in binary format, of one dimension.
bool same_elements_binary(ColumnType type, Bytes tenant, Bytes value) {
  if (value.size() < 12) return false;
  const std::uint32_t dimensions = load_u32(value.data());
  if (!is_of_type(type, load_u32(value.data() + 8))) return false;
  if (dimensions == 0) return value.size() == 12;
  if (dimensions != 1 || value.size() < 20) return false;
  std::uint32_t count = load_u32(value.data() + 12);
  for (value.remove_prefix(20); count > 0; --count) {
    if (value.size() < 4) return false;
    const std::uint32_t size = load_u32(value.data());
    value.remove_prefix(4);
    if (size > value.size() || !same_binary(type, tenant, value.substr(0, size))) return false;
    value.remove_prefix(size);
  }
  return value.empty();
}

Violation violation(const Finding& finding) {
  std::string message = finding.table.empty()
                            ? "statement refused for tenants: "
                            : "table \"" + finding.table + "\" refused for tenants: ";
  return {finding.mode, message + finding.why};
}

Violation other_value(const Policy& policy, const Verdict& verdict) {
  return violation({verdict.places_mode, verdict.places_table,
                    "a value for \"" + policy.column + "\" is not the session's tenant"});
}

/// Its value is the tenant's; the other rules are about settings.
bool is_of_tenant(Place::Rule rule) noexcept {
  return rule == Place::Rule::tenant || rule == Place::Rule::text || rule == Place::Rule::elements;
}

/// One text's values.
class Values {
 public:
  Values(const Policy& policy, Bytes tenant, Bytes text, sql::StandardStrings standard,
         const sql::Shape& shape, std::vector<std::uint32_t>& parameters)
      : policy_(policy),
        tenant_(tenant),
        text_(text),
        standard_(standard),
        shape_(shape),
        parameters_(parameters) {}

  bool right(const Place& place) {
    switch (place.kind) {
      case Place::Kind::parameter:
        parameters_.push_back(place.index | flag(place.rule));
        return true;
      case Place::Kind::list:
        return right_list(place);
      default:
        return right_literal(shape_.literals()[place.index], place.rule, place.negative);
    }
  }

 private:
  static std::uint32_t flag(Place::Rule rule) noexcept {
    if (rule == Place::Rule::elements) return kArrayParameter;
    return rule == Place::Rule::text ? kTextParameter : 0;
  }

  bool right_literal(const sql::Literal& literal, Place::Rule rule, bool negative) {
    // Most are plain: nothing is copied.
    const Bytes written = literal.span.of(text_);
    Bytes value = written;
    if (literal.kind == sql::LiteralKind::string && written.size() >= 2 &&
        written.find('\'', 1) == written.size() - 1) {
      value = written.substr(1, written.size() - 2);
    } else if (literal.kind != sql::LiteralKind::number) {
      if (!sql::literal_value(text_, literal, value_)) return false;
      value = value_;
    }
    switch (rule) {
      case Place::Rule::setting_name: {
        const std::string name = lower(value);
        return name != "client_encoding" && !is_kept_setting(policy_, name);
      }
      case Place::Rule::encoding:
        return sql::lexable_encoding(value);
      case Place::Rule::elements:
        return literal.kind != sql::LiteralKind::number && !negative &&
               same_elements(policy_.type, tenant_, value);
      default:
        break;
    }
    // The server writes a number in its own way where it makes a text of it.
    const bool number = literal.kind == sql::LiteralKind::number;
    if (number && policy_.type != ColumnType::integer && !is_integer(value)) return false;
    if (!negative) return same(policy_.type, tenant_, value);
    return tenant_.starts_with('-') && same(policy_.type, tenant_.substr(1), value);
  }

  bool right_list(const Place& place) {
    sql::ListReader reader(text_, shape_.literals()[place.index], standard_);
    sql::ListReader::Element element;
    std::uint32_t row = 0;
    bool seen = true;  // the row that ended has had the column
    for (; reader.next(element);) {
      if (element.row != row) {
        if (!seen && place.column != Place::kEveryColumn) return false;
        row = element.row;
        seen = false;
      }
      if (element.row == 0 && element.column == 0) seen = false;
      if (place.column != Place::kEveryColumn && element.column != place.column) continue;
      seen = true;
      if (element.parameter != 0) {
        parameters_.push_back(element.parameter | flag(place.rule));
      } else if (!element.literal) {
        return false;
      } else if (!right_literal({element.span, element.kind}, place.rule, false)) {
        return false;
      }
    }
    return seen;
  }

  const Policy& policy_;
  Bytes tenant_;
  Bytes text_;
  sql::StandardStrings standard_;
  const sql::Shape& shape_;
  std::vector<std::uint32_t>& parameters_;
  std::string value_;
};

/// How often each $n stands in a text that was lexed before; by n.
std::vector<std::uint32_t> count_parameters(Bytes text) {
  using sql::Class;
  std::vector<std::uint32_t> counts(1);
  const char* const end = text.data() + text.size();
  for (const char* at = text.data(); at != nullptr && at < end;) {
    const char* const after = sql::blank_end(at, end);
    if (after == nullptr || after > at) {
      at = after;
      continue;
    }
    const Class kind = sql::class_of(*at);
    std::uint32_t found = 0;
    if (kind == Class::quote || (kind == Class::prefix && sql::string_begins(at, end))) {
      at = sql::string_end(at, end, sql::StandardStrings::on).end;
    } else if (kind == Class::word || kind == Class::prefix) {
      while (at < end && sql::folded(*at) != 0) ++at;
    } else if (kind == Class::digit) {
      at = sql::number_end(at, end);
    } else if (kind == Class::double_quote) {
      at = sql::quoted_end(at, end);
    } else if (kind == Class::op) {
      at = sql::operator_end(at, end);
    } else if (kind == Class::dollar && end - at > 1 && sql::is_digit(at[1])) {
      at = sql::parameter_end(at, end, found);
    } else {
      at = kind == Class::dollar ? sql::dollar_string_end(at, end) : at + 1;
    }
    if (found == 0) continue;
    if (found >= counts.size()) counts.resize(found + 1);
    ++counts[found];
  }
  return counts;
}

constexpr std::uint32_t kFlags = kArrayParameter | kTextParameter;

/// The same for the parameters that are in a list, and what they are.
struct Listed {
  std::uint32_t count = 0;
  std::uint32_t flags = 0;
};
std::vector<Listed> count_listed(const std::vector<std::uint32_t>& parameters) {
  std::vector<Listed> all(1);
  for (const std::uint32_t each : parameters) {
    const std::uint32_t number = each & ~kFlags;
    if (number >= all.size()) all.resize(number + 1);
    ++all[number].count;
    all[number].flags |= each & kFlags;
  }
  return all;
}

/// A Bind's formats and values.
class BoundValues {
 public:
  explicit BoundValues(Bytes values) : values_(values) {
    formats_ = number();
    formats_at_ = at_;
    at_ += std::size_t{2} * formats_;
    count_ = number();
  }

  /// The next value, in order; false where there is none, or the message ends before it.
  bool next(Bytes& value, bool& binary, bool& null) {
    if (!good_ || index_ >= count_ || at_ + 4 > values_.size()) return false;
    const std::size_t format = formats_ == 1 ? 0 : index_;
    binary = format < formats_ && load_u16(values_.data() + formats_at_ + 2 * format) != 0;
    ++index_;
    const std::uint32_t size = load_u32(values_.data() + at_);
    at_ += 4;
    null = size == 0xffffffff;
    value = {};
    if (null) return true;
    // A value that is cut off is no tenant's.
    value = values_.substr(std::min(at_, values_.size()), size);
    if (value.size() < size) good_ = null = true;
    at_ += size;
    return true;
  }

 private:
  std::uint16_t number() {
    if (at_ + 2 > values_.size()) {
      good_ = false;
      return 0;
    }
    const std::uint16_t value = load_u16(values_.data() + at_);
    at_ += 2;
    return value;
  }

  Bytes values_;
  std::size_t at_ = 0;
  std::size_t formats_at_ = 0;
  std::uint16_t formats_ = 0;
  std::uint16_t count_ = 0;
  std::uint32_t index_ = 0;
  bool good_ = true;
};

bool bound_text(ColumnType type, Bytes tenant, Bytes value, std::uint32_t flags) {
  return (flags & kArrayParameter) != 0 ? same_elements(type, tenant, value)
                                        : same(type, tenant, value);
}

bool bound_binary(ColumnType type, Bytes tenant, Bytes value, std::uint32_t flags) {
  if ((flags & kArrayParameter) != 0) return same_elements_binary(type, tenant, value);
  // The text "12" is a number in binary, too.
  if ((flags & kTextParameter) != 0 && type != ColumnType::text) return false;
  return same_binary(type, tenant, value);
}

}  // namespace

std::optional<std::string> normal_value(ColumnType type, Bytes value) {
  if (value.empty() || value.size() > kValueMax) return std::nullopt;
  // Other bytes mean something else in another client_encoding.
  if (!std::all_of(value.begin(), value.end(), [](char c) { return c >= ' ' && c <= '~'; })) {
    return std::nullopt;
  }
  if (type == ColumnType::integer && !is_integer(value)) return std::nullopt;
  if (type == ColumnType::uuid) {
    if (!is_uuid(value)) return std::nullopt;
    return lower(value);
  }
  return std::string(value);
}

std::optional<Violation> check_text(const Policy& policy, Bytes tenant, Bytes text,
                                    sql::StandardStrings standard, const sql::Facts& facts,
                                    const sql::Shape& shape,
                                    std::vector<std::uint32_t>& parameters) {
  parameters.clear();
  if (standard == sql::StandardStrings::off) {
    Violation off =
        violation({policy.of_statements(), {}, "standard_conforming_strings must be on"});
    off.unread = !facts.known;
    return off;
  }
  if (!facts.known || facts.verdict == nullptr) {
    Violation unknown =
        violation({policy.of_statements(), {}, "it is not understood (" + facts.reason + ")"});
    unknown.unread = true;
    return unknown;
  }
  const Verdict& verdict = *facts.verdict;
  if (verdict.refused.mode != Mode::off) {
    Violation refused = violation(verdict.refused);
    if (policy.tables_with_column && policy.catalog == nullptr && !verdict.refused.table.empty()) {
      refused.message += "; which tables have the column is not known now, so each may";
    }
    return refused;
  }
  Values values(policy, tenant, text, standard, shape, parameters);
  std::optional<Violation> reported;
  for (const Place& place : verdict.places) {
    if (values.right(place)) continue;
    Violation wrong =
        is_of_tenant(place.rule)
            ? other_value(policy, verdict)
            : violation({policy.of_statements(), {}, "this setting is not for tenants to change"});
    if (wrong.mode == Mode::enforce) return wrong;
    reported = std::move(wrong);
  }
  if (verdict.prepares && !parameters.empty()) {
    return violation({verdict.places_mode, verdict.places_table,
                      "PREPARE has a parameter for \"" + policy.column +
                          "\"; use the protocol's prepared statements, or a literal"});
  }
  if (verdict.reported.mode != Mode::off) return violation(verdict.reported);
  return reported;
}

std::optional<Violation> check_types(const Policy& policy, const sql::Facts& facts, Bytes text,
                                     const std::vector<std::uint32_t>& parameters, Bytes types) {
  const Verdict& verdict = *facts.verdict;
  const std::vector<Listed> uses = count_listed(parameters);
  std::vector<std::uint32_t> all;
  for (const std::uint32_t each : parameters) {
    const std::uint32_t number = each & ~kFlags;
    const bool array = (each & kArrayParameter) != 0;
    const std::size_t at = std::size_t{4} * (number - 1);
    const std::uint32_t type = at + 4 <= types.size() ? load_u32(types.data() + at) : kUndeclared;
    const std::string name = "$" + std::to_string(number);
    if (!readable_type(policy.type, type, array)) {
      return violation({verdict.places_mode, verdict.places_table,
                        "the type of " + name + " is not that of \"" + policy.column + "\""});
    }
    if (type != kUndeclared && type != kUnknown) continue;
    if (all.empty()) all = count_parameters(text);
    if (number < all.size() && all[number] > uses[number].count) {
      return violation({verdict.places_mode, verdict.places_table,
                        name + " stands for \"" + policy.column +
                            "\" and for something else: declare its type, or use two parameters"});
    }
  }
  return std::nullopt;
}

std::optional<Violation> check_values(const Policy& policy, Bytes tenant, const sql::Facts& facts,
                                      const std::vector<std::uint32_t>& parameters, Bytes values) {
  if (parameters.empty()) return std::nullopt;
  const std::vector<Listed> uses = count_listed(parameters);
  BoundValues bound(values);
  for (std::uint32_t number = 1; number < uses.size(); ++number) {
    Bytes value;
    bool binary = false;
    bool null = true;
    if (!bound.next(value, binary, null)) return other_value(policy, *facts.verdict);
    if (uses[number].count == 0) continue;
    const bool right =
        !null && (binary ? bound_binary(policy.type, tenant, value, uses[number].flags)
                         : bound_text(policy.type, tenant, value, uses[number].flags));
    if (!right) return other_value(policy, *facts.verdict);
  }
  return std::nullopt;
}

}  // namespace forebay::tenant
