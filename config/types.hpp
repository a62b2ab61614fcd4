#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/nearest.hpp"
#include "config/reading.hpp"
#include "forebay/config/names.hpp"
#include "forebay/config/network.hpp"
#include "forebay/config/patroni.hpp"
#include "forebay/config/tenants.hpp"
#include "forebay/config/units.hpp"

/// The types of the file's values. Each has
///   Held                what it becomes in the model,
///   read(value, reading)  the value, or nothing after complaining,
///   show(held)          the value as TOML, which `read` takes back,
///   hint()              what the sample says about permitted values; may be empty.
namespace forebay::config {

/// A TOML string with everything escaped that must be.
[[nodiscard]] std::string quoted(std::string_view text);
/// `"a", "b", "c"`
[[nodiscard]] std::string listed(std::span<const std::string_view> words);

struct Flag {
  using Held = bool;
  [[nodiscard]] std::optional<bool> read(const Value& value, Reading& reading) const;
  [[nodiscard]] std::string show(bool flag) const { return flag ? "true" : "false"; }
  [[nodiscard]] std::string hint() const { return {}; }
};

struct Count {
  using Held = std::uint32_t;
  std::uint32_t least;
  std::uint32_t most;

  [[nodiscard]] std::optional<std::uint32_t> read(const Value& value, Reading& reading) const;
  [[nodiscard]] std::string show(std::uint32_t count) const { return std::to_string(count); }
  [[nodiscard]] std::string hint() const {
    return "From " + std::to_string(least) + " to " + std::to_string(most) + ".";
  }
  [[nodiscard]] std::string range() const;
};

/// A count, or "auto" for what the machine allows.
struct CountOrAuto {
  using Held = std::optional<std::uint32_t>;
  Count count;

  [[nodiscard]] std::optional<Held> read(const Value& value, Reading& reading) const;
  [[nodiscard]] std::string show(const Held& held) const {
    return held ? count.show(*held) : "\"auto\"";
  }
  [[nodiscard]] std::string hint() const { return count.hint(); }
};

inline constexpr milliseconds kLongestTime = std::chrono::hours(24 * 365);

/// A duration up to a year; 0 switches the rule off.
struct Time {
  using Held = milliseconds;
  [[nodiscard]] std::optional<milliseconds> read(const Value& value, Reading& reading) const;
  [[nodiscard]] std::string show(milliseconds time) const;
  [[nodiscard]] std::string hint() const { return {}; }
};

/// So many bytes a second, or more; 0 for no limit.
struct ByteRate {
  using Held = ByteSize;
  static constexpr ByteSize kLeast{1024};
  static constexpr ByteSize kMost{std::uint64_t{1} << 40};

  [[nodiscard]] std::optional<ByteSize> read(const Value& value, Reading& reading) const;
  [[nodiscard]] std::string show(ByteSize size) const;
  [[nodiscard]] std::string hint() const { return {}; }
};

struct Text {
  using Held = std::string;
  std::string_view example;  ///< for the complaint about another type

  [[nodiscard]] std::optional<std::string> read(const Value& value, Reading& reading) const;
  [[nodiscard]] std::string show(const std::string& text) const { return config::quoted(text); }
  [[nodiscard]] std::string hint() const { return {}; }
};

/// An array of strings, none of them empty.
struct Texts {
  using Held = std::vector<std::string>;
  std::string_view example;

  [[nodiscard]] std::optional<Held> read(const Value& value, Reading& reading) const;
  [[nodiscard]] std::string show(const Held& texts) const;
  [[nodiscard]] std::string hint() const { return {}; }
};

/// An array of counts.
struct Counts {
  using Held = std::vector<std::uint32_t>;
  Count each;

  [[nodiscard]] std::optional<Held> read(const Value& value, Reading& reading) const;
  [[nodiscard]] std::string show(const Held& counts) const;
  [[nodiscard]] std::string hint() const { return {}; }
};

/// A table of names and their texts: a section of its own, or {name = "text"}.
struct TextByName {
  using Held = std::map<std::string, std::string, std::less<>>;

