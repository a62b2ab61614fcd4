#include "forebay/config/units.hpp"

#include <array>
#include <charconv>
#include <limits>
#include <optional>
#include <span>

namespace forebay::config {
namespace {

struct Unit {
  std::string_view name;
  std::uint64_t factor;
};

constexpr std::array<Unit, 5> kTimeUnits = {
    {{"ms", 1}, {"s", 1000}, {"min", 60'000}, {"h", 3'600'000}, {"d", 86'400'000}}};

constexpr std::array<Unit, 9> kSizeUnits = {{{"B", 1},
                                             {"kB", 1000},
                                             {"MB", 1000'000},
                                             {"GB", 1000'000'000},
                                             {"TB", 1000'000'000'000},
                                             {"KiB", 1ULL << 10},
                                             {"MiB", 1ULL << 20},
                                             {"GiB", 1ULL << 30},
                                             {"TiB", 1ULL << 40}}};

enum class Trouble : std::uint8_t { no_number, no_unit, unknown_unit, too_large };

struct Quantity {
  std::uint64_t value = 0;
  std::optional<Trouble> trouble;
};

/// A number directly followed by one of the units, the product at most `most`.
Quantity parse_quantity(std::string_view text, std::span<const Unit> units, std::uint64_t most) {
  std::uint64_t number = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (code == std::errc::invalid_argument) return {0, Trouble::no_number};
  const std::string_view name = text.substr(static_cast<std::size_t>(end - text.data()));
  if (name.empty()) {
    if (code == std::errc() && number == 0) return {0, {}};
    return {0, Trouble::no_unit};
  }
  for (const Unit& unit : units) {
    if (unit.name != name) continue;
    if (code == std::errc::result_out_of_range || number > most / unit.factor) {
      return {0, Trouble::too_large};
    }
    return {number * unit.factor, {}};
  }
  return {0, Trouble::unknown_unit};
}

std::string format_quantity(std::uint64_t value, std::span<const Unit> units) {
  if (value == 0) return "0";
  const Unit* best = &units.front();
  for (const Unit& unit : units) {
    if (value % unit.factor == 0 && unit.factor > best->factor) best = &unit;
  }
  return std::to_string(value / best->factor) + std::string(best->name);
}

Error explain(Trouble trouble, std::string_view what, std::string_view example,
              std::string_view units) {
  const std::string form =
      "expected " + std::string(what) + " such as " + std::string(example) + " ";
  switch (trouble) {
    case Trouble::no_number:
      return failure(form + "(a whole number and a unit: " + std::string(units) + ")");
    case Trouble::no_unit:
      return failure(form + "(the number needs a unit: " + std::string(units) + ")");
    case Trouble::unknown_unit:
      return failure(form + "(the units are " + std::string(units) + ")");
    case Trouble::too_large:
      break;
  }
  return failure("this " + std::string(what.substr(what.find(' ') + 1)) + " is too large to count");
}

}  // namespace

Result<std::chrono::milliseconds> parse_duration(std::string_view text) {
  constexpr auto kMost = static_cast<std::uint64_t>(std::chrono::milliseconds::max().count());
  const Quantity quantity = parse_quantity(text, kTimeUnits, kMost);
  if (quantity.trouble) {
    return explain(*quantity.trouble, "a duration", "\"30s\"", "ms, s, min, h, d");
  }
  return std::chrono::milliseconds(static_cast<std::int64_t>(quantity.value));
}

std::string format_duration(std::chrono::milliseconds time) {
  if (time.count() < 0) {
    // No key takes a negative time; a log line may still show one, and it must not lie.
    const std::uint64_t size = 0 - static_cast<std::uint64_t>(time.count());
    return "-" + format_quantity(size, kTimeUnits);
  }
  return format_quantity(static_cast<std::uint64_t>(time.count()), kTimeUnits);
}

Result<ByteSize> parse_size(std::string_view text) {
  const Quantity quantity =
      parse_quantity(text, kSizeUnits, std::numeric_limits<std::uint64_t>::max());
  if (quantity.trouble) {
    return explain(*quantity.trouble, "a size", "\"64KiB\"",
                   "B, KiB, MiB, GiB, TiB, or kB, MB, GB, TB by thousands");
  }
  return ByteSize(quantity.value);
}

std::string format_size(ByteSize size) {
  return format_quantity(size.value(), kSizeUnits);
}

}  // namespace forebay::config