  [[nodiscard]] std::optional<Held> read(const Value& value, Reading& reading) const;
  [[nodiscard]] std::string show(const Held& texts) const;
  [[nodiscard]] std::string hint() const { return {}; }
};

/// A table of whole numbers with a string for each.
struct CountByName {
  using Held = std::map<std::string, std::uint32_t, std::less<>>;
  Count count;

  [[nodiscard]] std::optional<Held> read(const Value& value, Reading& reading) const;
  [[nodiscard]] std::string show(const Held& counts) const;
  [[nodiscard]] std::string hint() const { return count.hint(); }
};

/// Sections of their own below one: limits of some tenants.
struct TenantLimitsByName {
  using Held = std::map<std::string, TenantLimits, std::less<>>;

  [[nodiscard]] std::optional<Held> read(const Value& value, Reading& reading) const;
  [[nodiscard]] std::string show(const Held& all) const;
  [[nodiscard]] std::string hint() const { return {}; }
};

/// An array of networks.
struct Networks {
  using Held = std::vector<Network>;

  [[nodiscard]] std::optional<Held> read(const Value& value, Reading& reading) const;
  [[nodiscard]] std::string show(const Held& networks) const;
  [[nodiscard]] std::string hint() const { return {}; }
};

/// A table of names and networks: {"*:6432" = ["10.0.0.0/8"]}.
struct NetworksByName {
  using Held = std::map<std::string, std::vector<Network>, std::less<>>;

  [[nodiscard]] std::optional<Held> read(const Value& value, Reading& reading) const;
  [[nodiscard]] std::string show(const Held& networks) const;
  [[nodiscard]] std::string hint() const { return {}; }
};

/// A name as PostgreSQL has it: at most 63 bytes. Empty for none.
struct PostgresName {
  using Held = std::string;
  std::string_view example;

  [[nodiscard]] std::optional<std::string> read(const Value& value, Reading& reading) const;
  [[nodiscard]] std::string show(const std::string& text) const { return config::quoted(text); }
  [[nodiscard]] std::string hint() const { return {}; }
};

inline constexpr std::size_t kMaxNameBytes = 63;

/// One word of a list. Complains with the list and the nearest word.
[[nodiscard]] std::optional<std::size_t> read_word(const Value& value, Reading& reading,
                                                   std::span<const std::string_view> words);

struct Word {
  using Held = std::string;
  std::span<const std::string_view> words;

  [[nodiscard]] std::optional<std::string> read(const Value& value, Reading& reading) const;
  [[nodiscard]] std::string show(const std::string& word) const { return config::quoted(word); }
  [[nodiscard]] std::string hint() const { return "One of " + listed(words) + "."; }
};

template <class Enumeration>
struct Choice {
  using Held = Enumeration;
  std::span<const Name<Enumeration>> names;

  [[nodiscard]] std::optional<Enumeration> read(const Value& value, Reading& reading) const {
    const auto index = read_word(value, reading, words());
    if (!index) return std::nullopt;
    return names[*index].value;
  }
  [[nodiscard]] std::string show(Enumeration choice) const {
    return config::quoted(name_of<Enumeration>(names, choice));
  }
  [[nodiscard]] std::string hint() const { return "One of " + listed(words()) + "."; }

 private:
  [[nodiscard]] std::vector<std::string_view> words() const {
    std::vector<std::string_view> texts;
    for (const Name<Enumeration>& name : names) texts.push_back(name.text);
    return texts;
  }
};

/// A table of names and words of a list: {"*:6433" = "replica"}.
template <class Enumeration>
struct ChoicesByName {
  using Held = std::map<std::string, Enumeration, std::less<>>;
  Choice<Enumeration> choice;
  std::string_view example;

  [[nodiscard]] std::optional<Held> read(const Value& value, Reading& reading) const {
    const Table* table = value.as<Table>();
    if (table == nullptr) {
      reading.expected(value, "a table such as " + std::string(example));
      return std::nullopt;
    }
    Held result;
    for (const Member& member : *table) {
      const auto word = choice.read(member.value, reading);
      if (!word) return std::nullopt;
      result.emplace(member.name, *word);
    }
    return result;
  }
  [[nodiscard]] std::string show(const Held& held) const {
    std::string shown;
    for (const auto& [name, word] : held) {
      shown += (shown.empty() ? "" : ", ") + config::quoted(name) + " = " + choice.show(word);
    }
    return "{" + shown + "}";
  }
  [[nodiscard]] std::string hint() const { return {}; }
};

/// A type whose absence means something of its own. What is absent is not shown.
template <class Type>
struct Perhaps {
  using Held = std::optional<typename Type::Held>;
  Type type;

  [[nodiscard]] std::optional<Held> read(const Value& value, Reading& reading) const {
    auto held = type.read(value, reading);
    if (!held) return std::nullopt;
    return Held(std::move(*held));
  }
  [[nodiscard]] std::string show(const Held& held) const { return held ? type.show(*held) : ""; }
  [[nodiscard]] std::string hint() const { return type.hint(); }
};

/// Permissions of a file: "0700".
struct FileMode {
  using Held = std::uint32_t;
  [[nodiscard]] std::optional<std::uint32_t> read(const Value& value, Reading& reading) const;
  [[nodiscard]] std::string show(std::uint32_t mode) const;
  [[nodiscard]] std::string hint() const { return {}; }
};

struct ListenAddresses {
  using Held = std::vector<Endpoint>;
  [[nodiscard]] std::optional<Held> read(const Value& value, Reading& reading) const;
  [[nodiscard]] std::string show(const Held& addresses) const;
  [[nodiscard]] std::string hint() const { return {}; }
};

struct ServerAddresses {
  using Held = std::vector<Endpoint>;
  [[nodiscard]] std::optional<Held> read(const Value& value, Reading& reading) const;
  [[nodiscard]] std::string show(const Held& addresses) const;
  [[nodiscard]] std::string hint() const { return {}; }
};

/// Other Forebays.
struct PeerAddresses {
  using Held = std::vector<Endpoint>;
  [[nodiscard]] std::optional<Held> read(const Value& value, Reading& reading) const;
  [[nodiscard]] std::string show(const Held& addresses) const;
  [[nodiscard]] std::string hint() const { return {}; }
};

/// An array of URLs without paths; may be empty.
struct HttpUrls {
  using Held = std::vector<HttpUrl>;
  std::uint16_t default_port;
  std::string_view example;

  [[nodiscard]] std::optional<Held> read(const Value& value, Reading& reading) const;
  [[nodiscard]] std::string show(const Held& urls) const;
  [[nodiscard]] std::string hint() const { return {}; }
};

/// An address for HTTP; "" for none.
struct HttpAddress {
  using Held = std::optional<Endpoint>;
  [[nodiscard]] std::optional<Held> read(const Value& value, Reading& reading) const;
  [[nodiscard]] std::string show(const Held& address) const;
  [[nodiscard]] std::string hint() const { return {}; }
};

/// Where the text of a password stands.
enum class SecretSource : std::uint8_t { here, variable, file };

/// One password; "" for none. Is never shown.
struct OneSecret {
  using Held = Secret;
  SecretSource source;

  [[nodiscard]] std::optional<Secret> read(const Value& value, Reading& reading) const;
  [[nodiscard]] std::string show(const Secret&) const { return "\"\""; }
  [[nodiscard]] std::string hint() const { return {}; }
};

/// One password or an array of them. Are never shown.
struct SeveralSecrets {
  using Held = std::vector<Secret>;
  SecretSource source;

  [[nodiscard]] std::optional<Held> read(const Value& value, Reading& reading) const;
  [[nodiscard]] std::string show(const Held&) const { return "[]"; }
  [[nodiscard]] std::string hint() const { return {}; }
};

}  // namespace forebay::config
